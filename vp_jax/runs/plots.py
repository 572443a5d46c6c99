"""Curves of training runs as one picture: ``vp-jax plots``. Needs matplotlib (extra ``train``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.files import replacing
from vp_jax.scalars import METRICS_FILE, read_metrics

Lines = list[dict[str, Any]]

CURVES: tuple[tuple[str, tuple[str, ...] | str, bool], ...] = (
    ("loss", ("loss", "loss_whole", "loss_hole"), True),
    ("held-out loss", ("val_loss", "val_loss_raw"), True),
    (
        "held-out hole, dB",
        ("val_hole_psnr", "val_hole_psnr_raw", "val_hole_psnr_stretched_frame", "val_hole_psnr_diffusion")
        + ("val_hole_psnr_vae",),
        False,
    ),
    ("norms", ("grad_norm", "param_norm", "update_norm"), True),
    ("gradient norms of parts", "grad_norm_", True),
    ("learning rate", ("lr",), False),
    ("examples / s", ("examples_per_s",), False),
    ("share of the step", ("data_wait", "mfu"), False),
)
"""Title, metrics or how their names begin, logarithmic."""

COMPARED = (
    ("loss", "loss", True),
    ("held-out loss", "val_loss", True),
    ("held-out hole, dB", "val_hole_psnr", False),
    ("held-out sharpness in the hole", "val_hole_sharpness", False),
    ("gradient norm", "grad_norm", True),
    ("examples / s", "examples_per_s", False),
)
"""Title, metric, logarithmic, of the picture of several runs."""


def draw_curves(run: Path, out: Path) -> Path:
    """Draw the curves of ``run`` to the picture ``out``.

    Raises:
      UserError: no metrics there, no matplotlib, or a format that it does not know.
    """
    lines = _lines(run)

    def draw(figure: Any) -> None:
        axes = figure.subplots(3, 3).ravel()
        for axis, (title, names, logarithmic) in zip(axes, CURVES):
            if isinstance(names, str):
                names = tuple(sorted({name for line in lines for name in line if name.startswith(names)}))
            for name in names:
                _curve(axis, lines, name, name)
            _finish(axis, title, logarithmic)
        _timesteps(axes[-1], lines)
        figure.suptitle(f"{run.resolve().name}, step {lines[-1]['step']}")

    return _draw(draw, (13, 10.5), out)


def draw_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Draw several runs into one picture, a colour for each.

    Raises:
      UserError: a run without metrics, no matplotlib, or a format that it does not know.
    """
    found = [(_label(run, runs), _lines(run)) for run in runs]

    def draw(figure: Any) -> None:
        for axis, (title, name, logarithmic) in zip(figure.subplots(2, 3).ravel(), COMPARED):
            for number, (label, lines) in enumerate(found):
                _curve(axis, lines, name, label, f"C{number}")
            _finish(axis, title, logarithmic)

    return _draw(draw, (13, 7), out)


def _label(run: Path, runs: Sequence[Path]) -> str:
    """The folder's name, with its parent's where two have the same."""
    path = run.resolve()
    alone = sum(other.resolve().name == path.name for other in runs) == 1
    return path.name if alone else f"{path.parent.name}/{path.name}"


def _lines(run: Path) -> Lines:
    lines = read_metrics(run)
    if not lines:
        raise UserError(f"no {METRICS_FILE} with steps in {run}: expected the workdir of a training run")
    return lines


def _draw(draw: Callable[[Any], None], size: tuple[float, float], out: Path) -> Path:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'vp_jax[train]'") from error
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    with replacing(out) as partial:
        try:
            figure.savefig(partial, dpi=110)
        except ValueError as error:  # an ending that matplotlib does not know
            raise UserError(f"{out}: {error}") from error
    return out


def _finish(axis: Any, title: str, logarithmic: bool) -> None:
    axis.set(title=title, xlabel="step")
    if logarithmic:
        axis.set_yscale("log")
    if axis.lines:
        axis.legend(fontsize=8)


def _curve(axis: Any, lines: Lines, name: str, label: str, colour: str | None = None) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if not points:
        return
    steps, values = map(np.array, zip(*points))
    window = max(1, len(values) // 20)
    drawn = axis.plot(
        steps,
        values,
        color=colour,
        linewidth=1.5,
        alpha=0.35 if window > 1 else 1,
        label=None if window > 1 else label,
        marker="." if len(values) == 1 else None,
    )
    if window > 1:
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(steps[window - 1 :], smooth, color=drawn[0].get_color(), label=label)


def _timesteps(axis: Any, lines: Lines) -> None:
    """Mean loss of the last quarter of the run by range of timesteps, which differs by orders of magnitude."""
    recent = lines[-max(1, len(lines) // 4) :]
    names = sorted({name for line in lines for name in line if name.startswith("loss_t")})
    means = [np.mean([line[name] for line in recent if name in line] or [np.nan]) for name in names]
    axis.bar(range(len(names)), means)
    axis.set_xticks(range(len(names)), [name.removeprefix("loss_t") for name in names], fontsize=7, rotation=45)
    axis.set(title="loss by timestep, last quarter", yscale="log")
