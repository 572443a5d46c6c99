"""The style of the page of a run."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3b7dd8; --drop: #d8683b; --soft: #8882; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p, figcaption, td, th, li, summary { overflow-wrap: anywhere; }
.numbers { display: flex; flex-wrap: wrap; gap: .5rem 2rem; padding: 0; list-style: none; }
.numbers b { display: block; font-size: 1.6rem; line-height: 1.2; }
.stage { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .5rem .75rem; }
.stage summary { display: grid; grid-template-columns: 7rem 1fr 13rem; gap: .75rem; align-items: center; }
.stage summary { cursor: pointer; }
.track { height: 1rem; background: var(--soft); border-radius: .25rem; } svg rect.left { fill: var(--drop); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.25rem; }
figure { margin: 0; font-size: .85rem; }
figure img { width: 100%; height: auto; border-radius: .25rem; display: block; background: var(--soft); }
.dropped img { outline: 2px solid var(--drop); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.25rem; }
svg { width: 100%; height: auto; display: block; } rect { fill: var(--bar); } svg text { fill: currentColor; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; } th { text-align: left; }
td, th { padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line); }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 40rem) {
  body { padding: 1rem; } .stage summary { grid-template-columns: 1fr; gap: .25rem; }
  .clips { grid-template-columns: 1fr; }
}
"""
