"""RAFT: optical flow by recurrent updates from all pairs of features (Teed and Deng 2020, arXiv 2003.12039).

    corr[i, j] = <f_1(i), f_2(j)> / sqrt(D), averaged over 2x2, 4x4 and 8x8 of j: a pyramid of four levels
    twelve times:  flow += head(GRU(state; context, flow, corr around i + flow))
    flow at full size = mean of 3 x 3 neighbours with predicted weights, times 8

Features are those of 8 x 8 pixels. This is the large model; `RaftConfig` has its sizes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax.models.metrics.channels import along_last

CELL = 8
"""Pixels along a side of one feature."""

LEAST_SIZE = 128
"""Least rows and columns of a picture: below, the last level of the pyramid has one value."""

_LEVELS = 4
_EPSILON = 1e-5
_MASK_FACTOR = 0.25

Norm = Literal["instance", "batch"]


@dataclasses.dataclass(frozen=True)
class RaftConfig:
    """Sizes of the model.

    Attributes:
      encoder: channels of both encoders: first convolution, three layers, output.
      radius: of the square of the correlation that an update sees, in features.
      correlation, flow: channels of the convolutions of correlation and flow.
      motion: channels of both together, with the flow itself.
      state: channels of the recurrent state; the context has the others of the encoder's output.
      head, mask: channels inside the heads of flow and of weights.
    """

    kind: ClassVar[str] = "raft"
    encoder: tuple[int, int, int, int, int] = (64, 64, 96, 128, 256)
    radius: int = 4
    correlation: tuple[int, int] = (256, 192)
    flow: tuple[int, int] = (128, 64)
    motion: int = 128
    state: int = 128
    head: int = 256
    mask: int = 256


def _conv(inputs: int, outputs: int, size: tuple[int, int], stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    sides = tuple(((k - 1) // 2, (k - 1) // 2) for k in size)  # hashable, as descriptions of networks are
    return nnx.Conv(inputs, outputs, size, stride, padding=sides, rngs=rngs)


class Normed(nnx.Module):
    """Convolution and normalisation: per picture, or with stored statistics."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, norm: Norm, *, rngs: nnx.Rngs) -> None:
        self.conv = _conv(inputs, outputs, (size, size), stride, rngs=rngs)
        self.norm = norm
        if norm == "batch":
            self.scale, self.bias = nnx.Param(jnp.ones(outputs)), nnx.Param(jnp.zeros(outputs))
            self.mean, self.variance = nnx.Param(jnp.zeros(outputs)), nnx.Param(jnp.ones(outputs))

    def __call__(self, x_BHWC: jax.Array) -> jax.Array:
        """Normalised features, without an activation."""
        x_BHWC = self.conv(x_BHWC)
        if self.norm == "instance":
            mean = x_BHWC.mean((1, 2), keepdims=True)
            variance = jnp.square(x_BHWC - mean).mean((1, 2), keepdims=True)
            return (x_BHWC - mean) * jax.lax.rsqrt(variance + _EPSILON)
        factor_C = self.scale[...] * jax.lax.rsqrt(self.variance[...] + _EPSILON)
        mean, factor, bias = (along_last(values, x_BHWC) for values in (self.mean[...], factor_C, self.bias[...]))
        return (x_BHWC - mean) * factor + bias


