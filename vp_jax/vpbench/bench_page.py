"""The page of a benchmark: the table, figures, every clip with all methods side by side, failures. No network.

Clips are sorted by any score of any method, worst first; methods are sorted by any column. Videos are inside the page
up to `PAGE_MEGABYTES`, else in a folder beside it. A content policy forbids every request and foreign script.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.eval.scores import SCORES
from vp_jax.files import replacing, write_text
from vp_jax.jobs.report.html_text import address, document, inline, safe, tag
from vp_jax.media.frames import Frames, mapped
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import BenchClip
from vp_jax.vpbench.figures import forest
from vp_jax.vpbench.methods import open_result
from vp_jax.vpbench.montage import Grid, grid_of, with_hole, write_montage
from vp_jax.vpbench.paper import PAPER_CAVEAT, PAPER_COLUMNS, PAPER_TABLES
from vp_jax.vpbench.results_table import GroupTable
from vp_jax.vpbench.rows import SCORED, UNUSABLE, BenchRow
from vp_jax.vpbench.written_tables import interval_text, number_text

PAGE_MEGABYTES = 24
VIDEOS = "page_videos"
"""Folder of the videos that do not fit into the page."""

ResultPlaces = Mapping[tuple[str, str, int], Path]
"""Files of results by clip, method and seed."""


class PageCase(NamedTuple):
    """A clip with one seed, as the page shows it.

    Attributes:
      clip: its description.
      seed: of the methods that have several.
      rows: by method.
      video: of all panels; None if it could not be made.
      grid: of the panels.
      labels: of the panels.
      methods: method of each panel, "" of source and truth.
      fault: why there is no video.
    """

    clip: BenchClip
    seed: int
    rows: dict[str, BenchRow]
    video: Path | None
    grid: Grid | None
    labels: list[str]
    methods: list[str]
    fault: str


def write_page(
    path: Path,
    benchmark: Benchmark,
    rows: Sequence[BenchRow],
    tables: Sequence[GroupTable],
    places: ResultPlaces,
    *,
    most: int | None = None,
) -> Path:
    """Write the page.

    Args:
      path: .html.
      benchmark: its clips are opened again.
      rows: see `vp_jax.vpbench.rows.merged_rows`.
      tables: see `vp_jax.vpbench.results_table.group_tables`.
      places: where results are.
      most: at most so many clips, the worst ones of the best method; None: all.

    Raises:
      UserError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="vp_jax_bench") as folder:
        chosen = _worst_first(benchmark, rows, tables[0], most)
        cases = list(_cases(chosen, rows, tables[0], places, Path(folder)))
        videos = [case.video for case in cases if case.video]
        inside = sum(video.stat().st_size for video in videos) <= PAGE_MEGABYTES * 2**20
        if not inside:
            with replacing(path.parent / VIDEOS) as partial:
                partial.mkdir()
                for video in videos:
                    (partial / video.name).write_bytes(video.read_bytes())
        sources = {
            video: inline(video.read_bytes(), "video/mp4") if inside else address(f"{VIDEOS}/{video.name}")
            for video in videos
        }
        write_text(path, page_text(benchmark.name, cases, rows, tables, sources))
    return path


def page_text(
    name: str,
    cases: Sequence[PageCase],
    rows: Sequence[BenchRow],
    tables: Sequence[GroupTable],
    sources: Mapping[Path, str],
) -> str:
    """The page as text; ``sources`` are the addresses of the cases' videos."""
    style = resources.files("vp_jax.jobs.report").joinpath("page.css").read_text()
    style += resources.files(__package__).joinpath("bench.css").read_text()
    script = resources.files(__package__).joinpath("bench.js").read_text()
    failed = [row for row in rows if row.state == UNUSABLE]
    title = f"Benchmark {name}"
    lead = f"{tables[0].clips} clips, {len(tables[0].rows)} methods; {len(failed)} of {len(rows)} rows failed"
    body = [
        f"<h1>{safe(title)}</h1><p class=lead>{safe(lead)}. Means with 95 % bootstrap intervals over clips and "
        "seeds; a click on a column sorts by it.</p>",
        "".join(_table(table, hidden=number > 0) for number, table in enumerate(tables)),
        _paper(name),
        "<h2>Scores of all clips</h2>"
        + tag("div", "".join(forest(tables[0], score) for score in tables[0].scores), "forests"),
        _failures(failed),
        "<h2>Clip by clip</h2>" + _controls(tables),
        tag("div", "".join(_card(number, case, sources) for number, case in enumerate(cases)), "cards"),
    ]
    policy = "default-src 'none'; img-src data:; media-src data: file: 'self'; style-src 'unsafe-inline'"
    return document(title, style, "".join(body), _data(cases, tables), script, policy=policy)


