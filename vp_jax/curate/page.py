"""The page of a run, ``OUT/index.html``: the funnel with examples of each stage, histograms, clips with their masks.

One file without scripts; a content policy in it forbids every request. All text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections import Counter
from collections.abc import Iterable, Sequence

from vp_jax.curate.funnel import DUPLICATES, StageCount
from vp_jax.curate.page_style import STYLE
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.run import CurationRun
from vp_jax.curate.speed import Costs
from vp_jax.curate.store import KEPT, StageStep
from vp_jax.curate.thumbnails import Thumbnails
from vp_jax.files import write_text

_EXAMPLES, _CLIPS, _JOURNAL = 4, 24, 200
"""Pictures of each kind in a stage, clips in the browser, lines of the journal that are shown."""


def write_curation_page(done: CurationRun, costs: Costs) -> None:
    """Write ``index.html`` into the run's folder."""
    write_text(done.root / "index.html", page_of(done, costs))


def page_of(done: CurationRun, costs: Costs) -> str:
    """The page as text."""
    pictures = Thumbnails(done.root)
    policy = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    clips = [written.clip for written in done.clips]
    parts = [
        _numbers(done, clips),
        "<h2>Funnel</h2><p>Open a stage to see what it kept and what it dropped.</p>",
        *(_stage(count, done, pictures) for count in done.funnel.counts),
        "<h2>What the clips are like</h2>",
        f'<div class="charts">{"".join(_histograms(clips))}</div>',
        _tags(clips),
        f"<h2>Clips</h2><p>{_shown(clips)}</p>",
        f'<div class="clips">{"".join(_clip(clip, pictures) for clip in _spread(clips))}</div>',
        "<h2>Time and costs</h2>",
        _costs(costs),
        "<h2>Left out</h2>",
        _left_out(done),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'sha256-{policy}'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Curation of {_safe(done.root.name)}</title><style>{STYLE}</style></head><body>"
        f"<h1>Curation of {_safe(done.root.name)}</h1>{''.join(parts)}</body></html>\n"
    )


def _safe(text: object) -> str:
    return html.escape(str(text))


def _numbers(done: CurationRun, clips: Sequence[ClipRecord]) -> str:
    hours = sum(clip.seconds for clip in clips) / 3600
    things = sum(len(clip.things) for clip in clips)
    length = f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"
    found = [
        (f"{done.funnel.counts[0].came:,}", "sources"),
        (f"{len(clips):,}", "clips"),
        (length, "of video"),
        (f"{things:,}", "masked things"),
    ]
    return f'<ul class="numbers">{"".join(f"<li><b>{value}</b>{name}</li>" for value, name in found)}</ul>'


def _stage(count: StageCount, done: CurationRun, pictures: Thumbnails) -> str:
    """One stage as a bar that opens."""
    most = max(max(other.came, other.went) for other in done.funnel.counts) or 1
    left = count.dropped + count.failed
    bars = _bar(count.went / most, left / most)
    numbers = f"{count.came:,} in, {count.went:,} out, {left:,} left out"
    reasons = "".join(f"<li>{times:,} &times; {_safe(reason)}</li>" for reason, times in count.reasons.items())
    kept, dropped = _examples(count.stage, done)
    shown = [_picture(clip, note, "", pictures) for clip, note in kept]
    shown += [_picture(clip, note, "dropped", pictures) for clip, note in dropped]
    return (
        f'<details class="stage"><summary><b>{_safe(count.stage)}</b>{bars}<span>{numbers}</span></summary>'
        f'<ul>{reasons}</ul><div class="pictures">{"".join(shown)}</div></details>'
    )


def _bar(went: float, left: float) -> str:
    """A bar of kept and left out records, as shares of the widest stage; SVG needs no inline style."""
    return (
        '<svg class="track" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * went:.2f}" height="4"/>'
        f'<rect class="left" x="{100 * went:.2f}" width="{100 * left:.2f}" height="4"/></svg>'
    )


def _examples(stage: str, done: CurationRun) -> tuple[list[tuple[ClipRecord, str]], list[tuple[ClipRecord, str]]]:
    """Records that a stage kept and left out, each with a line."""
    if stage == DUPLICATES:
        collected = {record.name: record for step in done.steps for record in step.outcome.records}
        return [], [(collected[name], f"{name}: shows the same as {first}") for name, first in done.duplicates.items()][
            :_EXAMPLES
        ]
    here: list[StageStep] = [step for step in done.steps if step.stage.name == stage]
    kept = [(step.outcome.records[0], step.clip.name) for step in here if step.outcome.kind == KEPT]
    left = [(step.clip, f"{step.clip.name}: {step.outcome.reason}") for step in here if step.outcome.kind != KEPT]
    return kept[:_EXAMPLES], left[:_EXAMPLES]


def _picture(clip: ClipRecord, note: str, kind: str, pictures: Thumbnails) -> str:
    source = pictures.one(clip)
    image = f'<img alt="" src="{source}">' if source else ""
    return f'<figure class="{kind}">{image}<figcaption>{_safe(note)}</figcaption></figure>'


