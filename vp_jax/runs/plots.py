"""Curves of training runs as one picture: ``vp-jax plots``. Needs matplotlib (extra ``train``)."""

from __future__ import annotations

import functools
import itertools
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

_MOST_INSIDE = 3
"""Curves whose names find room among them; those of more stand below the panel."""

_COLOURS = tuple(f"C{number}" for number in range(10)) + ("black", "gold", "navy", "lime", "darkred", "teal")

_BY_TIMESTEP = "loss_t"
"""How losses by range of timesteps begin."""

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
    held = {name for line in lines for name in line}
    panels: list[Callable[[Any], None]] = []
    for title, names, logarithmic in CURVES:
        drawn = sorted(name for name in held if name.startswith(names)) if isinstance(names, str) else names
        if kept := [name for name in drawn if name in held]:
            curves = [(lines, name, _short(name, names), None) for name in kept]
            panels.append(functools.partial(_panel, title, curves, logarithmic))
    if any(name.startswith(_BY_TIMESTEP) for name in held):
        panels.append(functools.partial(_timesteps, lines))
    return _draw(panels, f"{run.resolve().name}, step {lines[-1]['step']}", out)


def draw_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Draw several runs into one picture, a colour for each.

    Raises:
      UserError: a run without metrics, no matplotlib, or a format that it does not know.
    """
    found = [(_label(run, runs), _lines(run)) for run in runs]
    panels: list[Callable[[Any], None]] = []
    for title, name, logarithmic in COMPARED:
        curves = [(lines, name, label, f"C{number}") for number, (label, lines) in enumerate(found)]
        if any(name in line for _, lines in found for line in lines):
            panels.append(functools.partial(_panel, title, curves, logarithmic))
    return _draw(panels, "", out)


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


def _draw(panels: Sequence[Callable[[Any], None]], title: str, out: Path) -> Path:
    """Write a picture of panels, three in a row."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'vp_jax[train]'") from error
    if not panels:
        raise UserError(
            f"{out}: nothing to draw, the metrics hold none of {', '.join(name for _, name, _ in COMPARED)}"
        )
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(13 / 3 * columns, 3.5 * rows), layout="constrained")
    for axis, panel in itertools.zip_longest(figure.subplots(rows, columns, squeeze=False).ravel(), panels):
        axis.set_axis_off() if panel is None else panel(axis)
    figure.suptitle(title)
    with replacing(out) as partial:
        try:
            figure.savefig(partial, dpi=110)
        except ValueError as error:  # an ending that matplotlib does not know
            raise UserError(f"{out}: {error}") from error
    return out


def _short(name: str, names: tuple[str, ...] | str) -> str:
    """What a curve is called where its panel's title says how its name begins."""
    return name.removeprefix(names) if isinstance(names, str) else name


def _panel(title: str, curves: Sequence[tuple[Lines, str, str, str | None]], logarithmic: bool, axis: Any) -> None:
    """Draw curves, each of (lines of a run, metric, label, colour)."""
    many = len(curves) > _MOST_INSIDE
    for number, (lines, name, label, colour) in enumerate(curves):
        _curve(axis, lines, name, label, colour or (_COLOURS[number % len(_COLOURS)] if many else None))
    axis.set(title=title, xlabel="step")
    if logarithmic:
        axis.set_yscale("log")
        _plain_numbers(axis)
    if axis.lines:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 3, "fontsize": 6, "frameon": False}
        axis.legend(**below if many else {"fontsize": 8})


def _plain_numbers(axis: Any) -> None:
    """Numbers such as 0.04 at a logarithmic axis, between powers of ten only where there is room."""
    least, most = axis.get_ylim()
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}" if most < 15 * least else "")


def _curve(axis: Any, lines: Lines, name: str, label: str, colour: str | None) -> None:
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


def _timesteps(lines: Lines, axis: Any) -> None:
    """Mean loss of the last quarter of the run by range of timesteps, which differs by orders of magnitude."""
    recent = lines[-max(1, len(lines) // 4) :]
    names = sorted({name for line in lines for name in line if name.startswith(_BY_TIMESTEP)})
    means = [np.mean([line[name] for line in recent if name in line] or [np.nan]) for name in names]
    axis.bar(range(len(names)), means)
    axis.set_xticks(range(len(names)), [name.removeprefix(_BY_TIMESTEP) for name in names], fontsize=7, rotation=45)
    axis.set(title="loss by timestep, last quarter", yscale="log")
    _plain_numbers(axis)