def _worst_first(
    benchmark: Benchmark, rows: Sequence[BenchRow], table: GroupTable, most: int | None
) -> list[BenchClip]:
    """The clips, worst of the best method first."""
    shown, score = table.rows[0].method, first_score(table)
    sign = 1 if SCORES[score].better == "higher" else -1
    values: dict[str, float] = {}
    for row in rows:
        value = row.values.get(score, math.nan)
        if row.method == shown and row.state == SCORED and not isinstance(value, list) and not math.isnan(value):
            values[row.clip] = min(values.get(row.clip, math.inf), sign * value)
    order = sorted(benchmark.clips, key=lambda clip: values.get(clip.name, -math.inf))
    return order[:most]


def first_score(table: GroupTable) -> str:
    """The score that a page sorts by first: one of the hole, if there is one."""
    return next((name for name in table.scores if name.endswith("_hole")), table.scores[0])


def _cases(
    clips: Sequence[BenchClip], rows: Sequence[BenchRow], table: GroupTable, places: ResultPlaces, folder: Path
) -> Iterator[PageCase]:
    methods = [row.method for row in table.rows]
    for number, clip in enumerate(clips):
        own = [row for row in rows if row.clip == clip.name]
        first = {method: min((row.seed for row in own if row.method == method), default=0) for method in methods}
        for seed in sorted({row.seed for row in own}) or [0]:
            by_key = {(row.method, row.seed): row for row in own}
            shown = {m: by_key.get((m, seed)) or by_key.get((m, first[m])) for m in methods}
            present = {method: row for method, row in shown.items() if row is not None}
            yield _case(clip, seed, present, places, folder / f"{number:04d}_{seed}.mp4")


def _case(clip: BenchClip, seed: int, rows: dict[str, BenchRow], places: ResultPlaces, out: Path) -> PageCase:
    try:
        inputs = clip.open()
        holes_FHW = inputs.holes_FHW
        source = mapped(
            inputs.frames_FHWC, lambda f, frame_HWC: with_hole(frame_HWC, holes_FHW[f]), inputs.frames_FHWC.shape[1:]
        )
        panels: list[Frames | None] = [source]
        labels, names = ["source, hole tinted"], [""]
        if inputs.truth_FHWC is not None and inputs.truth_FHWC is not inputs.frames_FHWC:
            panels, labels, names = [*panels, inputs.truth_FHWC], [*labels, "truth"], [*names, ""]
        elif inputs.truth_FHWC is not None:
            panels, labels, names = [*panels, inputs.frames_FHWC], [*labels, "truth: the source"], [*names, ""]
        for method, row in rows.items():
            place = places.get((clip.name, method, row.seed))
            panels.append(open_result(place, inputs, cut=True) if row.state == SCORED and place else None)
            labels.append(method)
            names.append(method)
        grid = grid_of(inputs.frames_FHWC.shape[1], inputs.frames_FHWC.shape[2], len(panels))
        write_montage(out, panels, len(inputs.frames_FHWC), inputs.fps, grid)
    except Exception as error:  # the page shows the other clips
        return PageCase(clip, seed, rows, None, None, [], [], f"{type(error).__name__}: {error}")
    return PageCase(clip, seed, rows, out, grid, labels, names, "")


def _data(cases: Sequence[PageCase], tables: Sequence[GroupTable]) -> dict[str, Any]:
    """What the script needs."""
    shown = []
    for case in cases:
        values = {
            method: {
                name: value
                for name, value in row.values.items()
                if not isinstance(value, list) and not math.isnan(value)
            }
            for method, row in case.rows.items()
        }
        grid = case.grid
        panels = [] if grid is None else [[*grid.place(n)] for n in range(len(case.labels))]
        size = [] if grid is None else [grid.height, grid.width]
        shown.append({"group": case.clip.group, "values": values, "panels": panels, "size": size, "of": case.methods})
    return {
        "cases": shown,
        "better": {name: SCORES[name].better for name in tables[0].scores},
        "method": tables[0].rows[0].method,
        "score": first_score(tables[0]),
    }