class FlowBlock(nnx.Module):
    """Two convolutions of 3x3 and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, *, rngs: nnx.Rngs) -> None:
        self.convnormrelu1 = Normed(inputs, outputs, 3, stride, norm, rngs=rngs)
        self.convnormrelu2 = Normed(outputs, outputs, 3, 1, norm, rngs=rngs)
        self.projects = stride > 1
        if self.projects:
            self.downsample = Normed(inputs, outputs, 1, stride, norm, rngs=rngs)

    def __call__(self, x_BHWC: jax.Array) -> jax.Array:
        """Features at ``1 / stride`` of the size."""
        y = nnx.relu(self.convnormrelu2(nnx.relu(self.convnormrelu1(x_BHWC))))
        return nnx.relu(y + (self.downsample(x_BHWC) if self.projects else x_BHWC))


class FlowEncoder(nnx.Module):
    """Pictures in [-1, 1] to features of 8 x 8 pixels."""

    def __init__(self, channels: tuple[int, int, int, int, int], norm: Norm, *, rngs: nnx.Rngs) -> None:
        first, one, two, three, last = channels
        self.convnormrelu = Normed(3, first, 7, 2, norm, rngs=rngs)

        def layer(inputs: int, outputs: int, stride: int) -> nnx.List[FlowBlock]:
            strided = FlowBlock(inputs, outputs, stride, norm, rngs=rngs)
            return nnx.List([strided, FlowBlock(outputs, outputs, 1, norm, rngs=rngs)])

        self.layer1, self.layer2, self.layer3 = layer(first, one, 1), layer(one, two, 2), layer(two, three, 2)
        self.conv = _conv(three, last, (1, 1), rngs=rngs)

    def __call__(self, x_BHWC: jax.Array) -> jax.Array:
        """Features (B, H / 8, W / 8, last)."""
        x_BHWC = nnx.relu(self.convnormrelu(x_BHWC))
        for block in (*self.layer1, *self.layer2, *self.layer3):
            x_BHWC = block(x_BHWC)
        return self.conv(x_BHWC)


class ConvGRU(nnx.Module):
    """Gated recurrent unit of convolutions."""

    def __init__(self, inputs: int, state: int, size: tuple[int, int], *, rngs: nnx.Rngs) -> None:
        self.convz, self.convr, self.convq = (_conv(inputs + state, state, size, rngs=rngs) for _ in range(3))

    def __call__(self, state_BhwC: jax.Array, x_BhwC: jax.Array) -> jax.Array:
        """The next state."""
        both = jnp.concatenate([state_BhwC, x_BhwC], -1)
        z, r = nnx.sigmoid(self.convz(both)), nnx.sigmoid(self.convr(both))
        q = nnx.tanh(self.convq(jnp.concatenate([r * state_BhwC, x_BhwC], -1)))
        return (1 - z) * state_BhwC + z * q


class UpdateBlock(nnx.Module):
    """One update: what the flow meets, the recurrent state, the change of the flow."""

    def __init__(self, cfg: RaftConfig, *, rngs: nnx.Rngs) -> None:
        seen = _LEVELS * (2 * cfg.radius + 1) ** 2
        self.convcorr1 = _conv(seen, cfg.correlation[0], (1, 1), rngs=rngs)
        self.convcorr2 = _conv(*cfg.correlation, (3, 3), rngs=rngs)
        self.convflow1 = _conv(2, cfg.flow[0], (7, 7), rngs=rngs)
        self.convflow2 = _conv(*cfg.flow, (3, 3), rngs=rngs)
        self.conv = _conv(cfg.correlation[1] + cfg.flow[1], cfg.motion - 2, (3, 3), rngs=rngs)
        inputs = cfg.motion + cfg.encoder[-1] - cfg.state
        self.convgru1 = ConvGRU(inputs, cfg.state, (1, 5), rngs=rngs)
        self.convgru2 = ConvGRU(inputs, cfg.state, (5, 1), rngs=rngs)
        self.head1 = _conv(cfg.state, cfg.head, (3, 3), rngs=rngs)
        self.head2 = _conv(cfg.head, 2, (3, 3), rngs=rngs)

    def __call__(
        self, state_BhwC: jax.Array, context_BhwC: jax.Array, seen_BhwC: jax.Array, flow_Bhw2: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The next state, and the change of the flow."""
        seen = nnx.relu(self.convcorr2(nnx.relu(self.convcorr1(seen_BhwC))))
        flow = nnx.relu(self.convflow2(nnx.relu(self.convflow1(flow_Bhw2))))
        motion = nnx.relu(self.conv(jnp.concatenate([seen, flow], -1)))
        x_BhwC = jnp.concatenate([context_BhwC, motion, flow_Bhw2], -1)
        state_BhwC = self.convgru2(self.convgru1(state_BhwC, x_BhwC), x_BhwC)
        return state_BhwC, self.head2(nnx.relu(self.head1(state_BhwC)))


def pyramid(f1_hwC: jax.Array, f2_hwC: jax.Array) -> list[jax.Array]:
    """Correlations (N, h, w) of every feature of the first picture with all of the second, and their averages."""
    h, w, C = f2_hwC.shape
    level_Nhw = jnp.einsum("nC,hwC->nhw", f1_hwC.reshape(-1, C), f2_hwC) / jnp.sqrt(jnp.float32(C))
    levels = [level_Nhw]
    for _ in range(_LEVELS - 1):
        h, w = h // 2, w // 2
        level_Nhw = level_Nhw[:, : 2 * h, : 2 * w].reshape(-1, h, 2, w, 2).mean((2, 4))
        levels.append(level_Nhw)
    return levels


