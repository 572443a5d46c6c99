"""CogVideoX-Fun-InP and VOID: sampled as PyTorch samples them, and asked for nothing that they cannot do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler

from tests.compare import relative_error
from tests.inpainting import save_inpainting
from tests.tiny import VAE_CFG, save_tiny, tiny_clip, tiny_pipeline
from vp_jax.errors import UserError
from vp_jax.inference import conditioned
from vp_jax.inference.conditioned import regions_of
from vp_jax.inference.inputs import Mask
from vp_jax.inference.models import Models
from vp_jax.inference.padded import pad_video
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import window_noise
from vp_jax.media.frames import mapped
from vp_jax.media.quadmask import quadmask
from vp_jax.models import rope

CLIP = tiny_clip()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A checkpoint folder and its transformer in PyTorch, of each kind."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in ("fun_inp", "void")}
    return {kind: (folder, save_inpainting(folder, kind)) for kind, folder in made.items()}


@pytest.fixture(scope="module")
def pipelines(folders):
    return {kind: Pipeline.load(folder, precision="float32") for kind, (folder, _) in folders.items()}


def encoded(pipeline, pixels_FHWC):
    """Means of the VAE, scaled, channels first."""
    mean = jax.jit(lambda params, x: pipeline.models.vae(params).encode(x).mean_BThwC)
    latents = pipeline.models.vae_cfg.scaling_factor * mean(pipeline.params, jnp.asarray(pixels_FHWC)[None])
    return torch.from_numpy(np.array(latents)).permute(0, 1, 4, 2, 3)


def published_channels(kind, pipeline, frames_FHWC, holes_FHW, quad_FHW):
    """Input channels behind the noisy ones, as the published programs make them."""
    pixels = frames_FHWC.astype(np.float32) / 127.5 - 1
    if kind == "void":
        inverted = (255 - quad_FHW[..., None].astype(np.float32)) / 255
        inverted = np.where(inverted > 0.75, 1, np.where(inverted < 0.25, 0, np.float32(127 / 255)))
        grey = np.repeat(1 - inverted, 3, axis=3).astype(np.float32)
        return torch.cat([encoded(pipeline, grey), encoded(pipeline, pixels)], dim=2)
    black = np.where(holes_FHW[..., None], np.float32(-1), pixels)
    kept = torch.from_numpy(1 - holes_FHW.astype(np.float32))[None, None]
    parts = [
        torch.nn.functional.interpolate(part, size=(1, 4, 4), mode="trilinear", align_corners=False)
        for part in (kept[:, :, :1], kept[:, :, 1:])
    ]
    mask = torch.cat(parts, dim=2).permute(0, 2, 1, 3, 4) * pipeline.models.vae_cfg.scaling_factor
    return torch.cat([mask, encoded(pipeline, black)], dim=2)


def published_latents(theirs, channels, noise_BThwC, prompt, settings):
    """Latents after all steps of diffusers' transformer and scheduler."""
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(settings.steps)
    x = torch.from_numpy(np.array(noise_BThwC)).permute(0, 1, 4, 2, 3)
    text = torch.from_numpy(prompt.batch(settings.guided).copy())
    rotary = tuple(torch.from_numpy(np.repeat(t, 2, axis=1)) for t in rope.rotation(1, 2, 2, 16, 0, stretch=False)[:2])
    for t in scheduler.timesteps:
        with torch.no_grad():
            given = torch.cat([x, channels], dim=2).repeat(len(text), 1, 1, 1, 1)
            v = theirs(given, text, t.expand(len(text)), image_rotary_emb=rotary)[0]
        if settings.guided:
            v = v[:1] + settings.guidance * (v[1:] - v[:1])
        x = scheduler.step(v, t, x, return_dict=False)[0]
    return x.permute(0, 1, 3, 4, 2).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("kind, guidance", [("fun_inp", 3.0), ("void", 1.0)])
def test_a_window_is_sampled_as_by_pytorch(folders, pipelines, kind, guidance):
    pipeline, (frames, holes, prompt) = pipelines[kind], CLIP
    settings = pipeline.settings.changed(steps=2, guidance=guidance)
    removed_FHW = holes[:5]
    (_, affected_FHW), hole_FHW = regions_of(removed_FHW, None)
    quad_FHW = quadmask(removed_FHW, affected_FHW)
    if kind == "fun_inp":
        hole_FHW, quad_FHW = removed_FHW, None
    padded = pad_video(frames[:5], hole_FHW, settings, None, quad_FHW)
    (event,) = [e for e in pipeline.windows(padded, prompt, settings) if hasattr(e, "carry")]
    channels = published_channels(kind, pipeline, frames[:5], padded.holes_FHW, quad_FHW)
    noise = window_noise(settings, 0).named("initial", (1, 2, 4, 4, 4))
    want = published_latents(folders[kind][1], channels, noise, prompt, settings)
    assert relative_error(np.asarray(event.carry.latents_BThwC), want) < 1e-5


