"""The record of a job in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vp_jax.media.cuts import cuts_text

JobRecord = Mapping[str, Any]
"""What `vp_jax.jobs.record.record_of` returns."""

_FAR = 0.01
"""Change of the aspect that is mentioned."""
_JUMP = 2.0
"""Seam jump from which on a person sees a seam, in units of the changes elsewhere."""


class Sentence(NamedTuple):
    """One thing to know, and whether it needs attention."""

    text: str
    warns: bool = False


def sentences(record: JobRecord) -> list[Sentence]:
    """What happened, for people: the source, what was kept, how smoothly the hole runs, the cost."""
    return [
        *_frames(record),
        *_cuts(record),
        *_mask(record),
        *_outside(record),
        *_streams(record),
        *_seams(record),
        *_colours(record),
        *_cost(record),
    ]


def size_text(size: tuple[int, int]) -> str:
    """Height and width as people write them."""
    height, width = size
    return f"{width} x {height}"


def _frames(record: JobRecord) -> Iterator[Sentence]:
    source, model = tuple(record["source_size"]), tuple(record["model_size"])
    count, windows, settings = record["frames"], len(record["windows"]), record["settings"]
    yield Sentence(f"Video: {_count(count, 'frame')} of {size_text(source)} pixels, {_rate(record['fps'])} per second.")
    if count < record.get("source_frames", count):
        yield Sentence(f"Reference mode dropped the tail: {count} of {record['source_frames']} frames.", True)
    fit = record.get("fit", {"name": "stretch"})
    if model != source and fit["name"] != "stretch":
        yield Sentence(f"Size: the model works at {size_text(model)}; {_fitted(fit)}.")
    elif model != source:
        text = f"Size: the model works at {size_text(model)}; the video was stretched there and back"
        change = model[1] / model[0] / (source[1] / source[0]) - 1
        far = abs(change) > _FAR
        yield Sentence(text + (f", which changed its aspect by {change:+.0%} meanwhile." if far else "."), far)
    shared = f" that share {settings['overlap']} frames" if windows > 1 else ""
    yield Sentence(
        f"Windows: {windows} of {settings['window']} frames{shared}, {_count(settings['steps'], 'step')} each."
    )


def _cuts(record: JobRecord) -> Iterator[Sentence]:
    if record.get("cuts"):
        yield Sentence(
            f"Scene cuts: a shot begins at frame {cuts_text(record['cuts'])}; each has windows of its own, and "
            "remembers nothing of the others."
        )


def _fitted(fit: Mapping[str, Any]) -> str:
    """What a letterbox or a crop did."""
    if fit["name"] == "letterbox":
        return "the video kept its aspect, its rim was repeated around it and cut off again"
    moves = ", which follows the hole" if fit["boxes"] > 1 else ""
    return f"it saw a crop of {size_text(tuple(fit['box']))} pixels{moves}, and the result was pasted back in its place"


def _mask(record: JobRecord) -> Iterator[Sentence]:
    mask = record["mask"]
    yield Sentence(
        f"Mask: {_percent(mask['share'])} of all pixels, in {mask['frames']} of {_count(record['frames'], 'frame')}."
    )
    if mask.get("grown"):
        yield Sentence(f"Mask: grown by {_count(mask['grown'], 'pixel')} on each side.")
    if mask["note"]:
        yield Sentence(f"Mask: {mask['note']}{_stop(mask['note'])}")
    for note in mask["findings"]:
        yield Sentence(f"Mask check: {note}{_stop(note)}", True)
    if not mask["findings"]:
        yield Sentence("Mask check: nothing odd.")


def _outside(record: JobRecord) -> Iterator[Sentence]:
    outside = record["outside"]
    if not record["arguments"]["composite"]:
        yield Sentence("Outside the mask: the model's picture, nothing of the source was pasted back.", True)
    elif outside is None:
        yield Sentence("Outside the mask: the source was pasted back; the written file was not compared with it.")
    elif not outside["largest"]:
        form = outside["kind"]
        yield Sentence(f"Outside the mask: unchanged{form}, checked on {_count(outside['frames'], 'frame')}.")
    else:
        yield Sentence(
            f"Outside the mask: {outside['psnr']:.1f} dB from the source{outside['kind']}, largest difference "
            f"{outside['largest']:.3g} of 255, checked on {_count(outside['frames'], 'frame')}. "
            "This format is lossy; .mkv is not."
        )


def _streams(record: JobRecord) -> Iterator[Sentence]:
    """What was carried, and what the format does not hold."""
    carried = list(record["carried"])
    if not any(line.startswith("sound") for line in carried):
        yield Sentence("Sound: the source has none.")
    lost = record["lost"]
    for line in [*carried, *(line for line in lost if line not in carried)]:
        yield Sentence(f"{line[:1].upper()}{line[1:]}{_stop(line)}", line in lost or ": lost" in line)


def _seams(record: JobRecord) -> Iterator[Sentence]:
    found = record["continuity"]
    seams = [seam for seam in found["seams"] if seam["jump"] is not None]
    if not found["seams"]:
        made = "no shot has more than one window" if record.get("cuts") else "one window made all frames"
        yield Sentence(f"Seams: none, {made}.")
    elif not seams:
        yield Sentence("Seams: not measured, the hole is empty or stands still there.")
    elif len(seams) <= 3:
        for seam in seams:
            yield Sentence(
                f"The seam at frame {seam['frame']} jumps {seam['jump']:.1f} times as far as the frames elsewhere.",
                seam["jump"] >= _JUMP,
            )
    else:
        worst = max(seams, key=lambda seam: seam["jump"])
        yield Sentence(
            f"Of {len(seams)} seams, the one at frame {worst['frame']} jumps most: {worst['jump']:.1f} times as far as "
            f"the frames elsewhere; on average they jump {found['seam_jump']:.1f} times.",
            worst["jump"] >= _JUMP,
        )
    if found["flicker"] is not None:
        yield Sentence(f"Change in the hole: {found['flicker']:.1f} of 255 levels from frame to frame, on average.")


def _colours(record: JobRecord) -> Iterator[Sentence]:
    drift = record["continuity"]["colour_drift"]
    if drift is not None:
        yield Sentence(
            f"Colour of the hole: later windows are {drift:.1f} levels away from the first, on average over windows."
        )


def _cost(record: JobRecord) -> Iterator[Sentence]:
    seconds, memory = record["seconds"], record["memory"]
    yield Sentence(
        f"Time: {span(sum(seconds.values()))}, of which the model took {span(seconds.get('inpaint', 0.0))}, "
        "compilation included."
    )
    parts = [f"{memory['host_peak'] / 1e9:.1f} GB of the process"] if memory.get("host_peak") else []
    parts += [f"{memory['device_peak'] / 1e9:.1f} GB of the device"] if memory.get("device_peak") else []
    if parts:
        yield Sentence(f"Memory: at most {' and '.join(parts)}.")


def span(seconds: float) -> str:
    """A span of time for people."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rate(fps: str) -> str:
    top, _, bottom = fps.partition("/")
    return f"{int(top) / int(bottom or 1):.4g}"


def _stop(line: str) -> str:
    return "" if line.endswith(("?", ".", "!")) else "."
