"""Markdown tables, a bar chart and a sheet of pictures of finished results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.nano.cases import Case
from bench.nano.paper import PSNR_SSIM
from bench.nano.results import METRICS
from bench.nano.runner import Job, Setup, picture_file, strip
from bench.nano.variants import Variant
from vp_jax.errors import UserError
from vp_jax.eval.bootstrap import Interval
from vp_jax.eval.video_metrics import MAX_PSNR
from vp_jax.media.pictures import ACCENT, FAINT, PictureRow, grid, masked


def table(
    jobs: Sequence[Job], found: Mapping[str, Mapping[str, Interval]], metrics: Sequence[str], setup: Setup
) -> str:
    """Table with one row per variant; rows without weights name the command that trains them."""
    with_paper = any(job.variant.paper for job in jobs)
    heads = ["variant", *(METRICS[name] for name in metrics), "clips", *["paper: PSNR, SSIM"] * with_paper]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for job in jobs:
        variant = job.variant
        psnr_ssim = PSNR_SSIM.get(variant.paper)
        paper = f"{psnr_ssim[0]:.2f}, {psnr_ssim[1]:.2f}" if psnr_ssim else ""
        values = found.get(variant.name)
        if values is None:
            command = f"`{variant.command(setup.model, setup.runs)}`" if variant.run else "the model has no such part"
            cells = [f"absent: {command}" if job.absent else "not finished", *[""] * len(metrics)]
        else:
            cells = [*(_cell(values[name]) for name in metrics), str(max(v.clips for v in values.values()))]
        label = f"**{variant.label}**" if variant.name == "default" else variant.label
        lines.append("| " + " | ".join([label, *cells, *[paper] * with_paper]) + " |")
    return "\n".join(lines)


def _cell(value: Interval) -> str:
    if math.isnan(value.mean):
        return ""
    if value.low >= MAX_PSNR:
        return "exact"
    digits = 3 if abs(value.mean) < 1.5 else 2
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def figure(
    path: Path, groups: Sequence[tuple[str, str, Sequence[Variant], Mapping[str, Mapping[str, Interval]]]]
) -> None:
    """Draw bars with intervals, one panel for each (title, metric, variants, intervals by variant).

    Raises:
      UserError: Matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise UserError("the figure needs Matplotlib: pip install 'vp_jax[bench]'") from error
    most = max(sum(v.name in found for v in variants) for _, _, variants, found in groups)
    picture = matplotlib.figure.Figure((7.2 * len(groups), 1.3 + 0.42 * most), layout="constrained")
    for axes, (title, metric, variants, found) in zip(picture.subplots(1, len(groups), squeeze=False)[0], groups):
        rows = [variant for variant in variants if variant.name in found][::-1]
        means = np.array([found[v.name][metric].mean for v in rows])
        bounds = np.array([[found[v.name][metric].low, found[v.name][metric].high] for v in rows])
        colours = [
            "#ff7a3d" if v.name in ("default", "id") else "#b9bec9" if v.kind != "model" else "#5f7fa8" for v in rows
        ]
        axes.barh(
            range(len(rows)),
            means,
            xerr=np.abs(bounds.T - means),
            color=colours,
            capsize=3,
            height=0.7,
            error_kw={"linewidth": 1.2},
        )
        for row, (mean, (_, high)) in enumerate(zip(means, bounds)):
            axes.annotate(f"{mean:.1f}", (high, row), xytext=(5, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(rows)), [v.label for v in rows])
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(METRICS[metric])
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=110)


def sheet(
    path: Path, out: Path, rows: Sequence[tuple[str, str, Case]], variants: Sequence[Variant], truth: str = "truth"
) -> bool:
    """Draw stored results: for each (title, split, case) the source, the truth and every variant with a picture.

    Args:
      path: file to write.
      out: folder of results.
      rows: title, split and case of each group.
      variants: variants to show.
      truth: label of the truth.

    Returns:
      False, without writing a file, if there is no picture.
    """
    lines: list[PictureRow] = []
    for title, split, case in rows:
        files = [(v.label, picture_file(out, split, v.name, case.name)) for v in variants]
        files = [(label, file) for label, file in files if file.is_file()]
        if not files:
            continue
        lines.append(PictureRow(f"{title}: {case.prompt}", colour=ACCENT))
        if (case.source_FHWC != case.truth_FHWC).any():
            lines.append(PictureRow("source", [_enlarged(strip(case.source_FHWC))]))
        hatched = np.stack([masked(*pair) for pair in zip(case.source_FHWC, case.holes_FHW)])
        lines.append(PictureRow("given", [_enlarged(strip(hatched))]))
        lines.append(PictureRow(truth, [_enlarged(strip(case.truth_FHWC))]))
        for label, file in files:
            lines.append(PictureRow(label, [_enlarged(np.asarray(Image.open(file).convert("RGB")))], FAINT))
    if not lines:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(lines, left=314, gap=4, margin=16, font_size=13).save(path)
    return True


def _enlarged(picture_HWC: np.ndarray) -> np.ndarray:
    size = picture_HWC.shape[1] * 3 // 2, picture_HWC.shape[0] * 3 // 2
    return np.asarray(Image.fromarray(picture_HWC).resize(size, Image.Resampling.LANCZOS))
