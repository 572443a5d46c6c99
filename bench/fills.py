"""What the holes should hold where the background is encoded (`Settings.hole_fill`), measured on held-out drawn clips.

    python -m bench.fills --clips 64

The first table needs no sampling: how far the latents of kept cells are from those of the true video, by their distance
to the hole. The second samples every clip with every fill. The same command continues after an interruption.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bench.ablation import arguments, setup_of
from bench.nano import cases, paper, runner, tables
from bench.nano.variants import SHIPPED, Variant
from bench.timing import machine
from vp_jax.cli.program import run_cli
from vp_jax.inference.hole_fill import fill_holes
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import FILLS
from vp_jax.jobs import compile_cache, packaged
from vp_jax.jobs.progress import Progress
from vp_jax.media.masks import dilate
from vp_jax.models.latent_grid import cover_cells, masks_to_latent_grid

DISTANCES = (1, 2, 3, 4)
"""Latent cells to the nearest hole of the same latent frame; the last row of the table is what is farther."""
METRICS = ("hole_psnr", "hole_ssim", "background_psnr", "temporal_error")
VARIANTS = [Variant(fill, f"holes {fill}", settings={**SHIPPED, "hole_fill": fill}) for fill in FILLS]


def leaks(pipeline: Pipeline, clips: Sequence[cases.Case]) -> dict[str, list[float]]:
    """Mean squared error of kept latents, as a share of the latents' variance, for each fill by distance.

    Frame 0 is given, as in `bench.ablation`.
    """

    @functools.partial(jax.jit, static_argnums=3)
    def latents_of(params: object, frames_BFHWC: jax.Array, holes_BFHW: jax.Array, fill: str) -> jax.Array:
        filled = fill_holes(frames_BFHWC, holes_BFHW, fill)
        mean: jax.Array = pipeline.models.vae(params).encode(filled).mean_BThwC  # type: ignore[arg-type]
        return mean

    errors: dict[str, list[list[np.ndarray]]] = {fill: [[] for _ in range(len(DISTANCES) + 1)] for fill in FILLS}
    truths = []
    for clip in clips:
        holes_FHW = clip.holes_FHW.copy()
        holes_FHW[0] = False
        holes_FHW = cover_cells(holes_FHW)
        pixels_BFHWC = jnp.asarray(clip.truth_FHWC[None], jnp.float32) / 127.5 - 1
        black_BFHWC = jnp.where(holes_FHW[None, ..., None], -1, pixels_BFHWC)
        holes_BFHW = jnp.asarray(holes_FHW[None], jnp.float32)
        truth = np.asarray(latents_of(pipeline.params, pixels_BFHWC, holes_BFHW, "black"))[0]
        truths.append(truth)
        rings = _rings(masks_to_latent_grid(holes_FHW))
        for fill in FILLS:
            found = np.asarray(latents_of(pipeline.params, black_BFHWC, holes_BFHW, fill))[0]
            for values, ring_Thw in zip(errors[fill], rings):
                values.append(((found - truth)[ring_Thw] ** 2).ravel())
    variance = float(np.concatenate([truth.ravel() for truth in truths]).var())
    return {fill: [float(np.concatenate(part).mean()) / variance for part in rows] for fill, rows in errors.items()}


def _rings(holes_Thw: np.ndarray) -> list[np.ndarray]:
    """Kept cells at each of `DISTANCES`, then those farther away."""
    rings, reached = [], holes_Thw
    for _ in DISTANCES:
        grown = dilate(reached, 1)
        rings.append(grown & ~reached)
        reached = grown
    return [*rings, ~reached]


def leak_table(found: dict[str, list[float]]) -> str:
    """Markdown of `leaks`."""
    heads = [*(f"{distance} cell{'s' * (distance > 1)} away" for distance in DISTANCES), "farther"]
    lines = ["| holes | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    lines += [f"| {fill} | " + " | ".join(f"{value:.4f}" for value in row) + " |" for fill, row in found.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--clips", type=int, default=64, help="held-out clips")
    args = parser.parse_args(argv)
    setup = setup_of(args)
    compile_cache.keep(None)
    clips = list(cases.inpainting(args.clips))
    leaked = leaks(Pipeline.load(setup.model, precision="float32"), clips)
    jobs = [runner.job(setup, variant, "fills", clips) for variant in VARIANTS]
    with Progress() as progress:
        runner.run(setup, jobs, progress)
    folder = args.docs or args.out
    folder.mkdir(parents=True, exist_ok=True)
    lines = paper.differences(VARIANTS, runner.values(setup, jobs, "hole_psnr"), "black", "dB")
    text = "\n".join(
        [
            f"# What the holes hold where the background is encoded\n\n{args.clips} held-out clips, frame 0 given and "
            f"not counted; holes grown by {packaged.GROW} pixels and to complete cells; {setup.steps} steps, guidance "
            f"{setup.guidance:g}.\n\n`python -m bench.fills --clips {args.clips}` on {machine()}\n",
            "Error of kept latents against those of the true video, as a share of the latents' variance:\n",
            leak_table(leaked),
            "\nSampled:\n",
            tables.table(jobs, runner.summaries(setup, jobs), METRICS, setup),
            "\nPSNR in the hole, clip by clip:\n",
            *(f"- {line}" for line in lines),
            "",
        ]
    )
    (folder / "fills.md").write_text(text)
    print(text)


if __name__ == "__main__":
    run_cli(main)