def _table(table: GroupTable, *, hidden: bool) -> str:
    arrows = {"higher": "&#8593;", "lower": "&#8595;"}
    heads = "".join(
        f'<th scope=col><button data-sort="{safe(name)}">{safe(name)} {arrows[SCORES[name].better]}</button></th>'
        for name in table.scores
    )
    lines = []
    for row in table.rows:
        cells = "".join(
            f'<td data-value="{row.values[name].mean!r}"{" class=best" if row.method in table.best(name) else ""}>'
            f"{safe(interval_text(row.values[name]))}</td>"
            for name in table.scores
        )
        lines.append(
            f'<tr><th scope=row>{safe(row.method)}</th>{cells}<td data-value="{row.rank!r}">'
            f"{safe(number_text(row.rank))}</td><td>{row.clips}</td><td>{row.failed}</td></tr>"
        )
    top = f'<tr><th scope=col>Method</th>{heads}<th scope=col><button data-sort="rank">rank &#8595;</button></th>'
    inner = f"<thead>{top}<th>clips</th><th>failed</th></tr></thead><tbody>{''.join(lines)}</tbody>"
    opened = "" if hidden else " open"
    return (
        f"<details class=group{opened}><summary>{safe(table.group)}: {table.clips} clips</summary>"
        f'<div class=wide><table class="scores">{inner}</table></div></details>'
    )


def _paper(name: str) -> str:
    paper = PAPER_TABLES.get(name)
    if paper is None:
        return ""
    head = "".join(tag("th", safe(column)) for column in ("Method", *PAPER_COLUMNS))
    lines = "".join(
        tag("tr", tag("td", safe(method)) + "".join(tag("td", f"{value:.2f}") for value in values))
        for method, values in paper.rows.items()
    )
    return (
        f"<details class=group><summary>The paper, table {paper.number}: {safe(paper.title)}</summary>"
        f'<div class=wide><table class="scores">{tag("tr", head)}{lines}</table></div>'
        f"<p class=lead>{safe(PAPER_CAVEAT)}</p></details>"
    )


def _failures(failed: Sequence[BenchRow]) -> str:
    if not failed:
        return ""
    lines = "".join(
        f"<li class=warns>{safe(row.clip)}, {safe(row.method)}, seed {row.seed}: {safe(row.error)}</li>"
        for row in failed
    )
    return f"<h2>{len(failed)} failures</h2>{tag('ul', lines, 'said')}"


def _controls(tables: Sequence[GroupTable]) -> str:
    table = tables[0]
    groups = [other.group for other in tables]
    selects = {
        "method": [row.method for row in table.rows],
        "score": table.scores,
        "group": groups,
    }
    chosen = {"score": first_score(table)}
    parts = []
    for name, values in selects.items():
        options = "".join(
            f"<option{' selected' if value == chosen.get(name) else ''}>{safe(value)}</option>" for value in values
        )
        parts.append(f"<label>{name} <select class=by-{name}>{options}</select></label>")
    return (
        f'<div class="controls order">{"".join(parts)}<label>order <select class=by-order><option value=worst>worst '
        "first</option><option value=best>best first</option></select></label><span class=at></span></div>"
    )


def _card(number: int, case: PageCase, sources: Mapping[Path, str]) -> str:
    clip = case.clip
    head = f"<h3>{safe(clip.name)} <small>{safe(clip.group)}, seed {case.seed}</small></h3>"
    prompt = f"<p class=lead>{safe(clip.prompt)}</p>" if clip.prompt else ""
    errors = "".join(
        f"<li class=warns>{safe(method)}: {safe(row.error)}</li>" for method, row in case.rows.items() if row.error
    )
    errors += f"<li class=warns>{safe(case.fault)}</li>" if case.fault else ""
    listed = tag("ul", errors, "said") if errors else ""
    if case.video is None:
        return f"<article data-case={number}>{head}{prompt}{listed}</article>"
    figures = "".join(
        f'<figure><canvas></canvas><figcaption>{safe(label)} <b data-method="{safe(method)}"></b></figcaption></figure>'
        for label, method in zip(case.labels, case.methods)
    )
    video = f'<video src="{safe(sources[case.video])}" muted loop playsinline controls preload="none"></video>'
    return (
        f"<article data-case={number}>{head}{prompt}{listed}{video}<div class=panels hidden>{figures}</div></article>"
    )
