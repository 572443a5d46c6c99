"""Positions: the tables written out token by token, against diffusers, and what a rotation keeps."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid

from tests.compare import relative_error
from vp_jax.models import rope

GRID, HEAD, TEXT = (3, 4, 5), 32, 2


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


def test_without_stretching_positions_count_tokens():
    frames, rows, columns = rope.grid_positions(2, 3, 70, stretch=False)
    assert (frames.tolist(), rows.tolist()) == ([0, 1], [0, 1, 2]) and columns.tolist() == list(range(70))


def test_frames_are_never_stretched():
    assert rope.grid_positions(40, 3, 4, stretch=True)[0].tolist() == list(range(40))


def rotated_by_hand(x_SKA, grid, text_len, head_dim):
    """Every channel pair of every token as a complex number, turned by position * 10000 ** (-2 j / part)."""
    out_SKA = np.array(x_SKA, np.float64)
    axes = rope.grid_positions(*grid, stretch=True)
    token = text_len
    for frame in axes[0]:
        for row in axes[1]:
            for column in axes[2]:
                pair = 0
                for position, part in ((frame, head_dim // 4), (row, 3 * head_dim // 8), (column, 3 * head_dim // 8)):
                    for j in range(part // 2):
                        turn = np.exp(1j * float(position) * 10000 ** (-2 * j / part))
                        value = (x_SKA[token, :, 2 * pair] + 1j * x_SKA[token, :, 2 * pair + 1]) * turn
                        out_SKA[token, :, 2 * pair], out_SKA[token, :, 2 * pair + 1] = value.real, value.imag
                        pair += 1
                token += 1
    return out_SKA


def test_rotation_written_out_token_by_token():
    x = np.random.default_rng(0).standard_normal((1, TEXT + math.prod(GRID), 2, HEAD)).astype(np.float32)
    table = rope.rotation(*GRID, HEAD, TEXT, stretch=True)
    got = rope.rotate(jnp.asarray(x), table)
    assert relative_error(got[0], rotated_by_hand(x[0], GRID, TEXT, HEAD)) < 1e-6
    np.testing.assert_array_equal(got[:, :TEXT], x[:, :TEXT])  # text is not rotated


@pytest.mark.parametrize("stretch", [True, False])
def test_scores_depend_on_the_difference_of_positions_alone(stretch):
    """One query and one key, put at every pair of tokens: equal offsets in frame, row and column, equal scores."""
    q, k = np.random.default_rng(1).standard_normal((2, HEAD)).astype(np.float32)
    count = math.prod(GRID)
    table = rope.rotation(*GRID, HEAD, 0, stretch=stretch)
    queries, keys = (np.asarray(rope.rotate(jnp.broadcast_to(x, (1, count, 1, HEAD)), table))[0, :, 0] for x in (q, k))
    scores_NN = queries @ keys.T
    places = np.stack(np.unravel_index(np.arange(count), GRID), axis=1)
    offsets: dict[tuple[int, ...], list[float]] = {}
    for i, j in np.ndindex(count, count):
        offsets.setdefault(tuple(places[i] - places[j]), []).append(scores_NN[i, j])
    assert len(offsets) == 5 * 7 * 9
    assert max(max(scores) - min(scores) for scores in offsets.values()) < 1e-4
    assert offsets[0, 0, 0][0] == pytest.approx(float(q @ k), abs=1e-4)
    means = np.array([np.mean(scores) for scores in offsets.values()])
    assert len(np.unique(means.round(4))) > 300, "every axis matters"


def test_lengths_are_kept_and_the_result_is_float32():
    x = np.random.default_rng(2).standard_normal((2, TEXT + math.prod(GRID), 3, HEAD)).astype(np.float32)
    table = rope.rotation(*GRID, HEAD, TEXT, stretch=False)
    got = rope.rotate(jnp.asarray(x), table)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)
    half = rope.rotate(jnp.asarray(x, jnp.bfloat16), table)
    assert half.dtype == jnp.float32
    np.testing.assert_array_equal(half, rope.rotate(jnp.asarray(x, jnp.bfloat16).astype(jnp.float32), table))


def test_sincos_table_written_out_token_by_token():
    """D/4 time, 3D/8 column, 3D/8 row; in each all sines, then all cosines; text rows are zero."""
    dim, spatial, temporal = 48, 1.875, 1.25
    table = np.asarray(rope.sincos_table(*GRID, dim, TEXT, spatial_scale=spatial, temporal_scale=temporal))
    assert table.shape == (TEXT + math.prod(GRID), dim) and not table[:TEXT].any()
    token = TEXT
    for frame, row, column in np.ndindex(*GRID):
        want = []
        for position, part in (
            (frame / temporal, dim // 4),
            (column / spatial, 3 * dim // 8),
            (row / spatial, 3 * dim // 8),
        ):
            angles = [position * 10000 ** (-j / (part / 2)) for j in range(part // 2)]
            want += [*map(math.sin, angles), *map(math.cos, angles)]
        np.testing.assert_allclose(table[token], want, atol=2e-6)
        token += 1
