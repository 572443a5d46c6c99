"""Convolutions of the causal 3-D VAE: time-causal 3x3x3, per-frame 3x3, pointwise, and their time cache.

A causal convolution sees two frames of the past::

    y[t] = sum_{a=0..2} K[a] * x[t - 2 + a],      x[-1] = x[-2] = x[0] at the start of a clip

(CogVideoX, arXiv 2408.06072 section 2.1). A long clip is processed in chunks, each convolution keeping the last two
frames of its padded input for the next chunk: `TimeCache`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from vp_jax.models.config import VAEConfig

Cache = tuple[jax.Array, ...]
"""Last two input frames of every causal convolution, in the order in which they run."""

THIN = 32
"""Input channels below which one convolution over the joined time taps beats three on CPU (3x at 8, equal at 32)."""


class TimeCache:
    """Hands each causal convolution its past and collects its future; lives for one chunk, inside one trace.

    Args:
      past: `Cache` of the previous chunk, ``None`` at the start of a clip.
    """

    def __init__(self, past: Cache | None) -> None:
        self._past = None if past is None else iter(past)
        self._future: list[jax.Array] = []

    def extend(self, x_BFHWC: jax.Array) -> jax.Array:
        """Two frames of the past, then ``x``; the first frame twice if there is no past."""
        if self._past is None:
            first = x_BFHWC[:, :1]
            frames: Iterable[jax.Array] = (first, first, x_BFHWC)
        else:
            frames = (next(self._past), x_BFHWC)
        x_BFHWC = jnp.concatenate(list(frames), axis=1)
        self._future.append(x_BFHWC[:, -2:])
        return x_BFHWC

    @property
    def future(self) -> Cache:
        """`Cache` for the next chunk."""
        return tuple(self._future)


CACHED = 12_288
"""Cells of the frames whose kernel derivative is computed at once, so that they stay in a processor's cache."""

_LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = tuple[tuple[int, int], tuple[int, int]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def frame_conv(x_NHWC: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Convolution of single frames, ``kernel`` (rows, columns, in, out).

    It brings its own derivatives, in the one order of dimensions that XLA has a fast convolution for on CPU, that of
    the kernel for few frames at a time: the derivatives that XLA makes itself run as plain loops, ten times slower.
    """
    return lax.conv_general_dilated(x_NHWC, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT)


def _frame_conv_forward(
    x_NHWC: jax.Array, kernel: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return frame_conv(x_NHWC, kernel, stride, padding), (x_NHWC, kernel)


def _frame_conv_backward(
    stride: int, padding: Padding, saved: tuple[jax.Array, jax.Array], dy_NHWC: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x_NHWC, kernel = saved
    back = tuple(
        (k - 1 - low, n + low - stride * (m - 1) - 1)
        for k, n, m, (low, _) in zip(kernel.shape, x_NHWC.shape[1:3], dy_NHWC.shape[1:3], padding)
    )
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    dx_NHWC = lax.conv_general_dilated(
        dy_NHWC, turned, (1, 1), back, lhs_dilation=(stride, stride), dimension_numbers=_LAYOUT
    )
    N, H, W, _ = dy_NHWC.shape
    group = max(n for n in range(1, N + 1) if N % n == 0 and (n == 1 or n * H * W <= CACHED))
    padded = jnp.pad(x_NHWC, ((0, 0), *padding, (0, 0)))
    parts = tuple(a.reshape(N // group, group, *a.shape[1:]) for a in (padded, dy_NHWC))

    def body(total: jax.Array, part: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        x, dy = part  # channels take the place of the batch, frames that of the channels
        dw = lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0),
            dy.transpose(1, 2, 0, 3),
            (1, 1),
            ((0, 0), (0, 0)),
            rhs_dilation=(stride, stride),
            dimension_numbers=_LAYOUT,
        )
        return total + dw[:, : kernel.shape[0], : kernel.shape[1]].astype(jnp.float32), None

    start = jnp.zeros((kernel.shape[2], *kernel.shape[:2], kernel.shape[3]), jnp.float32)
    dw_IabO = lax.scan(body, start, parts)[0]
    return dx_NHWC, dw_IabO.transpose(1, 2, 0, 3).astype(kernel.dtype)


frame_conv.defvjp(_frame_conv_forward, _frame_conv_backward)


def conv2d(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """3x3 convolution of every frame, zeros around it; ``kernel`` (3, 3, in, out)."""
    B, F, H, W, C = x_BFHWC.shape
    return frame_conv(x_BFHWC.reshape(B * F, H, W, C), kernel, 1, ((1, 1), (1, 1))).reshape(B, F, H, W, -1)


def _float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def conv3d_xla(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """Valid in time, zeros around the frames, by XLA's own 3-D convolution (cuDNN on GPU, very slow on CPU)."""
    return lax.conv_general_dilated(
        x_BFHWC, kernel, (1, 1, 1), ((0, 0), (1, 1), (1, 1)), dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )


def conv3d_taps(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same as a sum over three time taps of per-frame convolutions, added in float32."""
    n = x_BFHWC.shape[1] - 2
    taps = [x_BFHWC[:, a : a + n] for a in range(3)]
    if x_BFHWC.shape[-1] < THIN:
        return conv2d(jnp.concatenate(taps, axis=-1), jnp.concatenate(list(kernel), axis=-2))
    y0, y1, y2 = (_float32(conv2d(tap, kernel[a])) for a, tap in enumerate(taps))
    return (y0 + y1 + y2).astype(x_BFHWC.dtype)


def conv3d_winograd(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same by Winograd's F(2, 3) in time: four per-frame convolutions for two frames, where the taps need six.

    With g = kernel and frames d0..d3 of two neighbouring outputs (Lavin and Gray, arXiv 1509.09308 section 4.1)::

        m1 = (d0 - d2) g0             m2 = (d1 + d2) (g0 + g1 + g2) / 2
        m4 = (d1 - d3) g2             m3 = (d2 - d1) (g0 - g1 + g2) / 2
        y0 = m1 + m2 + m3             y1 = m2 - m3 - m4
    """
    B, _, H, W, C = x_BFHWC.shape
    n = x_BFHWC.shape[1] - 2
    pairs = n // 2
    if C < THIN or not pairs:
        return conv3d_taps(x_BFHWC, kernel)
    even_odd = _float32(x_BFHWC[:, : 2 * pairs + 2].reshape(B, pairs + 1, 2, H, W, C))
    d0, d1, d2, d3 = even_odd[:, :-1, 0], even_odd[:, :-1, 1], even_odd[:, 1:, 0], even_odd[:, 1:, 1]
    g0, g1, g2 = _float32(kernel)
    half_sum, half_mid = (g0 + g2) / 2, g1 / 2

    def product(d: jax.Array, g: jax.Array) -> jax.Array:
        return _float32(conv2d(d.astype(x_BFHWC.dtype), g.astype(kernel.dtype)))

    m1, m2 = product(d0 - d2, g0), product(d1 + d2, half_sum + half_mid)
    m3, m4 = product(d2 - d1, half_sum - half_mid), product(d1 - d3, g2)
    y = jnp.stack([m1 + m2 + m3, m2 - m3 - m4], axis=2).reshape(B, 2 * pairs, H, W, -1).astype(x_BFHWC.dtype)
    return y if n % 2 == 0 else jnp.concatenate([y, conv3d_taps(x_BFHWC[:, -3:], kernel)], axis=1)


CONV3D = {"taps": conv3d_taps, "winograd": conv3d_winograd, "xla": conv3d_xla}
"""Implementations of the 3x3x3 convolution by the name in `VAEConfig.conv`."""


class _Conv(nnx.Module):
    """``kernel`` (..., in, out) and ``bias`` (out,) of a convolution."""

    def __init__(self, cfg: VAEConfig, window: tuple[int, ...], d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        init = nnx.initializers.lecun_normal()
        self.cfg = cfg
        self.kernel = nnx.Param(init(rngs.params(), (*window, d_in, d_out), jnp.dtype(cfg.param_dtype)))
        self.bias = nnx.Param(jnp.zeros((d_out,), jnp.dtype(cfg.param_dtype)))

    def weights(self, dtype: str | jnp.dtype) -> tuple[jax.Array, jax.Array]:
        """Kernel, and bias with leading axes of 1 to add to BFHWC."""
        return self.kernel[...].astype(dtype), self.bias[...].astype(dtype)[None, None, None, None, :]


class CausalConv(_Conv):
    """3x3x3, causal in time: BFHWC -> BFHWC."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (3, 3, 3), d_in, d_out, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache) -> jax.Array:
        kernel, bias = self.weights(self.cfg.dtype)
        return CONV3D[self.cfg.conv](cache.extend(x_BFHWC), kernel) + bias


class PointConv(_Conv):
    """1x1x1: a linear map of the channels, in the type of its input."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (1, 1, 1), d_in, d_out, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        kernel, bias = self.weights(x_BFHWC.dtype)
        return x_BFHWC @ kernel[0, 0, 0] + bias


class FrameConv(_Conv):
    """3x3 of every frame; subclasses say how it is strided."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (3, 3), d_in, d_out, rngs=rngs)
