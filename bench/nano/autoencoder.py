"""The autoencoder of nano: where its training starts, and the gate it has to pass before latents are made with it.

    python -m bench.nano.autoencoder start FOLDER --channels 16 --widths 96 192
    python -m bench.nano.autoencoder gate RUN/export/vae
    python -m bench.nano.autoencoder scale RUN/export/vae FOLDER
    python -m bench.nano.autoencoder cut FOLDER OUT --channels 32

``start`` writes an autoencoder whose linear maps are the principal components of drawn clips. ``gate`` compares an
autoencoder with the principal components of as many channels on held-out clips; it exits with 1 unless the
autoencoder is above them by `MARGINS` everywhere, and the deviation of every latent channel is in `DEVIATIONS`.
``scale`` writes the autoencoder that passed with another scale for each latent channel, see `scales`. ``cut`` keeps
its first channels, which explain most: a start for the training of a smaller one.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import checkpoint, trees
from vp_jax.errors import UserError
from vp_jax.eval.video_metrics import psnr
from vp_jax.models.config import VAEConfig, to_json
from vp_jax.models.folder import AUTOENCODER, abstract_model, read_description
from vp_jax.models.vae import blocks
from vp_jax.models.vae.vae import VAE
from vp_jax.training.stages.weights import random_weights
from vp_jax.world.synthetic import HELD_OUT, World

FRAMES = 17

MARGINS = {"all": 1.0, "edges": 1.0, "hole": 1.0}
"""dB above the principal components that every region needs."""

DEVIATIONS = (0.8, 1.2)
"""Range of the standard deviation of every scaled latent channel."""


POWER = 0.5
"""How strongly the scales of latent channels follow what they change in pixels."""


class HeldOut(NamedTuple):
    """Clips that no training sees.

    Attributes:
      clips_BFHWC: uint8.
      edges_BFHW: bool, pixels at or beside the border of two things.
      holes_BFHW: bool, pixels of the masked thing, without frame 0.
    """

    clips_BFHWC: np.ndarray
    edges_BFHW: np.ndarray
    holes_BFHW: np.ndarray


def drawn(count: int, height: int, width: int, look: str) -> np.ndarray:
    """Clips of the training world, uint8 BFHWC."""
    world = World(count, FRAMES, height, width, look=look)
    return np.stack([world[i].read(np.arange(FRAMES))[0] for i in range(count)])


def held_out(count: int, height: int, width: int, look: str) -> HeldOut:
    """The first ``count`` held-out clips."""
    clips, edges, holes = [], [], []
    for clip in (World(count, FRAMES, height, width, HELD_OUT, look=look)[i] for i in range(count)):
        frames_FHWC, masks_FHW = clip.read(np.arange(FRAMES))
        clips.append(frames_FHWC)
        edges.append(_borders(masks_FHW))
        holes.append(masks_FHW.astype(bool) & (np.arange(FRAMES) > 0)[:, None, None])
    return HeldOut(np.stack(clips), np.stack(edges), np.stack(holes))


def _borders(masks_FHW: np.ndarray) -> np.ndarray:
    """Pixels beside which the mask changes."""
    edges_FHW = np.zeros(masks_FHW.shape, bool)
    rows, columns = np.diff(masks_FHW, axis=1) != 0, np.diff(masks_FHW, axis=2) != 0
    edges_FHW[:, 1:] |= rows
    edges_FHW[:, :-1] |= rows
    edges_FHW[:, :, 1:] |= columns
    edges_FHW[:, :, :-1] |= columns
    return edges_FHW


def start(cfg: VAEConfig, clips: int, look: str) -> trees.Tree:
    """Weights of the principal components of drawn clips; every correction is zero."""
    pixels = drawn(clips, cfg.sample_height, cfg.sample_width, look)
    return blocks.pca(random_weights(dataclasses.replace(cfg, param_dtype="float32"), jax.random.key(0)), pixels)


class Measured(NamedTuple):
    """An autoencoder on held-out clips.

    Attributes:
      decibel: mean PSNR of the clips by region.
      std_C: standard deviation of every channel of the scaled latents.
    """

    decibel: dict[str, float]
    std_C: np.ndarray


def measure(cfg: VAEConfig, weights: trees.Tree, data: HeldOut) -> Measured:
    """PSNR of the decoded means and deviations of the latents."""
    vae: VAE = nnx.merge(abstract_model(cfg)[0], weights)

    @jax.jit
    def run(vae: VAE, pixels_BFHWC: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = vae.encode(pixels_BFHWC).mean_BThwC
        return vae.decode(mean), mean * cfg.scaling_factor

    values: dict[str, list[float]] = {"all": [], "edges": [], "hole": []}
    latents = []
    for clip, edges, holes in zip(*data):
        decoded, mean = run(vae, jnp.asarray(clip[None], jnp.float32) / 127.5 - 1)
        latents.append(np.asarray(mean)[0])
        back = np.clip(np.rint((np.asarray(decoded)[0] + 1) * 127.5), 0, 255).astype(np.uint8)
        for name, region in (("all", np.ones_like(edges)), ("edges", edges), ("hole", holes)):
            values[name].append(psnr(clip, back, region))
    return Measured({name: float(np.mean(each)) for name, each in values.items()}, np.stack(latents).std((0, 1, 2, 3)))


def faults(found: Measured, linear: Measured) -> list[str]:
    """Why an autoencoder may not be used; empty: it passes."""
    low, high = DEVIATIONS
    lines = [
        f"{name}: {found.decibel[name]:.2f} dB, expected {linear.decibel[name] + margin:.2f} or more"
        for name, margin in MARGINS.items()
        if not found.decibel[name] >= linear.decibel[name] + margin
    ]
    odd = [f"{i}: {std:.2f}" for i, std in enumerate(found.std_C) if not low <= std <= high]
    return [*lines, *([f"deviations outside {low} to {high} in channels {', '.join(odd)}"] if odd else [])]


def gate(folder: str, clips: int, look: str) -> int:
    """Print the table; the exit status."""
    cfg = read_description(folder, AUTOENCODER.description, param_dtype="float32", dtype="float32")
    data = held_out(clips, cfg.sample_height, cfg.sample_width, look)
    found = measure(cfg, checkpoint.load_params(folder), data)
    plain = VAEConfig(
        design="blocks",
        latent_channels=cfg.latent_channels,
        channels=(8, 8),
        scaling_factor=1.0,
        sample_height=cfg.sample_height,
        sample_width=cfg.sample_width,
    )
    linear = measure(plain, start(plain, 200, look), data)
    print(f"{clips} held-out clips of {FRAMES} frames, {cfg.sample_height} x {cfg.sample_width}; PSNR in dB")
    for name, each in (("principal components", linear), (folder, found)):
        numbers = "  ".join(f"{region} {each.decibel[region]:.2f}" for region in MARGINS)
        print(f"{name}: {numbers}  channel deviations {each.std_C.min():.2f} to {each.std_C.max():.2f}")
    wrong = faults(found, linear)
    for line in wrong:
        print(f"refused: {line}")
    return 1 if wrong else 0


def scales(cfg: VAEConfig, weights: trees.Tree, clips_BFHWC: np.ndarray, power: float) -> np.ndarray:
    """Factor of each latent channel (C,): ``(RMS change of the pixels by one deviation) ** power``, mean square 1.

    Latents of even channels lose all that they hold at the same noise: the mean colour of a block of pixels, which
    is most of what there is to see, along with its finest pattern. With these factors coarse channels stand out of
    the noise before fine ones, as in pixels, and the training loss is about them.
    """
    vae: VAE = nnx.merge(abstract_model(cfg)[0], weights)
    encode, decode = jax.jit(lambda vae, x: vae.encode(x).mean_BThwC), jax.jit(lambda vae, z: vae.decode(z))
    latents = np.asarray(encode(vae, jnp.asarray(clips_BFHWC, jnp.float32) / 127.5 - 1))
    whole = decode(vae, latents)
    rng, changes = np.random.default_rng(0), []
    for channel in range(cfg.latent_channels):
        moved = latents.copy()
        step = 0.3 * latents[..., channel].std()
        moved[..., channel] += step * rng.standard_normal(latents.shape[:-1], dtype=np.float32)
        changes.append(float(jnp.sqrt(jnp.square(decode(vae, moved) - whole).mean())))
    factors = np.asarray(changes) ** power
    result: np.ndarray = factors / np.sqrt(np.square(factors).mean())
    return result


def scale(folder: str, out: str, power: float, clips: int, look: str) -> int:
    """Write the scaled autoencoder and print the factors; the exit status."""
    cfg = read_description(folder, AUTOENCODER.description, param_dtype="float32", dtype="float32")
    weights = checkpoint.load_params(folder)
    factors = scales(cfg, weights, drawn(clips, cfg.sample_height, cfg.sample_width, look), power)
    std = np.asarray(cfg.latent_std or np.ones(cfg.latent_channels)) / factors
    scaled = dataclasses.replace(cfg, latent_std=tuple(round(float(x), 6) for x in std))
    checkpoint.save_params(out, weights, to_json(scaled))
    print(f"factors of {cfg.latent_channels} channels, {factors.min():.2f} to {factors.max():.2f}: {out}")
    return 0


_CUT = {
    "encoder": ("conv_out/kernel", "conv_out/bias", "linear/kernel", "linear/bias", "logvar/bias"),
    "decoder": ("conv_in/kernel", "linear/kernel"),
}
"""Weights with latent channels: those of the encoder have them last, those of the decoder second to last."""


def cut(folder: str, out: str, channels: int) -> int:
    """Write an autoencoder of the first latent channels; the exit status."""
    cfg = read_description(folder, AUTOENCODER.description)
    if not 1 <= channels <= cfg.latent_channels:
        raise UserError(f"--channels {channels}: expected 1 to {cfg.latent_channels}, those of {folder}")
    flat = dict(trees.flatten(checkpoint.load_params(folder)))
    for part, names in _CUT.items():
        for path in (f"{part}/{name}" for name in names):
            flat[path] = flat[path][..., :channels] if part == "encoder" else flat[path][..., :channels, :]
    kept = {name: getattr(cfg, name)[:channels] for name in ("latent_mean", "latent_std")}
    smaller = dataclasses.replace(cfg, latent_channels=channels, **kept)
    checkpoint.save_params(out, trees.unflatten(flat), to_json(smaller))
    print(f"the first {channels} of {cfg.latent_channels} channels: {out}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    begin = commands.add_parser("start", help="write the autoencoder that training starts from")
    begin.add_argument("folder")
    begin.add_argument("--channels", type=int, default=16, help="latent channels")
    begin.add_argument("--widths", type=int, nargs=2, default=(96, 192), help="of blocks of 4x4 and of 8x8 pixels")
    begin.add_argument("--layers", type=int, default=2, help="residual blocks per width")
    begin.add_argument("--size", type=int, nargs=2, default=(64, 96), help="rows and columns of the clips")
    begin.add_argument("--clips", type=int, default=200)
    check = commands.add_parser("gate", help="exit with 1 if an autoencoder is not good enough for latents")
    check.add_argument("folder")
    check.add_argument("--clips", type=int, default=48)
    change = commands.add_parser("scale", help="let coarse channels stand out of the noise before fine ones")
    change.add_argument("folder")
    change.add_argument("out")
    change.add_argument("--power", type=float, default=POWER, help="0: even channels, 1: as in pixels")
    change.add_argument("--clips", type=int, default=12)
    less = commands.add_parser("cut", help="keep the first latent channels")
    less.add_argument("folder")
    less.add_argument("out")
    less.add_argument("--channels", type=int, required=True, help="that are kept")
    for command in (begin, check, change):
        command.add_argument("--look", default="lit", help="of the drawn world")
    args = parser.parse_args(argv)
    if args.command == "gate":
        return gate(args.folder, args.clips, args.look)
    if args.command == "cut":
        return cut(args.folder, args.out, args.channels)
    if args.command == "scale":
        return scale(args.folder, args.out, args.power, args.clips, args.look)
    cfg = VAEConfig(
        design="blocks",
        latent_channels=args.channels,
        channels=tuple(args.widths),
        layers_per_block=args.layers,
        scaling_factor=1.0,
        sample_height=args.size[0],
        sample_width=args.size[1],
    )
    checkpoint.save_params(args.folder, start(cfg, args.clips, args.look), to_json(cfg))
    return 0


if __name__ == "__main__":
    sys.exit(main())
