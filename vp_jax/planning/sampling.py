"""The programs of sampling, with shapes in place of arrays: T5, VAE and one denoising step in its variants."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import sharding, trees
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference import compiled, decode
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram
from vp_jax.models import lora, t5
from vp_jax.models.background_cache import room_near
from vp_jax.models.config import BranchConfig
from vp_jax.models.folder import abstract_model
from vp_jax.models.id_resample import PreviousWindow, room_for
from vp_jax.models.vae.convs import choose_conv
from vp_jax.models.vae.vae import DECODE_CHUNK
from vp_jax.planning.case import Case, Prepared, bytes_of
from vp_jax.training import flops
from vp_jax.training.stages.id_adapter import adapter_config

MASKED = 0.25
"""Part of the video tokens that is masked: the ID adapter keeps and reads the states of no others."""

CLIP_WEIGHT = 0.5
"""Any weight above 0: the number itself is a constant of the program."""


class ShapedSampler(NamedTuple):
    """A window program and the shapes of its weights and of the parts of a clip.

    Attributes:
      program, params: of the sampler.
      clip: arguments of `WindowProgram.encode` behind the weights: pixels, holes, image condition, noise.
      latents: what it returns.
    """

    program: WindowProgram
    params: Any
    clip: tuple[Any, ...]
    latents: WindowLatents

    def waiting(self, *read: str) -> int:
        """Bytes on one device of the weights but for the parts ``read``, such as ``backbone`` or ``vae/decoder``."""
        flat = trees.flatten({**self.params, "loras": dict(enumerate(self.params["loras"]))})
        return bytes_of([leaf for path, leaf in flat.items() if not path.startswith(read)])

    @property
    def jitted(self) -> Any:
        """The functions that `vp_jax.inference.compiled.CompiledWindow` calls."""
        return compiled.jit_window(self.program)


def sampler(case: Case, settings: Settings | None = None, *, adapter: bool = False) -> ShapedSampler:
    """The sampler of a case.

    Args:
      case: model and devices.
      settings: of sampling; default: those of a person who chooses none.
      adapter: with the ID adapter.
    """
    models, params = _models(case, adapter)
    settings = dataclasses.replace(settings or Settings(window=case.clip[0]), seed=0)
    schedule = case.variant.schedule
    return ShapedSampler(WindowProgram(models, settings, schedule), params, *_clip(case))


@functools.lru_cache(maxsize=8)
def _models(case: Case, adapter: bool) -> tuple[Models, Any]:
    named, cfg, dtype = case.variant, adapter_config(), jnp.dtype(case.precision)
    types: dict[str, Any] = {"dtype": case.precision, "param_dtype": case.precision}
    form = {**types, "attention": case.attention, "weights": case.weights}
    backbone = dataclasses.replace(named.backbone, **form)
    small = {**form, "weights": "" if case.weights == "host" else case.weights}
    branch = BranchConfig(dataclasses.replace(named.branch.dit, **small))
    conv = choose_conv(named.vae.conv, dtype=case.precision, platform=case.platform)
    vae = dataclasses.replace(named.vae, **types, conv=conv)
    models = Models(backbone, branch, vae, (cfg,) if adapter else ())
    shapes: dict[str, Any] = {name: tree for name, (_, tree) in models.abstract().items()} | {"loras": []}
    if adapter and case.weights != "int8":  # merged before rounding to 8 bits
        fresh = functools.partial(lora.init, cfg, shapes["backbone"])
        shapes["loras"] = [jax.eval_shape(lambda key: trees.cast(fresh(key), dtype), case.key())]
    return models, sharding.placed(shapes, case.mesh)


@functools.lru_cache(maxsize=8)
def _clip(case: Case) -> tuple[tuple[Any, ...], WindowLatents]:
    models, params = _models(case, False)
    frames, height, width = case.clip
    program = WindowProgram(models, Settings(window=frames), Schedule())
    noise, image = KeyNoise(case.key()), None
    if models.takes_image:
        frame = case.array(1, 1, height, width, 3)
        image = case.copies(jax.eval_shape(program.encode_image, params, frame, noise))
    clip = case.array(1, frames, height, width, 3), case.array(1, frames, height, width), image, noise
    return clip, case.copies(jax.eval_shape(program.encode, params, *clip))


def text(case: Case) -> Prepared | None:
    """T5 on the prompt and the negative prompt; ``None`` for models without a text encoder."""
    if case.variant.t5 is None:
        return None
    graph, shapes = abstract_model(
        dataclasses.replace(case.variant.t5, dtype=case.precision, param_dtype=case.precision)
    )
    encoder = nnx.merge(graph, sharding.placed({"t5": shapes}, case.mesh)["t5"])
    ids_BM = case.array(2, case.variant.backbone.max_text_len, dtype=jnp.int32)
    return Prepared(t5.encode_text, (encoder, ids_BM), {}, "")  # before the other weights are loaded


def encode_image(case: Case) -> Prepared | None:
    """VAE on the first frame; ``None`` for models without an image condition."""
    made = sampler(case)
    pixels, _, image, noise = made.clip
    if image is None:
        return None
    frame = case.array(1, 1, *pixels.shape[2:])
    return Prepared(made.jitted.encode_image, (made.params, frame, noise), {}, "", made.waiting("vae/encoder"))


def encode(case: Case, *, mode: str = "default") -> Prepared:
    """VAE on a window, twice: for the background that is put back and for the context encoder."""
    made = sampler(case, Settings(window=case.clip[0], mode=mode))
    return Prepared(made.jitted.encode, (made.params, *made.clip), {}, "", made.waiting("vae/encoder"))


def step(
    case: Case, *, adapter: bool = False, previous: bool = False, record: bool = False, mode: str = "default"
) -> Prepared:
    """One denoising step under guidance.

    Args:
      case: model and devices.
      adapter: with the ID adapter.
      previous: it reads the states of the previous window.
      record: it keeps its states for the next window.
      mode: of `Settings`.
    """
    weight = CLIP_WEIGHT if previous or record else 0.0
    made = sampler(case, Settings(window=case.clip[0], clip_weight=weight, mode=mode), adapter=adapter)
    program, cfg = made.program, made.program.models.backbone_cfg
    words_BME, before = case.array(2, cfg.max_text_len, cfg.text_dim), None
    tokens = flops.video_tokens(cfg, *made.latents.video_BThwC.shape[1:4])
    length = cfg.max_text_len + tokens
    room = room_for(round(MASKED * tokens)) if adapter and mode != "reference" else None
    if previous:
        states = case.array(cfg.num_layers, 2, room or length, cfg.dim, dtype=jnp.dtype(cfg.dtype))
        before = PreviousWindow(states, case.array(2, length, dtype=jnp.bool_))
    inputs = WindowInputs(made.latents, words_BME, before, made.clip[-1])
    state = case.copies(jax.eval_shape(program.begin, inputs))
    arguments = (made.params, state, case.array(dtype=jnp.int32), inputs)
    waiting = made.waiting("backbone", "branch", "loras")
    static = {"record": record, "room": room if record else None}
    return Prepared(made.jitted.denoise_step, arguments, static, case.attention, waiting)


def near_step(case: Case, *, hole: bool, masked: float = MASKED) -> Prepared | None:
    """One step where the background is computed at some steps only; ``None`` for models that cannot.

    Args:
      case: model and devices.
      hole: a hole step, otherwise a full one.
      masked: part of the video tokens that are near the hole.
    """
    made = sampler(case, Settings(window=case.clip[0], background_every=2))
    cfg, (T, h, w) = made.program.models.backbone_cfg, made.latents.video_BThwC.shape[1:4]
    if made.program.models.inpaint_kind is not None or case.mesh.size > 1:
        return None
    inputs = WindowInputs(made.latents, case.array(2, cfg.max_text_len, cfg.text_dim), None, made.clip[-1])
    tokens = flops.video_tokens(cfg, T, h, w)
    state = case.copies(jax.eval_shape(made.program.begin, inputs))
    arguments = (made.params, state, case.array(dtype=jnp.int32), inputs)
    room = room_near(round(masked * tokens), tokens)
    background = None
    if hole:
        full = jax.eval_shape(functools.partial(made.program.near_step, room=room), *arguments, None)
        background = case.copies(full[1])
    waiting = made.waiting("backbone", "branch")
    return Prepared(made.jitted.near_step, (*arguments, background), {"room": room}, case.attention, waiting)


def decode_chunk(case: Case, *, first: bool) -> Prepared:
    """VAE on a chunk of latents: the first of a video, or one that continues."""
    made = sampler(case)
    models, size = made.program.models, made.latents.video_BThwC.shape[2:]
    begin, waiting = case.array(1, DECODE_CHUNK + 1, *size), made.waiting("vae/decoder")
    if first:
        return Prepared(decode.decode_pixels, (models, made.params, begin, None), {}, "", waiting)
    cache = jax.eval_shape(lambda params, x: decode.decode_pixels(models, params, x, None)[1], made.params, begin)
    following = case.array(1, DECODE_CHUNK, *size)
    return Prepared(decode.decode_pixels, (models, made.params, following, case.copies(cache)), {}, "", waiting)
