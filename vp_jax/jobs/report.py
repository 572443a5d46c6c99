"""One page about a run, to be opened in a browser: the comparison as a looping video, the contact sheet, the facts.

Everything is inside the file (base64), nothing is fetched and nothing is run: plain HTML and CSS.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from vp_jax.errors import escaped

_STYLE = """
:root { color-scheme: dark; --paper: #16181d; --card: #1f2229; --ink: #eceef2; --faint: #969ca8; --accent: #ff7a3d; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { margin: 0; font-size: 30px; letter-spacing: -.01em; } h1 em { color: var(--accent); font-style: normal; }
h2 { margin: 40px 0 12px; font-size: 15px; color: var(--faint); font-weight: 600; }
.lead { margin: 6px 0 28px; color: var(--faint); max-width: 70ch; }
video, img { display: block; width: 100%; height: auto; border-radius: 10px; background: var(--card); }
video, img { image-rendering: pixelated; }
blockquote { margin: 20px 0 0; padding: 4px 0 4px 18px; border-left: 3px solid var(--accent); font-size: 20px; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 12px; margin-top: 28px; }
.card { background: var(--card); border-radius: 10px; padding: 14px 18px; }
.card b { display: block; font-size: 27px; font-weight: 650; } .card span { color: var(--faint); font-size: 14px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 12px 24px; }
.columns ul { margin: 0; padding-left: 20px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; } td { padding: 4px 0; vertical-align: top; }
td { border-bottom: 1px solid #2b2f38; } td:first-child { color: var(--faint); padding-right: 16px; }
td:last-child { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: 10px; padding: 14px 18px; overflow-x: auto; font-size: 14px; }
"""


def page(
    *,
    title: str,
    lead: str,
    prompt: str,
    comparison: Path,
    contact: Path,
    numbers: Sequence[tuple[str, str]],
    lists: Mapping[str, Sequence[str]],
    tables: Mapping[str, Mapping[str, object]],
    commands: Sequence[str] = (),
) -> str:
    """The page as text.

    Args:
      title: heading.
      lead: the sentence below it.
      prompt: what the video was to show; may be empty.
      comparison: the .mp4 to take in.
      contact: the .png to take in.
      numbers: (value, what it is), shown large.
      lists: items by heading.
      tables: names and values by heading.
      commands: to try next.
    """
    text = _text
    body = [
        f"<h1>{text(title)}</h1><p class=lead>{text(lead)}</p>",
        f'<video src="{_inline(comparison, "video/mp4")}" autoplay loop muted playsinline controls></video>',
    ]
    if prompt:
        body.append(f"<blockquote>{text(prompt)}</blockquote>")
    if numbers:
        cards = "".join(
            f"<div class=card><b>{text(value)}</b><span>{text(what)}</span></div>" for value, what in numbers
        )
        body.append(f"<div class=numbers>{cards}</div>")
    body.append(f'<h2>Frame by frame</h2><img src="{_inline(contact, "image/png")}" alt="contact sheet">')
    listed = {
        heading: "<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>"
        for heading, items in lists.items()
    }
    tabled = {
        heading: "<table>"
        + "".join(f"<tr><td>{text(name)}</td><td>{text(str(value))}</td></tr>" for name, value in rows.items())
        + "</table>"
        for heading, rows in tables.items()
    }
    body += [_columns(sections) for sections in (listed, tabled) if sections]
    if commands:
        body.append(f"<h2>Try next</h2><pre>{chr(10).join(map(text, commands))}</pre>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{text(title)}</title><style>{_STYLE}</style><main>{''.join(body)}</main></html>\n"
    )


def _text(words: str) -> str:
    return html.escape(escaped(words))


def _columns(sections: Mapping[str, str]) -> str:
    """Sections of HTML beside each other, each below its heading."""
    made = "".join(f"<section><h2>{_text(heading)}</h2>{inner}</section>" for heading, inner in sections.items())
    return f"<div class=columns>{made}</div>"


def _inline(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
