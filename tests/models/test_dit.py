"""The backbone against diffusers at random tiny sizes, and at full size by shape alone."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed, get_timestep_embedding
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.convert import dit as dit_table
from vp_jax.convert import engine
from vp_jax.errors import UserError
from vp_jax.models import rope
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT
from vp_jax.models.layers import sinusoid

MANIFESTS = Path(__file__).parent.parent / "manifests"

VARIANTS = {
    # name: (description, latents (T, h, w), text tokens)
    "t2v_rope": (DiTConfig(3, 16, 3, text_dim=10, time_dim=12, max_text_len=5), (3, 6, 10), 4),
    "t2v_sincos": (
        DiTConfig(
            2,
            24,
            2,
            text_dim=10,
            time_dim=12,
            max_text_len=5,
            rope=False,
            sample_height=6,
            sample_width=8,
            sample_frames=9,
        ),
        (3, 6, 8),
        5,
    ),
    "t2v_sincos_other_size": (
        DiTConfig(
            2,
            24,
            2,
            text_dim=10,
            time_dim=12,
            max_text_len=5,
            rope=False,
            sample_height=6,
            sample_width=8,
            sample_frames=9,
        ),
        (2, 8, 6),
        5,
    ),
    "i2v": (
        DiTConfig(
            2,
            32,
            4,
            in_channels=32,
            text_dim=8,
            time_dim=16,
            max_text_len=3,
            learned_positions=True,
            sample_height=4,
            sample_width=12,
            sample_frames=5,
        ),
        (2, 4, 12),
        3,
    ),
    "i2v_other_length": (
        DiTConfig(
            2,
            32,
            2,
            in_channels=32,
            text_dim=8,
            time_dim=16,
            max_text_len=3,
            learned_positions=True,
            sample_height=4,
            sample_width=12,
            sample_frames=5,
        ),
        (4, 4, 12),
        3,
    ),
    "1.5_t2v": (
        DiTConfig(2, 16, 2, text_dim=8, time_dim=8, max_text_len=4, patch_t=2, sample_height=8, sample_width=12),
        (4, 6, 10),
        4,
    ),
    "1.5_i2v": (
        DiTConfig(
            3,
            16,
            2,
            in_channels=32,
            text_dim=8,
            time_dim=8,
            max_text_len=4,
            patch_t=2,
            ofs_dim=8,
            sample_height=8,
            sample_width=12,
        ),
        (2, 4, 6),
        4,
    ),
}


def random_torch(cfg, seed=0):
    torch.manual_seed(seed)
    model = CogVideoXTransformer3DModel(**dit_table.config_to_torch(cfg)).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(0.1 * torch.randn_like(tensor))
    return model


def ours_of(model, cfg):
    graph, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    return nnx.merge(graph, engine.to_ours(state, dit_table.RULES, dit_table.IGNORED, shapes))


@pytest.mark.parametrize("name", VARIANTS)
def test_forward_equals_diffusers(name):
    cfg, (T, h, w), text_len = VARIANTS[name]
    model = random_torch(cfg)
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((2, T, h, w, cfg.in_channels), np.float32)
    text = rng.standard_normal((2, text_len, cfg.text_dim), np.float32)
    t = np.array([17, 830])
    rotary = None
    if cfg.rope:
        table = rope.rotation(T // (cfg.patch_t or 1), h // 2, w // 2, cfg.head_dim, 0, stretch=not cfg.patch_t)
        rotary = tuple(torch.from_numpy(np.repeat(x, 2, axis=1)) for x in table)
    ofs = np.full((1,), 2.0, np.float32) if cfg.ofs_dim else None
    with torch.no_grad():
        want = model(
            torch.from_numpy(latents.transpose(0, 1, 4, 2, 3).copy()),
            torch.from_numpy(text),
            torch.from_numpy(t),
            image_rotary_emb=rotary,
            ofs=None if ofs is None else torch.from_numpy(ofs),
            return_dict=False,
        )[0].numpy()
    got = ours_of(model, cfg)(
        jnp.asarray(latents), jnp.asarray(text), jnp.asarray(t), ofs_B=None if ofs is None else jnp.asarray(ofs)
    ).sample
    assert relative_error(np.asarray(got).transpose(0, 1, 4, 2, 3), want) <= 1e-5


@pytest.mark.parametrize("stretch, grid", [(True, (30, 45)), (True, (60, 90)), (True, (4, 6)), (False, (7, 9))])
def test_rotation_tables_equal_diffusers(stretch, grid):
    """Where the grid fills the base grid; for others diffusers moved its end points after VideoPainter's release."""
    crop = (None, grid) if not stretch else (get_resize_crop_region_for_grid(grid, 45, 30), None)
    cos, sin = get_3d_rotary_pos_embed(
        64, crop[0], grid, 5, grid_type="linspace" if stretch else "slice", max_size=crop[1]
    )
    table = rope.rotation(5, *grid, 64, 0, stretch=stretch)
    assert relative_error(np.repeat(table.cos, 2, axis=1), cos.numpy()) <= 1e-6
    assert relative_error(np.repeat(table.sin, 2, axis=1), sin.numpy()) <= 1e-6


@pytest.mark.parametrize(
    "grid, rows, columns",
    [
        ((45, 30), (0, 30), (12, 32)),  # portrait: 20 columns wide, centred (12.5 rounds to even)
        ((24, 40), (2, 29), (0, 45)),  # wider than 3:2: 27 rows, centred (1.5 rounds to 2)
    ],
)
def test_other_shapes_are_centred_on_the_base_grid(grid, rows, columns):
    _, got_rows, got_columns = rope.grid_positions(1, *grid, stretch=True)
    np.testing.assert_allclose(got_rows, np.arange(grid[0]) * (rows[1] - rows[0]) / grid[0] + rows[0], rtol=1e-6)
    np.testing.assert_allclose(
        got_columns, np.arange(grid[1]) * (columns[1] - columns[0]) / grid[1] + columns[0], rtol=1e-6
    )


def test_other_sizes_than_the_learned_ones_are_named():
    cfg, _, _ = VARIANTS["i2v"]
    model = nnx.eval_shape(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    with pytest.raises(UserError, match="size 64x96 with a checkpoint whose learned positions are for 32x96 only"):
        nnx.eval_shape(lambda m: m(jnp.zeros((1, 2, 8, 12, 32)), jnp.zeros((1, 3, 8)), jnp.zeros((1,))), model)


def test_head_sizes_that_cannot_rotate_are_named():
    with pytest.raises(UserError, match="head_dim 24: expected a multiple of 16"):
        DiTConfig(2, 24, 2)


def test_full_size_forward_by_shape():
    manifest = json.loads((MANIFESTS / "cogvideox_5b_i2v_transformer.json").read_text())
    cfg = DiTConfig(**{**dit_table.config_from_torch(manifest["config"]).__dict__, "attention": "chunked"})
    model = nnx.eval_shape(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    out = nnx.eval_shape(
        lambda m: m(jnp.zeros((2, 13, 60, 90, 32)), jnp.zeros((2, 226, 4096)), jnp.zeros((2,))).sample, model
    )
    assert out.shape == (2, 13, 60, 90, 16)


@pytest.mark.parametrize("width", [128, 1920, 3072])
def test_waves_of_the_last_timestep(width):
    """The largest angles, where a frequency rounded otherwise than the original's shows."""
    want = get_timestep_embedding(torch.tensor([999]), width, flip_sin_to_cos=True, downscale_freq_shift=0)
    assert relative_error(sinusoid(jnp.array([999]), width), want.numpy()) <= 5e-6
