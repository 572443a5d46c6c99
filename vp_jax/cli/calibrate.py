"""Measure once how a model's estimates drift from step to step, for ``vp-jax sample --step_cache``.

    vp-jax calibrate --checkpoint DIR                                drawn clips of the model's size
    vp-jax calibrate --checkpoint DIR --video in.mp4 --mask mask.mp4 --prompt "a red fox runs"

Writes DIR/step_cache.json. Each clip is one window and is sampled completely.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError

if TYPE_CHECKING:
    from vp_jax.inference.measured_drift import MeasuredClip
    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.inference.settings import Settings

FIRST_SEED = 20_000_000
"""Of the drawn clips: seeds that neither training nor benchmarks use."""


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    inputs = parser.add_argument_group("input")
    inputs.add_argument("--checkpoint", type=Path, required=True, help="folder of converted weights")
    inputs.add_argument(
        "--video", type=Path, help="a video of your own, with --mask and --prompt; default: drawn clips"
    )
    inputs.add_argument("--mask", type=Path, help="white where it is generated")
    inputs.add_argument("--prompt", help="what the finished video shows")
    inputs.add_argument("--clips", type=int, default=4, help="drawn clips")
    inputs.add_argument("--steps", type=int, default=50, help="denoising steps; the file serves every number of them")
    inputs.add_argument("--guidance", type=float, help="default: the model's")
    parser.add_argument_group("output").add_argument("--out", type=Path, help="default: CHECKPOINT/step_cache.json")


def run(args: argparse.Namespace) -> None:
    """Measure, write, and print which steps the usual factors reuse."""
    from vp_jax.inference.measured_drift import measure_drift
    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.inference.step_cache import STEP_CACHE_FILE, reused_by, write_drift

    given = [name for name in ("video", "mask", "prompt") if getattr(args, name) is not None]
    if given and len(given) < 3:
        raise UserError(f"--{' --'.join(given)}: expected --video, --mask and --prompt together, or none of them")
    if args.clips < 1 or args.steps < 2:
        raise UserError(f"--clips {args.clips} --steps {args.steps}: expected at least 1 clip and 2 steps")
    pipeline = Pipeline.load(args.checkpoint)
    changes = {} if args.guidance is None else {"guidance": args.guidance}
    settings = pipeline.settings.changed(steps=args.steps, **changes)
    clips = _given(args, pipeline, settings) if given else _drawn(args.clips, pipeline, settings)
    drift, out = measure_drift(pipeline, settings, clips), args.out or args.checkpoint / STEP_CACHE_FILE
    write_drift(out, drift)
    print(f"{out}: drifts of {args.steps} steps")
    for factor in ("1.5x", "2x"):
        reused = reused_by(drift, pipeline.schedule, settings.changed(step_cache=factor))
        print(f"--step_cache {factor}: {args.steps - len(reused)} of {args.steps} steps are computed")


def _drawn(count: int, pipeline: Pipeline, settings: Settings) -> Iterator[MeasuredClip]:
    import numpy as np

    from vp_jax.inference.measured_drift import MeasuredClip
    from vp_jax.world.scene import caption
    from vp_jax.world.synthetic import make_scene, masked_thing, render

    seed = FIRST_SEED
    while count:
        scene, seed = make_scene(seed), seed + 1
        if scene.things:
            count -= 1
            drawn = render(scene, np.arange(settings.window), *pipeline.native_size)
            thing_FHW = drawn.reach(masked_thing(scene, seed, settings.window))
            yield MeasuredClip(drawn.frames_FHWC, thing_FHW, caption(scene))


def _given(args: argparse.Namespace, pipeline: Pipeline, settings: Settings) -> list[MeasuredClip]:
    import numpy as np

    from vp_jax.inference.inputs import Mask, Video
    from vp_jax.inference.measured_drift import MeasuredClip

    request = pipeline.request(Video.read(args.video), Mask.read(args.mask), settings=settings)
    frames, holes = (
        np.stack([array_FHW[number] for number in range(min(settings.window, len(request.video)))])
        for array_FHW in (request.video.frames_FHWC, request.holes_FHW)
    )
    return [MeasuredClip(request.fit.frames(frames), request.fit.holes(holes), args.prompt)]
