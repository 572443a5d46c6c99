"""The sampling step of the 5B-I2V model, compiled for TPU chips you do not have: memory, collectives, roofline.

    JAX_PLATFORMS=cpu python -m bench.compile_sampling v6e:2x4 --mesh data=2,context=4

One denoising step of a window of 49 frames of 480 x 720 with classifier-free guidance: the two halves of the batch over
``data``, the sequence over ``context``. Needs the extra ``aot``. Exit status 1 if it does not fit.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from vp_jax import sharding
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.sampler import LoopState
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram
from vp_jax.models.attention import choose
from vp_jax.models.config import BranchConfig
from vp_jax.models.inpaint import Condition
from vp_jax.models.variants import variant
from vp_jax.planning import aot


def main() -> int:
    """Command line; 1 if the step does not fit."""
    parser = Parser(description=__doc__)
    parser.add_argument("where", help="chips: v6e:2x4, v4:2x2x2, v5p:2x2x2 ... or local")
    parser.add_argument("--mesh", default="data=2,context=-1")
    parser.add_argument("--name", default="cogvideox-5b-i2v")
    args = parser.parse_args()
    try:
        sizes = {axis: int(size) for axis, size in (part.split("=") for part in args.mesh.split(","))}
    except ValueError as error:
        raise UserError(f"--mesh {args.mesh!r}: expected AXIS=SIZE,AXIS=SIZE") from error
    goal = aot.target(args.where)
    mesh = sharding.make_mesh(sizes, goal.devices)

    named = variant(args.name)
    types = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    backend = choose(dtype="bfloat16", head_dim=named.backbone.head_dim, platform=goal.platform)
    models = Models(
        dataclasses.replace(named.backbone, **types, attention=backend),
        BranchConfig(dataclasses.replace(named.branch.dit, **types, attention=backend)),
        dataclasses.replace(named.vae, **types),
    )
    program = WindowProgram(models, Settings(), Schedule(snr_shift=named.snr_shift))

    def shape(*dims: int, dtype: object = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(dims, dtype, sharding=sharding.replicated(mesh))

    params = {name: tree for name, (_, tree) in models.abstract().items()}
    params = sharding.placed({**params, "loras": []}, mesh)
    clip = shape(1, 13, 60, 90, 16)
    condition = Condition(clip, shape(1, 13, 60, 90), shape(1, 13 * 30 * 45, dtype=jnp.bool_))
    latents = WindowLatents(clip if models.takes_image else None, clip, condition)
    cfg = models.backbone_cfg
    key = jax.eval_shape(lambda: jax.random.key(0))
    noise = KeyNoise(sharding.shapes_at(key, sharding.replicated(mesh)))

    step = jax.jit(
        lambda params, state, index, latents, text, noise: program.denoise_step(
            params, state, index, WindowInputs(latents, text, None, noise)
        )[0],
        donate_argnums=1,
    )
    report = aot.report(
        "sampling_step",
        mesh,
        0,
        step,
        params,
        LoopState(clip, clip),
        shape(dtype=jnp.int32),
        latents,
        shape(2, cfg.max_text_len, cfg.text_dim, dtype=jnp.bfloat16),
        noise,
    )
    print(f"{goal.name}: {len(goal.devices)} x {goal.devices[0].device_kind}, mesh {dict(mesh.shape)}")
    for line in aot.lines(report, goal, None):
        print(line)
    return int(bool(report.too_big) or (goal.hbm is not None and report.total > goal.hbm * aot.GB))


if __name__ == "__main__":
    run_cli(main)
