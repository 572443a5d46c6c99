"""Every setting changes what it says, and only that: the sampler of a video written out beside the real one.

`by_hand` is the published algorithm as one plain loop over windows and steps, with one line for each setting. The real
pipeline must agree with it for every value, and a changed setting must change the result.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.tiny import BRANCH, DIT, VAE_CFG
from vp_jax.diffusion import steps as samplers
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.models.config import Injection
from vp_jax.models.id_resample import PreviousWindow, Resample
from vp_jax.models.inpaint import Condition, predict
from vp_jax.shapes import nearest_index

pytestmark = pytest.mark.slow  # every setting is a program of its own to compile

FRAMES = 17
BASE = Settings(
    steps=2, guidance=3.0, dynamic_guidance=False, sampler="ddim", window=9, overlap=1, seed=1, hole_fill="mean"
)
CHANGES = [
    ("steps", 3, BASE),
    ("guidance", 5.0, BASE),
    ("guidance", 1.0, BASE),  # off
    ("dynamic_guidance", True, BASE),
    ("guidance_start", 0.5, BASE),
    ("guidance_stop", 0.5, BASE),
    ("sampler", "dpm", BASE),
    ("window", 5, BASE),
    ("overlap", 5, BASE),
    ("mode", "reference", dataclasses.replace(BASE, hole_fill="black")),
    ("hole_fill", "black", BASE),
    ("clip_weight", 0.5, BASE),
    ("injection", Injection(scale=0.25), BASE),
    ("injection", Injection(tokens="all"), BASE),
    ("injection", Injection(tokens="partial"), BASE),
    ("replace_background", False, BASE),
    # the last block's hints reach the background alone, which must not be replaced for the schedule to show
    ("injection", Injection(schedule="first"), dataclasses.replace(BASE, replace_background=False)),
    ("seed", 2, BASE),
]
"""A setting, another value, and the settings in which it is changed."""


@pytest.fixture(scope="module")
def video():
    """Frames with black holes, the holes in whole latent cells from frame 1 on, and a prompt."""
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (FRAMES, 32, 32, 3), np.uint8)
    holes = np.zeros((FRAMES, 32, 32), bool)
    holes[1:, 8:24, 0:16] = True
    frames[holes] = 0
    return frames, holes, Prompt(*rng.standard_normal((2, 3, 6), np.float32))


@functools.partial(jax.jit, static_argnums=(0, 1))
def velocities(models, injection, params, x, image, condition, text, t, previous, weight):
    """Of both prompts, and the states after every block."""
    resample = None
    if previous is not None:
        own = jnp.pad(condition.tokens_BN, ((0, 0), (3, 0)))
        resample = Resample(False, own, previous, weight)
    out = predict(
        models.backbone(params),
        models.branch(params),
        x,
        image,
        condition,
        text,
        jnp.full((2,), t),
        injection=injection,
        resample=resample,
        record_states=True,
    )
    return out.sample, out.recorded


@functools.partial(jax.jit, static_argnums=0)
def posterior(models, params, pixels):
    return models.vae(params).encode(pixels)


def by_hand(pipeline, video, settings):
    """Latents of the whole video, (1, T, h, w, C)."""
    frames, holes, prompt = video
    text = np.stack([prompt.negative_ME, prompt.positive_ME])
    pair = lambda tree: jax.tree.map(lambda a: jnp.concatenate([a, a]), tree)  # noqa: E731
    window, stride = settings.window, settings.window - settings.overlap
    total, weights = np.zeros((1, (FRAMES - 1) // 4 + 1, 4, 4, 4)), np.zeros((1, (FRAMES - 1) // 4 + 1, 1, 1, 1))
    latents = previous = None
    for k, start in enumerate(range(0, FRAMES - window + 1, stride)):
        key = jax.random.key(settings.seed)

        def draw(number, shape):
            if settings.mode == "reference":  # every window has its own noise
                return np.asarray(jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, k), number), shape))  # noqa: B023
            frames = range(k * stride // 4, k * stride // 4 + shape[1])  # noqa: B023
            keys = [jax.random.fold_in(jax.random.fold_in(key, number), frame) for frame in frames]  # noqa: B023
            return np.stack([jax.random.normal(one, (shape[0], *shape[2:])) for one in keys], axis=1)

        def encode(pixels, number):
            found = posterior(pipeline.models, pipeline.params, jnp.asarray(pixels))
            return VAE_CFG.scaling_factor * (found.mean_BThwC + found.std_BThwC * draw(number, found.mean_BThwC.shape))

        pixels = frames[None, start : start + window].astype(np.float32) / 127.5 - 1
        hole = holes[None, start : start + window]
        filled = pixels
        if settings.hole_fill == "mean":
            frames_kept = [frame[~there].mean(0) for frame, there in zip(pixels[0], hole[0])]
            filled = np.where(hole[..., None], np.stack(frames_kept)[None, :, None, None], pixels)
        source = encode(filled.astype(np.float32), 1)
        if latents is None:
            first = encode(pixels[:, :1], 0)
        else:  # the latent at which this window starts
            first = latents[:, latents.shape[1] - 1 - settings.overlap // 4][:, None]
        image = np.concatenate([first, np.zeros_like(source[:, 1:])], axis=1)
        masked = source
        if settings.mode == "reference" or settings.hole_fill != "black":
            masked = encode(np.where(hole[..., None], 0, pixels) if settings.mode == "reference" else pixels, 3)
        mask = hole[:, nearest_index(window, source.shape[1]), ::8, ::8].astype(np.float32)
        condition = Condition.of(jnp.asarray(masked), jnp.asarray(mask), 2)
        by_list = settings.mode != "reference"
        table = samplers.SAMPLERS[settings.sampler].table(pipeline.schedule, settings.steps, by_list=by_list)
        noise = x = draw(2, source.shape)
        old = np.zeros_like(x)
        for i, t in enumerate(table.timestep.tolist()):
            row = samplers.row_at(table, i)
            before = previous
            if previous is not None and settings.mode == "reference" and i:
                before = PreviousWindow(previous.states_LBSD, jnp.pad(pair(condition).tokens_BN, ((0, 0), (3, 0))))
            both, states = velocities(
                pipeline.models,
                settings.injection,
                pipeline.params,
                pair(jnp.asarray(x)),
                pair(jnp.asarray(image)),
                pair(condition),
                text,
                t,
                before,
                settings.clip_weight,
            )
            scale = settings.guidance
            if settings.dynamic_guidance:
                scale = 1 + scale * (1 - math.cos(math.pi * ((settings.steps - t) / settings.steps) ** 5)) / 2
            on = settings.guidance > 1 and settings.guidance_start <= i / settings.steps < settings.guidance_stop
            v = both[0] + scale * (both[1] - both[0]) if on else both[1]
            eps = draw(4 + i, x.shape) if settings.sampler == "dpm" else None
            x, old = samplers.update(row, jnp.asarray(x), v[None], jnp.asarray(old), eps)
            if settings.replace_background:
                x = np.where(mask[..., None] > 0, x, row.next_signal * source + row.next_sigma * noise)
        latents = np.asarray(x)
        if settings.clip_weight:
            previous = PreviousWindow(states, jnp.pad(pair(condition).tokens_BN, ((0, 0), (3, 0))))
        # overlapping latents are averaged, outside reference mode with weights that rise and fall, and a later window's
        # first, which stands for one frame, yields to the others
        T, shared, ramp = latents.shape[1], settings.overlap // 4, settings.mode != "reference"
        for t in range(1 if ramp and k > 0 else 0, T):
            weight = min(1, t / (shared + 1)) if ramp and k > 0 else 1
            weight *= min(1, (T - t) / (shared + 1)) if ramp and start + stride + window <= FRAMES else 1
            total[:, k * (T - shared - 1) + t] += weight * latents[:, t]
            weights[:, k * (T - shared - 1) + t] += weight
    return total / weights


@pytest.fixture(scope="module")
def sampled(pipeline, video):
    return functools.cache(lambda settings: pipeline.sample_latents(*video, settings))


def test_every_setting_is_tested():
    apart = {"joint", "step_cache", "background_every"}  # see test_joint.py, test_step_cache.py, test_near_hole.py
    assert {field for field, _, _ in CHANGES} | apart == {field.name for field in dataclasses.fields(Settings)}


def test_the_plain_settings_are_those_written_out(pipeline, video, sampled):
    assert (DIT.num_layers, BRANCH.dit.num_layers) == (2, 1)
    assert relative_error(sampled(BASE), by_hand(pipeline, video, BASE)) < 1e-5


@pytest.mark.parametrize("field, value, base", CHANGES, ids=[f"{field}={value}" for field, value, _ in CHANGES])
def test_a_setting_changes_what_it_says_and_only_that(pipeline, video, sampled, field, value, base):
    settings = dataclasses.replace(base, **{field: value})
    assert relative_error(sampled(settings), by_hand(pipeline, video, settings)) < 1e-5
    assert relative_error(sampled(settings), sampled(base)) > 1e-3, f"{field} does nothing"
