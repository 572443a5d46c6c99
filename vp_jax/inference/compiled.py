"""A window's programs, compiled once for all windows, steps and seeds, beside the weights that they read."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import Any, NamedTuple

import jax

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.sampler import LoopState
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models, Params
from vp_jax.inference.near_hole import check_model
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry, WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram
from vp_jax.models.background_cache import KeptBackground
from vp_jax.sharding import HOST


class CompiledWindow:
    """The parts of a `WindowProgram`, each jitted, bound to their weights."""

    def __init__(
        self, models: Models, params: Params, schedule: Schedule, settings: Settings, reused: tuple[int, ...] = ()
    ) -> None:
        # seed, step cache and full steps are no part of a program: others compile nothing new
        plain = dataclasses.replace(settings, seed=0, step_cache=None, background_every=1)
        self._jitted = jit_window(WindowProgram(models, plain, schedule))
        self._params, self._placement, self._reused = params, placement(params), frozenset(reused)
        check_model(models, settings, len(self._placement.device_set))
        every = dataclasses.replace(plain, background_every=settings.background_every)
        changed = reused or every != plain
        program = self._jitted.program
        self.program = dataclasses.replace(program, settings=every, reused=reused) if changed else program
        """The pure functions."""

    def put(self, tree: Any) -> Any:
        """Arrays committed to where the weights are: else jit compiles anew once its own outputs come back."""
        return jax.device_put(tree, self._placement)

    def encode(
        self,
        pixels_BFHWC: jax.Array,
        holes_BFHW: jax.Array,
        carry: Carry | None,
        noise: NoiseSource,
        quad_BFHW: jax.Array | None = None,
    ) -> WindowLatents:
        """Encode a window; its image condition is its first frame, or the latent where the last one left off."""
        image = None
        with on_mesh(self._placement):
            if self.program.models.takes_image and carry is None:
                image = self._jitted.encode_image(self._params, pixels_BFHWC[:, :1], noise)
            elif self.program.models.takes_image and carry is not None:
                image = self.program.image_of(carry)
            latents: WindowLatents = self._jitted.encode(
                self._params, pixels_BFHWC, holes_BFHW, image, noise, quad_BFHW
            )
        return latents

    def denoise_step(
        self, state: LoopState, index: int, inputs: WindowInputs, *, record: bool, room: int | None = None
    ) -> tuple[LoopState, jax.Array | None]:
        """See `WindowProgram.denoise_step`."""
        after: tuple[LoopState, jax.Array | None]
        settings = self.program.settings
        with on_mesh(self._placement):
            guided = not settings.guided or settings.guided_at(index)
            reuse = index in self._reused if state.estimates is not None else None
            after = self._jitted.denoise_step(
                self._params, state, index, inputs, record=record, room=room, guided=guided, reuse=reuse
            )
        return after

    def near_step(
        self, state: LoopState, index: int, inputs: WindowInputs, background: KeptBackground | None, *, room: int
    ) -> tuple[LoopState, KeptBackground]:
        """See `WindowProgram.near_step`; returns the background for the next step, a hole step that which it read."""
        with on_mesh(self._placement):
            state, left = self._jitted.near_step(self._params, state, index, inputs, background, room=room)
        kept = background if left is None else left
        assert kept is not None
        return state, kept

    def step(
        self,
        state: LoopState,
        index: int,
        inputs: WindowInputs,
        background: KeptBackground | None,
        near: int | None,
        record: bool,
        room: int | None,
    ) -> tuple[LoopState, jax.Array | None, KeptBackground | None]:
        """The state after `denoise_step` or, with places ``near`` the hole, after `near_step`; what each leaves."""
        if near is None:
            return *self.denoise_step(state, index, inputs, record=record, room=room if record else None), None
        state, background = self.near_step(state, index, inputs, background, room=near)
        return state, None, background


def placement(params: Params) -> jax.sharding.Sharding:
    """Where small inputs go: beside the weights, complete on every device of their mesh."""
    sharding: jax.sharding.Sharding = jax.tree.leaves(params)[0].sharding
    if sharding.memory_kind == HOST:
        sharding = sharding.with_memory_kind("device")
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding


def on_mesh(placement: jax.sharding.Sharding) -> contextlib.AbstractContextManager[Any]:
    """Where a program runs whose inputs are at ``placement``: models divide their activations over this mesh."""
    mesh = getattr(placement, "mesh", None)
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)


class JittedWindow(NamedTuple):
    """A `WindowProgram` and its jitted functions, which take the weights first."""

    program: WindowProgram
    encode: Any
    encode_image: Any
    denoise_step: Any
    near_step: Any


@functools.lru_cache(maxsize=8)
def jit_window(program: WindowProgram) -> JittedWindow:
    """The jitted functions of a program; equal programs share them, and so what is compiled."""
    # of the settings, encoding depends on these alone: others compile nothing new
    mode, fill = program.settings.mode, program.settings.hole_fill
    put_back = program.models.inpaint_kind is None or program.settings.replace_background
    settings = Settings(mode=mode, hole_fill=fill, replace_background=put_back)
    encoding = dataclasses.replace(program, settings=settings, schedule=Schedule())
    return JittedWindow(
        program,
        *_jit_encoding(encoding),
        jax.jit(program.denoise_step, static_argnames=("record", "room", "guided", "reuse")),
        jax.jit(program.near_step, static_argnames=("room",)),
    )


@functools.lru_cache(maxsize=8)
def _jit_encoding(program: WindowProgram) -> tuple[Any, Any]:
    return jax.jit(program.encode), jax.jit(program.encode_image)
