"""The page of a job: one file that works without a network, made from the record and the pictures of the job.

Source and result can be compared by a slider, frame by frame and enlarged; sentences say what happened; curves show
how smoothly the hole runs. A content policy in the page forbids every request and every script but its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.jobs.report.clip import PageClip
from vp_jax.jobs.report.curves import Line, bars, curve
from vp_jax.jobs.report.html_text import (
    address,
    columns,
    document,
    facts,
    html_table,
    inline,
    items,
    link,
    safe,
    tag,
)
from vp_jax.jobs.report.measured import PixelBounds
from vp_jax.jobs.report.sentences import JobRecord, sentences, span


class Drawn(NamedTuple):
    """What is shown of a job.

    Attributes:
      contact: the contact sheet, a .png file.
      clip: source and result; None if the video is too long for a page.
      boxes: of the hole in each frame, in pixels of the source.
      first: frame to start with.
    """

    contact: bytes
    clip: PageClip | None
    boxes: Sequence[PixelBounds | None]
    first: int = 0


class PageWords(NamedTuple):
    """What the page says besides the record.

    Attributes:
      title: heading.
      lead: the sentence below it.
      prompt: what the hole was to show; may be empty.
      numbers: (value, what it is), shown large.
      lists: items by heading.
      commands: to try next.
    """

    title: str
    lead: str
    prompt: str = ""
    numbers: Sequence[tuple[str, str]] = ()
    lists: Mapping[str, Sequence[str]] = {}
    commands: Sequence[str] = ()


def page(record: JobRecord, words: PageWords, drawn: Drawn, files: Mapping[str, Path], place: Path) -> str:
    """The page as text.

    Args:
      record: see `vp_jax.jobs.record.record_of`.
      words: heading and what goes with it.
      drawn: pictures.
      files: of the job by their names for people, the result first; ``comparison`` is shown where the video is too
        long, or the result where there is none.
      place: where the page will be; links are relative to it.
    """
    style, script = (resources.files(__package__).joinpath(f"page.{end}").read_text() for end in ("css", "js"))
    body = [
        f"<h1>{safe(words.title)}</h1><p class=lead>{safe(words.lead)}</p>",
        f"<blockquote>{safe(words.prompt)}</blockquote>" if words.prompt else "",
        _player(drawn.clip, record) if drawn.clip else _linked(files, place),
        _said(record, words.numbers),
        _curves(record),
        "<h2>Frame by frame</h2>"
        f'<div class="wide sheet"><img src="{inline(drawn.contact, "image/png")}" '
        'alt="Original, masked and result at evenly spaced frames"></div>',
        "<h2>Files</h2>",
        tag("ul", "".join(tag("li", link(path, place, name)) for name, path in files.items()), "files"),
        columns({heading: items(lines) for heading, lines in words.lists.items()}) if words.lists else "",
        _settings(record),
        f"<h2>Try next</h2><pre>{chr(10).join(map(safe, words.commands))}</pre>" if words.commands else "",
    ]
    policy = "default-src 'none'; img-src data:; media-src data: blob: file: 'self'; style-src 'unsafe-inline'"
    return document(words.title, style, "".join(body), _data(record, drawn), script, policy=policy)


def _data(record: JobRecord, drawn: Drawn) -> dict[str, Any]:
    """What the script needs: rate, panels, and the boxes of the hole in pixels of a panel."""
    if drawn.clip is None:
        return {}
    panel, (height, width) = drawn.clip.panel, record["source_size"]
    down, right = panel.height / height, panel.width / width
    boxes = [
        box and [round(box[0] * right, 1), round(box[1] * down, 1), round(box[2] * right, 1), round(box[3] * down, 1)]
        for box in drawn.boxes
    ]
    top, _, bottom = record["fps"].partition("/")
    place = {name: getattr(panel, name) for name in ("height", "width", "down", "right")}
    return {
        "panel": {**place, "tiny": panel.times > 1},
        "frames": record["frames"],
        "fps": int(top) / int(bottom or 1),
        "holes": boxes,
        "first": drawn.first,
    }


def _player(clip: PageClip, record: JobRecord) -> str:
    ratio, last = clip.panel.width / clip.panel.height, record["frames"] - 1
    marks = "".join(f'<i style="left:{100 * start / max(1, last):.2f}%"></i>' for start in record["windows"][1:])
    tiny = " tiny" if clip.panel.times > 1 else ""
    speeds = "".join(f"<option value={value}>{name}</option>" for name, value in _SPEEDS)
    return f"""
