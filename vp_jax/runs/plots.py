"""Curves of a training run as one picture: ``vp-jax plots``. Needs matplotlib (extra ``train``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.files import replacing
from vp_jax.scalars import METRICS_FILE, read_metrics

CURVES = (
    ("loss", ("loss", "loss_whole", "loss_hole"), True),
    ("norms", ("grad_norm", "param_norm", "update_norm"), True),
    ("learning rate", ("lr",), False),
    ("examples / s", ("examples_per_s",), False),
    ("share of the step", ("data_wait", "mfu"), False),
)
"""Title, metrics, logarithmic."""


def draw_curves(run: Path, out: Path) -> Path:
    """Draw the curves of ``run`` to the picture ``out``.

    Raises:
      UserError: no metrics there, no matplotlib, or a format that it does not know.
    """
    lines = read_metrics(run)
    if not lines:
        raise UserError(f"no {METRICS_FILE} with steps in {run}: expected the workdir of a training run")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'vp_jax[train]'") from error
    figure = Figure(figsize=(13, 7), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, (title, names, logarithmic) in zip(axes, CURVES):
        for name in names:
            _curve(axis, lines, name)
        axis.set(title=title, xlabel="step")
        if logarithmic:
            axis.set_yscale("log")
        if axis.lines:
            axis.legend(fontsize=8)
    _timesteps(axes[-1], lines)
    figure.suptitle(f"{run.resolve().name}, step {lines[-1]['step']}")
    with replacing(out) as partial:
        try:
            figure.savefig(partial, dpi=110)
        except ValueError as error:  # an ending that matplotlib does not know
            raise UserError(f"{out}: {error}") from error
    return out


def _curve(axis: Any, lines: list[dict[str, Any]], name: str) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if not points:
        return
    steps, values = map(np.array, zip(*points))
    window = max(1, len(values) // 20)
    drawn = axis.plot(steps, values, linewidth=1, alpha=0.35 if window > 1 else 1, label=None if window > 1 else name)
    if window > 1:
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(steps[window - 1 :], smooth, color=drawn[0].get_color(), label=name)


def _timesteps(axis: Any, lines: list[dict[str, Any]]) -> None:
    """Mean loss of the last quarter of the run by range of timesteps, which differs by orders of magnitude."""
    recent = lines[-max(1, len(lines) // 4) :]
    names = sorted({name for line in lines for name in line if name.startswith("loss_t")})
    means = [np.mean([line[name] for line in recent if name in line] or [np.nan]) for name in names]
    axis.bar(range(len(names)), means)
    axis.set_xticks(range(len(names)), [name.removeprefix("loss_t") for name in names], fontsize=7, rotation=45)
    axis.set(title="loss by timestep, last quarter", yscale="log")