def _histograms(clips: Sequence[ClipRecord]) -> Iterable[str]:
    things = [values for clip in clips for values in clip.things.values()]
    yield _histogram("length in seconds", [clip.seconds for clip in clips])
    yield _histogram("masked area, % of the picture", [100 * values["area"] for values in things])
    yield _histogram("change of the area, % a frame", [100 * values["change"] for values in things])
    yield _histogram("motion, widths a second", [clip.scores.get("motion", 0.0) for clip in clips])
    yield _histogram("sharpness", [clip.scores.get("sharpness", 0.0) for clip in clips])
    yield _histogram("caption, characters", [len(clip.captions.get("", "")) for clip in clips])


def _histogram(title: str, values: Sequence[float], bins: int = 12) -> str:
    """A histogram with its ends and its highest count."""
    if not values:
        return ""
    least, most = min(values), max(values)
    step = (most - least) / bins or 1.0
    counts = Counter(min(bins - 1, int((value - least) / step)) for value in values)
    highest = max(counts.values())
    bars = "".join(
        f'<rect x="{number * 20 + 1}" y="{70 - 60 * counts[number] / highest:.1f}" width="18" '
        f'height="{60 * counts[number] / highest:.1f}"/>'
        for number in range(bins)
    )
    return (
        f"<figure><figcaption>{_safe(title)}</figcaption>"
        f'<svg viewBox="0 0 240 86" role="img" aria-label="{_safe(title)}">{bars}'
        f'<text x="1" y="83" font-size="10">{least:.3g}</text>'
        f'<text x="239" y="83" font-size="10" text-anchor="end">{most:.3g}</text>'
        f'<text x="239" y="9" font-size="10" text-anchor="end">highest bar: {highest}</text></svg></figure>'
    )


def _tags(clips: Sequence[ClipRecord]) -> str:
    counts = Counter(tag for clip in clips for tag in clip.tags)
    if not counts:
        return "<p>No tags: boxes came from motion and saliency, which know no classes.</p>"
    words = ", ".join(f"{_safe(tag)} ({times})" for tag, times in counts.most_common(60))
    return f"<p>Tags: {words}</p>"


def _spread(clips: Sequence[ClipRecord]) -> Sequence[ClipRecord]:
    """Evenly chosen clips for the browser."""
    return clips[:: max(1, -(-len(clips) // _CLIPS))]


def _shown(clips: Sequence[ClipRecord]) -> str:
    chosen = len(_spread(clips))
    return (
        f"{chosen} of {len(clips)} clips, evenly chosen; masks are tinted."
        if chosen < len(clips)
        else "Masks are tinted."
    )


def _clip(clip: ClipRecord, pictures: Thumbnails) -> str:
    source = pictures.strip(clip)
    image = f'<img alt="frames with masks" src="{source}">' if source else ""
    captions = "".join(
        f"<li>{'clip' if not thing else f'thing {_safe(thing)}'}: {_safe(text)}</li>"
        for thing, text in clip.captions.items()
    )
    origin = f"{_safe(clip.source)}, {_safe(clip.licence) or 'no licence stated'}"
    size = f"{clip.width}x{clip.height}, {clip.frames} frames, {float(clip.rate):.4g} frames a second"
    return (
        f"<figure>{image}<figcaption><b>{_safe(clip.name)}</b><br>{size}<br>{origin}"
        f"<ul>{captions}</ul></figcaption></figure>"
    )


def _costs(costs: Costs) -> str:
    rows = "".join(
        f'<tr><td>{_safe(stage.stage)}</td><td class="n">{stage.per_second:,.2f}</td>'
        f'<td class="n">{stage.video_per_second:,.2f}</td><td class="n">{stage.share:.1%}</td>'
        f'<td class="n">{stage.hours:,.1f}</td>{_gpu_cell(stage.gpu_hours, costs)}</tr>'
        for stage in costs.stages
    )
    head = "<tr><th>stage</th><th>records a second</th><th>seconds of video a second</th><th>share</th>"
    words = "".join(f"<p>{_safe(sentence)}.</p>" for sentence in costs.sentences())
    gpus = "<th>GPU hours at the stated rate</th>" if costs.gpu_hours else ""
    last = f"<th>core hours for {costs.videos:,} videos</th>{gpus}</tr>"
    return f'{words}<div class="wide"><table>{head}{last}{rows}</table></div>'


def _gpu_cell(hours: float, costs: Costs) -> str:
    if not costs.gpu_hours:
        return ""
    return f'<td class="n">{hours:,.1f}</td>' if hours else "<td></td>"


def _left_out(done: CurationRun) -> str:
    lines = [
        (step.stage.name, step.clip.name, step.outcome.kind, step.outcome.reason)
        for step in done.steps
        if step.outcome.kind != KEPT
    ]
    lines += [(DUPLICATES, name, "dropped", f"near-duplicate of {first}") for name, first in done.duplicates.items()]
    rows = "".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in line)}</tr>" for line in lines[:_JOURNAL])
    rest = f"<p>{len(lines) - _JOURNAL:,} more are in journal.jsonl.</p>" if len(lines) > _JOURNAL else ""
    head = "<tr><th>stage</th><th>clip</th><th>outcome</th><th>reason</th></tr>"
    return f'<div class="wide"><table>{head}{rows}</table></div>{rest}' if lines else "<p>Nothing was left out.</p>"