<section class="player{tiny}" aria-label="Source and result">
<div class="stage" style="--ratio:{ratio:.5f}"><video src="{inline(clip.content, "video/mp4")}" muted loop playsinline
controls preload="auto"></video><canvas hidden></canvas><span class="tag source" hidden>source</span><span
class="tag result" hidden>result</span><div class="divider" hidden role="slider" tabindex="0" aria-valuemin="0"
aria-valuemax="100" aria-label="Share of the source"></div></div>
<div class="scrub" hidden>{marks}<input type="range" min="0" max="{last}" step="1" value="0" aria-label="Frame"></div>
<div class="controls" hidden><button class="play">Play</button><button class="back" aria-label="One frame back">&#8249;
1</button><button class="on1" aria-label="One frame on">1 &#8250;</button><button data-split="1">Source</button><button
data-split="0.5" aria-pressed="true">Both</button><button data-split="0">Result</button><select
aria-label="Speed">{speeds}</select><label><input type="checkbox" class="loop" checked>Loop</label><label><input
type="checkbox" class="box">Show the hole</label><span class="at"></span></div>
<div class="zoom" hidden><h2>The hole, enlarged <small class="times"></small></h2><div class="zooms"><figure>
<figcaption>Source</figcaption><canvas></canvas></figure><figure><figcaption>Result</figcaption><canvas></canvas>
</figure></div></div>
<noscript><p class="lead">Without scripts the video shows source and result next to each other.</p></noscript>
</section>"""


_SPEEDS = (("Full speed", 1), ("Half speed", 0.5), ("Quarter speed", 0.25))


def _linked(files: Mapping[str, Path], place: Path) -> str:
    """A video that stays in its file: the comparison, or the result."""
    name, shown = ("the comparison", files["comparison"]) if "comparison" in files else next(iter(files.items()))
    source = safe(address(Path(shown).name)) if shown.parent == place.parent else ""
    video = f'<video src="{source}" controls muted preload="metadata"></video>' if source else ""
    return (
        f'<section class="player loose">{video}<p class="lead">The video is too long to be held by this page: '
        f"{link(shown, place, name)} is a file of its own.</p></section>"
    )


def _said(record: JobRecord, numbers: Sequence[tuple[str, str]]) -> str:
    lines = "".join(
        f"<li{' class=warns' if sentence.warns else ''}>{safe(sentence.text)}</li>" for sentence in sentences(record)
    )
    cards = "".join(f"<div class=card><b>{safe(value)}</b><span>{safe(what)}</span></div>" for value, what in numbers)
    shown = tag("div", cards, "numbers") if cards else ""
    return f"<h2>What happened</h2>{tag('ul', lines, 'said')}{shown}"


def _curves(record: JobRecord) -> str:
    found, overlap, last = record["continuity"], record["settings"]["overlap"], record["frames"] - 1
    seams = [(seam["frame"], min(last, seam["frame"] + overlap)) for seam in found["seams"]]
    colours = [
        Line([colour and colour[channel] for colour in found["colour"]], look)
        for channel, look in enumerate(("red", "green", "blue"))
    ]
    banded = "; bands are seams" if seams else ""
    plots = [
        curve("Change from frame to frame in the hole", f"grey levels{banded}", [Line(found["change"])], seams=seams),
        curve("Mean colour of the hole", "red, green and blue, 0 to 255", colours, seams=seams, from_zero=False),
        bars("Jump of each seam", "times elsewhere", [seam["jump"] for seam in found["seams"]], "seam"),
        bars("Change within each window", "grey levels from frame to frame", found.get("window_change", ())),
        bars("Time of each window", "seconds, compilation included", record["window_seconds"]),
        *(
            bars(f"Memory behind each window: the {what}", "GB", [used.get(name) for used in _gigabytes(record)])
            for name, what in (("host", "process"), ("device", "device"))
        ),
    ]
    return f"<h2>How the hole runs</h2>{''.join(plots)}" if any(plots) else ""


def _gigabytes(record: JobRecord) -> list[dict[str, float]]:
    return [{name: used / 1e9 for name, used in window.items()} for window in record.get("window_memory", ())]


def _settings(record: JobRecord) -> str:
    """All settings, the windows with their seeds and prompts, versions, and what was asked for."""
    seams = {seam["frame"]: seam["jump"] for seam in record["continuity"]["seams"]}
    rows = [
        (
            number + 1,
            start,
            seed,
            "" if seconds is None else span(seconds),
            "" if seams.get(start) is None else f"{seams[start]:.1f}",
            prompt,
        )
        for number, (start, seed, seconds, prompt) in enumerate(
            zip(record["windows"], record["seeds"], record["window_seconds"], record["prompts"])
        )
    ]
    heads = ("Window", "From frame", "Seed", "Time", "Seam jump", "Prompt")
    windows = f'<h2>Windows</h2><div class="wide">{html_table(heads, rows, "windows")}</div>' if rows else ""
    asked = {name: value for name, value in record["arguments"].items() if value not in (None, "", (), {}, False)}
    tables = {
        "Settings": facts(record["settings"]),
        "Seconds": facts(record["seconds"]),
        "Versions": facts(record["versions"]),
    }
    return f"{windows}{columns(tables)}<details><summary>All arguments</summary>{facts(asked)}</details>"
