"""Convolutions of the causal 3-D VAE (causal 3x3x3, per-frame 3x3, pointwise) and their cache in time.

A causal convolution sees two frames of the past::

    y[t] = sum_{a=0..2} K[a] * x[t - 2 + a],      x[-1] = x[-2] = x[0] at the start of a clip

(CogVideoX, arXiv 2408.06072 section 2.1). A long clip is processed in chunks; `TimeCache` carries the last two frames
of every convolution's padded input to the next chunk.
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
"""Last two input frames of every causal convolution, in the order in which the convolutions run."""

THIN = 32
"""Input channels below which one convolution over the joined time taps is faster than three on a CPU (3x at 8)."""


class TimeCache:
    """Gives each causal convolution its past frames and collects those for the next chunk, within one trace.

    Args:
      past: `Cache` of the previous chunk, ``None`` at the start of a clip.
    """

    def __init__(self, past: Cache | None) -> None:
        self._past = None if past is None else iter(past)
        self._future: list[jax.Array] = []

    def extend(self, x_BFHWC: jax.Array) -> jax.Array:
        """Prepend two frames of the past to ``x``; at the start of a clip, its first frame twice."""
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
"""Cells of the frames whose kernel gradient is computed at once, so that they fit into a processor's cache."""

_LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = tuple[tuple[int, int], tuple[int, int]]
"""Cells before and after the rows, and before and after the columns."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def frame_conv(x_BHWC: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Convolution of a batch of frames, with a ``kernel`` (rows, columns, in, out).

    Its gradients are written out in the order of dimensions for which XLA has a fast convolution on a CPU, and the
    gradient of the kernel for few frames at a time. XLA's own gradients run as plain loops, ten times slower.
    """
    return lax.conv_general_dilated(x_BHWC, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT)


def _frame_conv_forward(
    x_BHWC: jax.Array, kernel: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return frame_conv(x_BHWC, kernel, stride, padding), (x_BHWC, kernel)


def _frame_conv_backward(
    stride: int, padding: Padding, saved: tuple[jax.Array, jax.Array], dy_BHWC: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x_BHWC, kernel = saved
    back = tuple(
        (k - 1 - low, n + low - stride * (m - 1) - 1)
        for k, n, m, (low, _) in zip(kernel.shape, x_BHWC.shape[1:3], dy_BHWC.shape[1:3], padding)
    )
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    dx_BHWC = lax.conv_general_dilated(
        dy_BHWC, turned, (1, 1), back, lhs_dilation=(stride, stride), dimension_numbers=_LAYOUT
    )
    B, H, W, _ = dy_BHWC.shape
    group = max(n for n in range(1, B + 1) if B % n == 0 and (n == 1 or n * H * W <= CACHED))
    padded = jnp.pad(x_BHWC, ((0, 0), *padding, (0, 0)))
    parts = tuple(a.reshape(B // group, group, *a.shape[1:]) for a in (padded, dy_BHWC))

    def body(total: jax.Array, part: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        x, dy = part  # channels become the batch, frames become the channels
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
    dw = lax.scan(body, start, parts)[0]
    return dx_BHWC, dw.transpose(1, 2, 0, 3).astype(kernel.dtype)


frame_conv.defvjp(_frame_conv_forward, _frame_conv_backward)


def conv2d(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """3x3 convolution of every frame, padded with zeros; ``kernel`` (3, 3, in, out)."""
    B, F, H, W, C = x_BFHWC.shape
    return frame_conv(x_BFHWC.reshape(B * F, H, W, C), kernel, 1, ((1, 1), (1, 1))).reshape(B, F, H, W, -1)


def _float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def conv3d_xla(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """3x3x3 convolution, valid in time, zeros around the frames, by XLA (cuDNN on a GPU, very slow on a CPU)."""
    return lax.conv_general_dilated(
        x_BFHWC, kernel, (1, 1, 1), ((0, 0), (1, 1), (1, 1)), dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )


def conv3d_taps(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same as `conv3d_xla`, as the float32 sum of one per-frame convolution for each time tap."""
    n = x_BFHWC.shape[1] - 2
    taps = [x_BFHWC[:, a : a + n] for a in range(3)]
    if x_BFHWC.shape[-1] < THIN:
        return conv2d(jnp.concatenate(taps, axis=-1), jnp.concatenate(list(kernel), axis=-2))
    y0, y1, y2 = (_float32(conv2d(tap, kernel[a])) for a, tap in enumerate(taps))
    return (y0 + y1 + y2).astype(x_BFHWC.dtype)


def conv3d_winograd(x_BFHWC: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same as `conv3d_xla`, by Winograd's F(2, 3) in time: four per-frame convolutions instead of six.

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


def choose_conv(requested: str, *, dtype: str, platform: str | None = None) -> str:
    """The implementation that a description asks for; of "auto", the fastest one measured (docs/performance.md).

    Args:
      requested: `VAEConfig.conv`.
      dtype: compute type. Winograd's sums of frames lose accuracy in less than float32.
      platform: ``cpu``, ``cuda``, ``gpu`` or ``tpu``; default: that of this machine's devices.
    """
    if requested != "auto":
        return requested
    return "winograd" if (platform or jax.default_backend()) == "cpu" and dtype == "float32" else "taps"


class _Conv(nnx.Module):
    """Weights of a convolution: ``kernel`` (..., in, out) and ``bias`` (out,)."""

    def __init__(self, cfg: VAEConfig, window: tuple[int, ...], d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        init = nnx.initializers.lecun_normal()
        self.cfg = cfg
        self.kernel = nnx.Param(init(rngs.params(), (*window, d_in, d_out), jnp.dtype(cfg.param_dtype)))
        self.bias = nnx.Param(jnp.zeros((d_out,), jnp.dtype(cfg.param_dtype)))

    def weights(self, dtype: str | jnp.dtype) -> tuple[jax.Array, jax.Array]:
        """Kernel, and bias with leading axes of 1 to add to BFHWC arrays."""
        return self.kernel[...].astype(dtype), self.bias[...].astype(dtype)[None, None, None, None, :]


class CausalConv(_Conv):
    """3x3x3 convolution, causal in time."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (3, 3, 3), d_in, d_out, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache) -> jax.Array:
        """Convolve one chunk after the frames in ``cache``."""
        kernel, bias = self.weights(self.cfg.dtype)
        conv = CONV3D[choose_conv(self.cfg.conv, dtype=self.cfg.dtype)]
        return conv(cache.extend(x_BFHWC), kernel) + bias


class PointConv(_Conv):
    """1x1x1 convolution: a linear map of the channels, in the type of its input."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (1, 1, 1), d_in, d_out, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Map the channels of every pixel."""
        kernel, bias = self.weights(x_BFHWC.dtype)
        return x_BFHWC @ kernel[0, 0, 0] + bias


class FrameConv(_Conv):
    """Weights of a 3x3 convolution of every frame; subclasses define its stride."""

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, (3, 3), d_in, d_out, rngs=rngs)
