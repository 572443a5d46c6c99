"""Writes a study: videos under tokens, the page, and the key that raters do not see.

OUT/index.html        the page; it works from the disk, and served
OUT/videos/*.mp4      the source of each case with its hole tinted, and every option
OUT/key.json          which token is which method: keep it to yourself
OUT/answers/*.json    of the raters
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.files import replacing, write_text
from vp_jax.jobs.report.html_text import document, safe
from vp_jax.media.frames import Frames, mapped
from vp_jax.vpbench.bench_page import ResultPlaces
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import BenchInputs
from vp_jax.vpbench.methods import open_result
from vp_jax.vpbench.montage import grid_of, with_hole, write_montage
from vp_jax.vpbench.study.design import QUESTIONS, StudyPlan

KEY_FILE, PAGE_FILE, VIDEO_FOLDER, ANSWER_FOLDER = "key.json", "index.html", "videos", "answers"


def complete_clips(benchmark: Benchmark, places: ResultPlaces, methods: list[str], seed: int) -> list[str]:
    """Clips for which every method has a result: of this seed, or of its only one."""
    return [clip.name for clip in benchmark.clips if all(_place(places, clip.name, m, seed) for m in methods)]


def write_study(out: Path, plan: StudyPlan, benchmark: Benchmark, places: ResultPlaces, seed: int = 0) -> None:
    """Write a study.

    Raises:
      UserError: a result cannot be read, or the folder holds another study with answers.
    """
    if (out / ANSWER_FOLDER).is_dir() and any((out / ANSWER_FOLDER).iterdir()):
        raise UserError(f"{out} holds answers of raters: give a new folder, or move them")
    clips = {clip.name: clip for clip in benchmark.clips}
    texts = {case: clips[name].prompt for case, name in plan.cases.items()}
    with replacing(out / VIDEO_FOLDER) as partial:
        partial.mkdir()
        for case, name in plan.cases.items():
            inputs = clips[name].open()
            _write(partial / f"{case}.mp4", _tinted(inputs), inputs)
            for token, method in plan.options[case].items():
                place = _place(places, name, method, seed)
                if place is None:
                    raise UserError(f"{method} has no result of {name}")
                _write(partial / f"{token}.mp4", open_result(place, inputs, cut=True), inputs)
    write_text(out / KEY_FILE, json.dumps(plan.key(), indent=1) + "\n")
    write_text(out / PAGE_FILE, study_page(plan, texts))


def study_page(plan: StudyPlan, texts: Mapping[str, str]) -> str:
    """The page as text.

    Args:
      plan: of the study.
      texts: prompts by the token of their case.
    """
    parts = resources.files(__package__)
    style = resources.files("vp_jax.jobs.report").joinpath("page.css").read_text()
    style += parts.joinpath("study.css").read_text()
    script = parts.joinpath("study.js").read_text()
    policy = "default-src 'none'; media-src file: 'self'; style-src 'unsafe-inline'; connect-src 'self'"
    data: dict[str, Any] = {"study": plan.name, "questions": QUESTIONS, "texts": texts, "orders": plan.public()}
    return document("Video study", style, _body(len(plan.orders)), data, script, policy=policy)


def _body(raters: int) -> str:
    return f"""
<section class=start><h1>Which video is best?</h1>
<p class=lead>A region of each video was filled in by several programs. You see the video with the region tinted, a text
that says what it should show, and the results in a random order. Answer three questions about each.</p>
<form class=controls><label>Your number, 1 to {safe(raters)} <input class=rater type=number min=1 max={safe(raters)}
required></label><button class=play>Start</button></form></section>
<section class=trial hidden><p class=at></p><blockquote></blockquote><figure class=source><video muted loop playsinline
></video><figcaption>the video; the tinted region was filled in</figcaption></figure><div class=options></div>
<form class=questions></form><div class=controls><button class=next disabled>Next</button></div></section>
<section class=end hidden><h1>Thank you</h1><p class="lead state"></p><div class=controls><button class=save>Save the
answers to a file</button></div></section><noscript><p class=lead>This page needs scripts.</p></noscript>"""


def _place(places: ResultPlaces, clip: str, method: str, seed: int) -> Path | None:
    seeds = sorted(s for c, m, s in places if (c, m) == (clip, method))
    if not seeds:
        return None
    return places[clip, method, seed if seed in seeds else seeds[0]]


def _tinted(inputs: BenchInputs) -> Frames:
    holes_FHW = inputs.holes_FHW
    return mapped(
        inputs.frames_FHWC, lambda f, frame_HWC: with_hole(frame_HWC, holes_FHW[f]), inputs.frames_FHWC.shape[1:]
    )


def _write(path: Path, frames: Frames, inputs: BenchInputs) -> None:
    height, width = inputs.frames_FHWC.shape[1:3]
    write_montage(path, [frames], len(inputs.frames_FHWC), inputs.fps, grid_of(height, width, 1))