def test_such_a_checkpoint_has_the_settings_and_the_size_of_its_program(folders, pipelines):
    for kind, pipeline in pipelines.items():
        described = Pipeline.describe(folders[kind][0])
        own = {"sampler": "ddim", "dynamic_guidance": False, "replace_background": False}
        own |= {"guidance": 1.0, "joint": True} if kind == "void" else {}
        assert pipeline.settings == described.settings == Settings(window=5, **own)
        assert "branch" not in pipeline.params and pipeline.native_size == (32, 32)
        assert [path.name for path in pipeline.folders] == ["transformer", "vae"]
    grid = {"sample_frames": 49, "sample_height": 60, "sample_width": 90}
    fun, void = (
        Models(dataclasses.replace(pipelines[kind].models.backbone_cfg, **grid), None, VAE_CFG) for kind in pipelines
    )
    assert conditioned.own_settings(void)["window"] == conditioned.own_settings(fun)["window"] == 85
    assert conditioned.native_size(void) == (384, 672) and conditioned.native_size(fun) == (480, 720)
    assert Settings(window=85).overlap_latents == 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fun_inp", "void"])
def test_a_longer_video_comes_out_complete_and_unchanged_outside_of_its_hole(pipelines, kind):
    frames, holes, prompt = CLIP
    result = pipelines[kind](frames, holes, prompt, task="remove", steps=2, fit="letterbox")
    assert result.frames_FHWC.shape == frames.shape
    _, hole_FHW = regions_of(Mask(holes).fitted(result.request.video, 0), None)
    outside = ~(hole_FHW if kind == "void" else holes)
    np.testing.assert_array_equal(result.frames_FHWC[outside], frames[outside])
    assert (result.frames_FHWC[holes] != frames[holes]).any()


@pytest.mark.slow
def test_replaced_background_is_the_source_s_latents(pipelines):
    frames, holes, prompt = CLIP
    pipeline, nothing = pipelines["fun_inp"], np.zeros_like(holes[:5])
    found = {}
    for replaced in (True, False):
        settings = pipeline.settings.changed(steps=2, replace_background=replaced)
        events = pipeline.windows(pad_video(frames[:5], nothing, settings), prompt, settings)
        found[replaced] = next(np.asarray(event.carry.latents_BThwC) for event in events if hasattr(event, "carry"))
    pixels = jnp.asarray(frames[None, :5], jnp.float32) / 127.5 - 1
    posterior = jax.jit(lambda params, x: pipeline.models.vae(params).encode(x))(pipeline.params, pixels)
    noise = window_noise(settings, 0).named("video", posterior.mean_BThwC.shape)
    want = pipeline.models.vae_cfg.scaling_factor * posterior.sample(noise)
    assert relative_error(found[True], want) < 1e-5 and relative_error(found[False], want) > 0.1


def test_what_may_change_is_the_mask_that_is_given_or_the_surroundings():
    removed = np.zeros((2, 64, 64), bool)
    removed[:, 20:30, 20:30] = True
    (same, around), hole = regions_of(removed, None)
    assert same is removed and around[0, 16:34, 16:34].sum() == 18 * 18 - 100 and not (around & removed).any()
    np.testing.assert_array_equal(hole, removed | around)
    other = np.zeros_like(removed)
    other[:, 25:, 25:] = True
    (_, affected), hole = regions_of(removed, other)
    np.testing.assert_array_equal(hole, removed | other)
    assert affected is other
    streamed = mapped(removed, lambda number, hole_HW: hole_HW, removed.shape[1:])
    (_, around_streamed), hole_streamed = regions_of(streamed, None)
    np.testing.assert_array_equal(np.stack(list(around_streamed)), around)
    np.testing.assert_array_equal(np.stack(list(hole_streamed)), around | removed)


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("void", {"task": "fill"}, "task fill: this model removes what is there, expected `task` remove"),
        ("void", {"extend": "left=16", "task": "remove"}, "extend: this model removes"),
        (
            "void",
            {"task": "remove", "first_frame": np.zeros((32, 32, 3), np.uint8)},
            "first_frame: this model is shown",
        ),
        ("fun_inp", {"affected": CLIP[1]}, "affected: this model fills the hole alone"),
        ("fun_inp", {"window": 9}, r"window 9: expected 5, 13, 21 ... 8 n \+ 5, this model pairs latent frames"),
        ("fun_inp", {"mode": "reference"}, "mode reference: expected default"),
        ("fun_inp", {"clip_weight": 0.5}, "clip_weight 0.5: expected 0, a fun_inp model has no ID adapter"),
    ],
)
def test_what_such_a_model_cannot_do_is_one_line(pipelines, kind, options, message):
    frames, holes, prompt = CLIP
    with pytest.raises(UserError, match=message):
        pipelines[kind](frames, holes, prompt, **options)


def test_another_model_takes_no_affected_mask(pipeline):
    frames, holes, prompt = CLIP
    with pytest.raises(UserError, match="expected a VOID checkpoint, or no `affected`"):
        pipeline(frames, holes, prompt, task="remove", affected=holes)


def test_parts_without_a_place_are_one_line(tmp_path, folders):
    save_inpainting(tmp_path / "ofs", "fun_inp", ofs_dim=8)
    with pytest.raises(UserError, match="with an ofs embedding, expected one without"):
        Pipeline.describe(tmp_path / "ofs")
    save_tiny(tmp_path / "usual", tiny_pipeline())
    with pytest.raises(UserError, match="a void transformer takes no ID adapter"):
        Pipeline.describe(folders["void"][0], loras=[(tmp_path / "usual" / "id_adapter", 1.0)])
