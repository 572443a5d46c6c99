"""LPIPS: distance of deep features, weighted by human judgement (Zhang et al. 2018, arXiv 1801.03924, version 0.1).

    d = sum over layers l of mean over pixels of  w_l . (a_l / |a_l| - b_l / |b_l|)^2

a_l, b_l are features of the two pictures behind five ReLUs of AlexNet or VGG-16, or seven of SqueezeNet 1.1, |.| runs
over channels, and w_l are the published weights. Pictures are scaled to [-1, 1] and normalised first.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax.models.metrics.channels import normalised

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-8


class Convolution(NamedTuple):
    """A convolution with ReLU; ``number`` is that of the layer in torchvision's ``features``."""

    number: int
    inputs: int
    outputs: int
    size: int = 3
    stride: int = 1
    padding: int = 1


class Fire(NamedTuple):
    """SqueezeNet's module: a 1x1 convolution, then a 1x1 and a 3x3 one side by side (arXiv 1602.07360, 3.1)."""

    number: int
    inputs: int
    squeezed: int
    expanded: int


class Pool(NamedTuple):
    """Maximum over squares; ``ceil``: a last square that is not complete counts."""

    size: int
    ceil: bool = False


Layer = Convolution | Fire | Pool

# groups of layers; a tap behind each
_ALEX: tuple[tuple[Layer, ...], ...] = (
    (Convolution(0, 3, 64, 11, 4, 2),),
    (Pool(3), Convolution(3, 64, 192, 5, 1, 2)),
    (Pool(3), Convolution(6, 192, 384)),
    (Convolution(8, 384, 256),),
    (Convolution(10, 256, 256),),
)

_VGG: tuple[tuple[Layer, ...], ...] = (
    (Convolution(0, 3, 64), Convolution(2, 64, 64)),
    (Pool(2), Convolution(5, 64, 128), Convolution(7, 128, 128)),
    (Pool(2), Convolution(10, 128, 256), Convolution(12, 256, 256), Convolution(14, 256, 256)),
    (Pool(2), Convolution(17, 256, 512), Convolution(19, 512, 512), Convolution(21, 512, 512)),
    (Pool(2), Convolution(24, 512, 512), Convolution(26, 512, 512), Convolution(28, 512, 512)),
)
_SQUEEZE: tuple[tuple[Layer, ...], ...] = (
    (Convolution(0, 3, 64, 3, 2, 0),),
    (Pool(3, ceil=True), Fire(3, 64, 16, 64), Fire(4, 128, 16, 64)),
    (Pool(3, ceil=True), Fire(6, 128, 32, 128), Fire(7, 256, 32, 128)),
    (Pool(3, ceil=True), Fire(9, 256, 48, 192)),
    (Fire(10, 384, 48, 192),),
    (Fire(11, 384, 64, 256),),
    (Fire(12, 512, 64, 256),),
)
BACKBONES = {"squeeze": _SQUEEZE, "alex": _ALEX, "vgg": _VGG}


@dataclasses.dataclass(frozen=True)
class LpipsConfig:
    """``net``: a key of `BACKBONES`."""

    kind: ClassVar[str] = "lpips"
    net: str = "squeeze"


def _conv(layer: Convolution, rngs: nnx.Rngs) -> nnx.Conv:
    side = (layer.padding, layer.padding)
    return nnx.Conv(
        layer.inputs, layer.outputs, (layer.size, layer.size), layer.stride, padding=(side, side), rngs=rngs
    )


class FireModule(nnx.Module):
    """See `Fire`."""

    def __init__(self, layer: Fire, *, rngs: nnx.Rngs) -> None:
        self.squeeze = _conv(Convolution(0, layer.inputs, layer.squeezed, 1, 1, 0), rngs)
        self.expand1x1 = _conv(Convolution(0, layer.squeezed, layer.expanded, 1, 1, 0), rngs)
        self.expand3x3 = _conv(Convolution(0, layer.squeezed, layer.expanded), rngs)

    def __call__(self, x_FHWC: jax.Array) -> jax.Array:
        """Features of twice ``expanded`` channels."""
        x_FHWC = nnx.relu(self.squeeze(x_FHWC))
        return nnx.relu(jnp.concatenate([self.expand1x1(x_FHWC), self.expand3x3(x_FHWC)], -1))


def max_pooled(x_FHWC: jax.Array, layer: Pool) -> jax.Array:
    """Maximum over squares with stride 2."""
    sides = [(0, 0)]
    for size in x_FHWC.shape[1:3]:
        sides.append((0, (size - layer.size) % 2 if layer.ceil else 0))
    window = (1, layer.size, layer.size, 1)
    pooled: jax.Array = jax.lax.reduce_window(x_FHWC, -jnp.inf, jax.lax.max, window, (1, 2, 2, 1), [*sides, (0, 0)])
    return pooled


class LPIPS(nnx.Module):
    """The network and its weights of judgement."""

    def __init__(self, cfg: LpipsConfig, *, rngs: nnx.Rngs) -> None:
        self.groups = BACKBONES[cfg.net]
        for layer in (layer for group in self.groups for layer in group):
            if isinstance(layer, Convolution):
                setattr(self, f"features{layer.number}", _conv(layer, rngs))
            elif isinstance(layer, Fire):
                setattr(self, f"features{layer.number}", FireModule(layer, rngs=rngs))
        for number, group in enumerate(self.groups):
            last = group[-1]
            assert not isinstance(last, Pool)
            channels = 2 * last.expanded if isinstance(last, Fire) else last.outputs
            setattr(self, f"head{number}", nnx.Param(jnp.full((1, 1, channels, 1), 1 / channels)))

    def features(self, frames_FHWC: jax.Array) -> list[jax.Array]:
        """Features of pictures in [0, 1] at each tap, of unit length over channels."""
        x_FHWC = normalised(2 * frames_FHWC - 1, _SHIFT, _SCALE)
        taps = []
        for group in self.groups:
            for layer in group:
                if isinstance(layer, Pool):
                    x_FHWC = max_pooled(x_FHWC, layer)
                else:
                    x_FHWC = getattr(self, f"features{layer.number}")(x_FHWC)
                    x_FHWC = nnx.relu(x_FHWC) if isinstance(layer, Convolution) else x_FHWC
            taps.append(x_FHWC * jax.lax.rsqrt(jnp.square(x_FHWC).sum(-1, keepdims=True) + _EPSILON))
        return taps

    def __call__(self, a_FHWC: jax.Array, b_FHWC: jax.Array) -> jax.Array:
        """Distance (F,) of pictures in [0, 1], at least 32 x 32 pixels."""
        total_F = jnp.zeros(len(a_FHWC))
        for number, (a, b) in enumerate(zip(self.features(a_FHWC), self.features(b_FHWC))):
            weight_C = getattr(self, f"head{number}")[...].reshape(-1)
            total_F += (jnp.square(a - b) @ weight_C).mean((1, 2))
        return total_F
