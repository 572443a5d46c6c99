"""Samples during training: what the model under training makes of a few held examples, as pictures and a number.

It works on the step's batches of latents, so that latent shards do as well as pixels. "Original" is the decoded clean
video: what the VAE loses is no fault of the model's.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vp_jax import sharding, trees
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.inference.models import Models
from vp_jax.inference.pictures import contact_sheet
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import WindowLatents, WindowProgram
from vp_jax.models.vae import vae as vae_module
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE
from vp_jax.training.load import Described
from vp_jax.training.stages import AdapterStage, Batch


class Samples(NamedTuple):
    """uint8 pixels (B, F, H, W, 3) and bool holes (B, F, H, W)."""

    original: np.ndarray
    holes: np.ndarray
    result: np.ndarray


@dataclasses.dataclass(frozen=True)
class Validation:
    """The models of a run as a sampler; hashable.

    Attributes:
      described: of the run.
      settings: of sampling; ``window`` is the clips' length.
    """

    described: Described
    settings: Settings

    @functools.cached_property
    def program(self) -> WindowProgram:
        """One window of the sampler, its reference faults left out."""
        stage = self.described.stage
        loras = (stage.lora,) if isinstance(stage, AdapterStage) else ()
        backbone = dataclasses.replace(stage.backbone, remat="")
        return WindowProgram(Models(backbone, stage.branch, self.described.encoders.vae, loras), self.settings,
                             self.described.schedule)

    def sample(self, trainable: trees.Tree, frozen: trees.Tree, vae: trees.Tree, batch: Batch,
               negative_MD: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Decoded clean video and decoded result, float around [-1, 1]; pure."""
        stage, program = self.described.stage, self.program
        adapter = isinstance(stage, AdapterStage)
        params = {"backbone": frozen["backbone"], "vae": vae, "loras": [trainable] if adapter else [],
                  "branch": frozen["branch"] if adapter else stage.export(trainable, frozen)}
        latents = WindowLatents(batch.get("image_latents_BThwC"), batch["latents_BThwC"],
                                batch["masked_latents_BThwC"], batch["mask_BThw"])
        text = batch["text_BMD"]
        if program.guided:
            text = jnp.concatenate([jnp.broadcast_to(negative_MD.astype(text.dtype)[None], text.shape), text])
        noise = KeyNoise(key)

        def body(state: Any, index: jax.Array) -> tuple[Any, None]:
            return program.step(params, state, index, latents, text, None, noise)[0], None

        state, _ = jax.lax.scan(body, program.begin(latents, noise), jnp.arange(self.settings.steps))
        model = program.models.vae(params)
        clean, result = (model.decode(vae_module.unscale(program.models.vae_cfg, x), slicing=True)
                         for x in (latents.video_BThwC, state.x))
        return clean, result

    def jitted(self, mesh: Mesh) -> Any:
        """`sample`, compiled; its results are whole on every host."""
        return jax.jit(self.sample, out_shardings=sharding.replicated(mesh))


def to_samples(clean: Any, result: Any, mask_BThw: Any) -> Samples:
    """Pixels of what `Validation.sample` returns; the hole is that of the latent grid."""
    original, made = (np.round((np.clip(np.asarray(x, np.float32), -1, 1) + 1) * 127.5).astype(np.uint8)
                      for x in (clean, result))
    frames = original.shape[1]
    frame_of = np.maximum(np.arange(frames) - 1, -1) // TEMPORAL_STRIDE + 1
    holes = np.asarray(mask_BThw)[:, frame_of].repeat(SPATIAL_STRIDE, axis=2).repeat(SPATIAL_STRIDE, axis=3) > 0
    return Samples(original, holes, made)


def hole_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR in the hole, dB; NaN without holes. High is faithful, not beautiful."""
    values = []
    for original, holes, result in zip(*samples):
        if holes.any():
            error = np.square(original[holes].astype(np.float64) - result[holes]).mean()
            values.append(10 * np.log10(255**2 / max(error, 1e-10)))
    return float(np.mean(values)) if values else float("nan")


def save_pictures(samples: Samples, captions: Sequence[str], folder: Path, step: int) -> list[np.ndarray]:
    """One contact sheet per example, ``folder/00001000_0.png``; returns them as uint8 HWC."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for number, (parts, caption) in enumerate(zip(zip(*samples), captions)):
        sheet = contact_sheet(*parts, title=f"step {step}: {caption}")
        sheet.save(folder / f"{step:08d}_{number}.png")
        sheets.append(np.asarray(sheet))
    return sheets
