"""Positions of video tokens: 3-D rotary embedding and the 3-D sin-cos table, computed with NumPy at trace time.

Rotary embedding (CogVideoX, arXiv 2408.06072 section 2.2; docs/model.md, "Backbone"). The head size A is split into A/4
channels for the frame, 3A/8 for the row and 3A/8 for the column. Frequency j of a part of size a is
``10000 ** (-2j / a)`` and rotates the neighbouring channels (2j, 2j+1). Text tokens are not rotated.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BASE_ROWS, BASE_COLUMNS = 30, 45
"""Token grid onto which rows and columns are stretched: 480x720 pixels / 16, independent of the sample size."""

_THETA = 10000.0


class Rotation(NamedTuple):
    """Cosines and sines of the joint sequence, float32 (S, A/2); text rows are 1 and 0.

    Attributes:
      cos: of every token, or (B, P, A/2) of chosen tokens, see `rotation_at`.
      sin: as ``cos``.
      grid: frames, rows and columns of the video tokens.
    """

    cos: np.ndarray | jax.Array
    sin: np.ndarray | jax.Array
    grid: tuple[int, int, int]


def _crop_region(rows: int, columns: int) -> tuple[float, float, float, float]:
    """Top, height, left, width of a ``rows x columns`` grid fitted into the base grid."""
    if rows / columns > BASE_ROWS / BASE_COLUMNS:
        height, width = BASE_ROWS, round(BASE_ROWS / rows * columns)
    else:
        height, width = round(BASE_COLUMNS / columns * rows), BASE_COLUMNS
    return round((BASE_ROWS - height) / 2.0), height, round((BASE_COLUMNS - width) / 2.0), width


def grid_positions(frames: int, rows: int, columns: int, *, stretch: bool) -> tuple[np.ndarray, ...]:
    """Frame, row and column coordinates of a token grid, float32.

    With ``stretch`` (CogVideoX 1.0) rows and columns are mapped onto the base grid. Without it (1.5) they are 0, 1, 2.
    """
    if not stretch:
        return tuple(np.arange(n, dtype=np.float32) for n in (frames, rows, columns))
    top, height, left, width = _crop_region(rows, columns)
    return (
        np.arange(frames, dtype=np.float32),
        np.linspace(top, top + height, rows, endpoint=False, dtype=np.float32),
        np.linspace(left, left + width, columns, endpoint=False, dtype=np.float32),
    )


def rotation(frames: int, rows: int, columns: int, head_dim: int, text_len: int, *, stretch: bool) -> Rotation:
    """Rotation table of ``text_len`` text tokens and a token grid of ``frames x rows x columns``.

    Args:
      frames: latent frames of the grid.
      rows: token rows.
      columns: token columns.
      head_dim: A.
      text_len: M.
      stretch: see `grid_positions`.
    """
    parts = (head_dim // 4, head_dim * 3 // 8, head_dim * 3 // 8)
    angles = []
    for axis, (positions, size) in enumerate(zip(grid_positions(frames, rows, columns, stretch=stretch), parts)):
        frequencies = (1.0 / _THETA ** (np.arange(0, size, 2, dtype=np.float32) / size)).astype(np.float32)
        table = np.outer(positions, frequencies)
        shape = [1, 1, 1, table.shape[1]]
        shape[axis] = table.shape[0]
        angles.append(np.broadcast_to(table.reshape(shape), (frames, rows, columns, table.shape[1])))
    angles_NA = np.concatenate(angles, axis=-1).reshape(frames * rows * columns, head_dim // 2)
    angles_SA = np.concatenate([np.zeros((text_len, head_dim // 2), np.float32), angles_NA])
    return Rotation(np.cos(angles_SA), np.sin(angles_SA), (frames, rows, columns))


def rotation_at(table: Rotation, places_BP: jax.Array) -> Rotation:
    """The rows of these tokens, of the last one for a place behind the sequence."""
    cos, sin = (jnp.take(jnp.asarray(t), places_BP, axis=0, mode="clip") for t in (table.cos, table.sin))
    return Rotation(cos, sin, table.grid)


def rotate(x_BSKA: jax.Array, table: Rotation) -> jax.Array:
    """Rotate neighbouring pairs of channels by the table; computed and returned in float32."""
    B, S, K, A = x_BSKA.shape
    pairs = x_BSKA.astype(jnp.float32).reshape(B, S, K, A // 2, 2)
    real, imaginary = pairs[..., 0], pairs[..., 1]
    cos, sin = (jnp.expand_dims(t if t.ndim == 3 else t[None], 2) for t in (table.cos, table.sin))
    return jnp.stack([real * cos - imaginary * sin, imaginary * cos + real * sin], axis=-1).reshape(B, S, K, A)


def sincos_table(
    frames: int, rows: int, columns: int, dim: int, text_len: int, *, spatial_scale: float, temporal_scale: float
) -> jax.Array:
    """Sin-cos table of the joint sequence, float32 (S, D): D/4 frame, 3D/8 column, 3D/8 row; zero on text.

    Each part holds all sines, then all cosines, of ``position / scale * 10000 ** (-j / (part / 2))``, in float64. Only
    the small tables of the axes are computed with NumPy, so that `jax.eval_shape` stays cheap.

    Args:
      frames: latent frames of the grid.
      rows: token rows.
      columns: token columns.
      dim: D.
      text_len: M.
      spatial_scale: rows and columns are divided by it.
      temporal_scale: frames are divided by it.
    """

    def encode(count: int, scale: float, size: int, axis: int) -> jax.Array:
        positions = np.arange(count, dtype=np.float32) / np.float32(scale)  # in float32, as the released tables were
        frequencies = _THETA ** (-np.arange(size // 2, dtype=np.float64) / (size / 2.0))
        angles = np.outer(positions, frequencies)
        table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
        shape = [1, 1, 1, size]
        shape[axis] = count
        return jnp.broadcast_to(jnp.asarray(table).reshape(shape), (frames, rows, columns, size))

    table = jnp.concatenate(
        [
            encode(frames, temporal_scale, dim // 4, 0),
            encode(columns, spatial_scale, dim * 3 // 8, 2),
            encode(rows, spatial_scale, dim * 3 // 8, 1),
        ],
        axis=-1,
    )
    return jnp.pad(table.reshape(frames * rows * columns, dim), ((text_len, 0), (0, 0)))
