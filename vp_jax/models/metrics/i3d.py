"""I3D: the inflated Inception network of Carreira and Zisserman (2017, arXiv 1705.07750), RGB, Kinetics-400.

Features of a clip are the output of ``Mixed_5c``, averaged over frames, rows and columns. "Same" padding depends on the
size: ``max(k - s, 0)`` where the stride s divides it, else ``max(k - size mod s, 0)``, the smaller half in front; it is
zero before maximum pooling too.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax.models.metrics.channels import along_last

Size3 = tuple[int, int, int]

_EPSILON = 1e-3

MIXED: dict[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Inputs and outputs of the six convolutions of each mixed block."""

_POOLS: dict[str, tuple[Size3, Size3]] = {
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Size3 and stride of the maximum before a block."""


@dataclasses.dataclass(frozen=True)
class I3DConfig:
    """There is one I3D."""

    kind: ClassVar[str] = "i3d"


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros in front of and behind an axis."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return total // 2, total - total // 2


def _padded(x_BFHWC: jax.Array, kernel: Size3, stride: Size3) -> jax.Array:
    sides = [same_padding(n, k, s) for n, k, s in zip(x_BFHWC.shape[1:4], kernel, stride)]
    return jnp.pad(x_BFHWC, [(0, 0), *sides, (0, 0)])


def max_pooled_3d(x_BFHWC: jax.Array, kernel: Size3, stride: Size3) -> jax.Array:
    """Maximum over boxes, zeros at the borders."""
    x_BFHWC = _padded(x_BFHWC, kernel, stride)
    window, strides = (1, *kernel, 1), (1, *stride, 1)
    pooled: jax.Array = jax.lax.reduce_window(x_BFHWC, -jnp.inf, jax.lax.max, window, strides, "VALID")
    return pooled


class Unit(nnx.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size3, stride: Size3 = (1, 1, 1), *, rngs: nnx.Rngs) -> None:
        self.conv3d = nnx.Conv(inputs, outputs, kernel, stride, padding="VALID", use_bias=False, rngs=rngs)
        self.scale, self.bias = nnx.Param(jnp.ones(outputs)), nnx.Param(jnp.zeros(outputs))
        self.mean, self.variance = nnx.Param(jnp.zeros(outputs)), nnx.Param(jnp.ones(outputs))
        self.kernel, self.stride = kernel, stride

    def __call__(self, x_BFHWC: jax.Array, own_statistics: bool) -> jax.Array:
        """Features; ``own_statistics``: normalise by those of this batch instead of the stored ones."""
        x_BFHWC = self.conv3d(_padded(x_BFHWC, self.kernel, self.stride))
        mean_C, variance_C = self.mean[...], self.variance[...]
        if own_statistics:
            mean_C = x_BFHWC.mean((0, 1, 2, 3))
            variance_C = jnp.square(x_BFHWC - along_last(mean_C, x_BFHWC)).mean((0, 1, 2, 3))
        factor_C = self.scale[...] * jax.lax.rsqrt(variance_C + _EPSILON)
        mean, factor, bias = (along_last(values, x_BFHWC) for values in (mean_C, factor_C, self.bias[...]))
        return nnx.relu((x_BFHWC - mean) * factor + bias)


class Mixed(nnx.Module):
    """Four branches side by side: 1x1; 1x1, 3x3; 1x1, 3x3; maximum, 1x1."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int, int, int, int], *, rngs: nnx.Rngs) -> None:
        one, three = (1, 1, 1), (3, 3, 3)
        self.b0 = Unit(inputs, outputs[0], one, rngs=rngs)
        self.b1a, self.b1b = Unit(inputs, outputs[1], one, rngs=rngs), Unit(outputs[1], outputs[2], three, rngs=rngs)
        self.b2a, self.b2b = Unit(inputs, outputs[3], one, rngs=rngs), Unit(outputs[3], outputs[4], three, rngs=rngs)
        self.b3b = Unit(inputs, outputs[5], one, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, own_statistics: bool) -> jax.Array:
        """Features of all branches."""
        own = own_statistics
        pooled = max_pooled_3d(x_BFHWC, (3, 3, 3), (1, 1, 1))
        branches = [
            self.b0(x_BFHWC, own),
            self.b1b(self.b1a(x_BFHWC, own), own),
            self.b2b(self.b2a(x_BFHWC, own), own),
            self.b3b(pooled, own),
        ]
        return jnp.concatenate(branches, -1)


class I3D(nnx.Module):
    """The network up to ``Mixed_5c``."""

    def __init__(self, cfg: I3DConfig, *, rngs: nnx.Rngs) -> None:
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2), rngs=rngs)
        self.Conv3d_2b_1x1 = Unit(64, 64, (1, 1, 1), rngs=rngs)
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3), rngs=rngs)
        for name, (inputs, outputs) in MIXED.items():
            setattr(self, name, Mixed(inputs, outputs, rngs=rngs))

    def __call__(self, x_BFHWC: jax.Array, *, own_statistics: bool = False) -> jax.Array:
        """Features (B, 1024) of clips of at least 9 frames and 32 x 32 pixels.

        Args:
          x_BFHWC: pixels; the network was trained on [-1, 1].
          own_statistics: normalise by the statistics of this batch, as a network in training does.
        """
        flat = (1, 3, 3), (1, 2, 2)
        x_BFHWC = max_pooled_3d(self.Conv3d_1a_7x7(x_BFHWC, own_statistics), *flat)
        x_BFHWC = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x_BFHWC, own_statistics), own_statistics)
        x_BFHWC = max_pooled_3d(x_BFHWC, *flat)
        for name in MIXED:
            if name in _POOLS:
                x_BFHWC = max_pooled_3d(x_BFHWC, *_POOLS[name])
            x_BFHWC = getattr(self, name)(x_BFHWC, own_statistics)
        return x_BFHWC.mean((1, 2, 3))