def around(level_Nhw: jax.Array, place_N2: jax.Array, radius: int) -> jax.Array:
    """Correlations on the square of ``radius`` around places (column, row), bilinear, 0 outside: (N, squares).

    All offsets are whole numbers, so one fraction serves the complete square. The column is the slower index.
    """
    N, h, w = level_Nhw.shape
    whole_N2 = jnp.floor(place_N2)
    across, down = jnp.split((place_N2 - whole_N2)[..., None], 2, axis=1)
    steps = jnp.arange(-radius, radius + 2)
    columns, rows = (whole_N2[:, axis, None].astype(int) + steps[None] for axis in (0, 1))
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    rows, columns = jnp.clip(rows, 0, h - 1), jnp.clip(columns, 0, w - 1)
    square = jnp.where(inside, level_Nhw[jnp.arange(N)[:, None, None], rows[:, :, None], columns[:, None, :]], 0)
    square = square[:, :-1] * (1 - down) + square[:, 1:] * down
    square = square[:, :, :-1] * (1 - across) + square[:, :, 1:] * across
    return square.transpose(0, 2, 1).reshape(N, -1)


def enlarged(flow_hw2: jax.Array, weights_hwC: jax.Array) -> jax.Array:
    """Flow at full size (H, W, 2): means of the 3 x 3 neighbours with predicted weights."""
    h, w, _ = flow_hw2.shape
    weights = nnx.softmax(weights_hwC.reshape(h, w, 9, CELL, CELL), axis=2)
    padded = jnp.pad(CELL * flow_hw2, ((1, 1), (1, 1), (0, 0)))
    neighbours = jnp.stack([padded[row : row + h, column : column + w] for row in range(3) for column in range(3)], 2)
    large = jnp.einsum("hwnrc,hwnx->hrwcx", weights, neighbours)
    return large.reshape(CELL * h, CELL * w, 2)


class RAFT(nnx.Module):
    """The network; one pair of pictures at a time."""

    def __init__(self, cfg: RaftConfig, *, rngs: nnx.Rngs) -> None:
        self.feature_encoder = FlowEncoder(cfg.encoder, "instance", rngs=rngs)
        self.context_encoder = FlowEncoder(cfg.encoder, "batch", rngs=rngs)
        self.update_block = UpdateBlock(cfg, rngs=rngs)
        self.mask1 = _conv(cfg.state, cfg.mask, (3, 3), rngs=rngs)
        self.mask2 = _conv(cfg.mask, 9 * CELL * CELL, (1, 1), rngs=rngs)
        self.cfg = cfg

    def __call__(self, first_HWC: jax.Array, second_HWC: jax.Array, updates: int = 12) -> jax.Array:
        """Where each pixel of the first picture is in the second: (H, W, 2), columns then rows, in pixels.

        Args:
          first_HWC: picture in [-1, 1]; its sides are multiples of `CELL` and at least `LEAST_SIZE`.
          second_HWC: picture of the same size.
          updates: number of updates.
        """
        f1_hwC, f2_hwC = self.feature_encoder(jnp.stack([first_HWC, second_HWC]))
        levels = pyramid(f1_hwC, f2_hwC)
        h, w, _ = f1_hwC.shape
        context = self.context_encoder(first_HWC[None])
        state_BhwC, context_BhwC = nnx.tanh(context[..., : self.cfg.state]), nnx.relu(context[..., self.cfg.state :])
        grid_hw2 = jnp.stack(jnp.meshgrid(jnp.arange(w), jnp.arange(h)), -1).astype(jnp.float32)

        def update(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], Any]:
            state, flow_hw2 = carry
            place_N2 = (grid_hw2 + flow_hw2).reshape(-1, 2)
            seen = [around(level, place_N2 / 2**n, self.cfg.radius) for n, level in enumerate(levels)]
            seen_BhwC = jnp.concatenate(seen, -1).reshape(1, h, w, -1)
            state, change = self.update_block(state, context_BhwC, seen_BhwC, flow_hw2[None])
            return (state, flow_hw2 + change[0]), None

        start = (state_BhwC, jnp.zeros((h, w, 2)))
        (state_BhwC, flow_hw2), _ = jax.lax.scan(update, start, length=updates)
        weights = _MASK_FACTOR * self.mask2(nnx.relu(self.mask1(state_BhwC)))
        return enlarged(flow_hw2, weights[0])
