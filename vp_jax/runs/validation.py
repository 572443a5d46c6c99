"""Samples during training: what the model under training makes of a few held examples, as pictures and a number.

It works on the step's batches of latents, so that latent shards do as well as pixels. "Original" is the decoded clean
video: what the VAE loses is no fault of the model's. A backbone under training makes whole clips, all of them hole,
with a context encoder that says nothing; a VAE decodes what it encoded, and its original is the video.
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
from vp_jax.eval import video_metrics
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import WindowLatents, WindowProgram
from vp_jax.media.canvas import to_uint8
from vp_jax.media.pictures import contact_sheet
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import BranchConfig
from vp_jax.models.folder import abstract
from vp_jax.models.vae import vae as vae_module
from vp_jax.runs.load import Described
from vp_jax.shapes import SPATIAL_STRIDE, latent_index
from vp_jax.training.stages.denoising import Batch
from vp_jax.training.stages.scratch import BackboneStage, VAEStage
from vp_jax.training.stages.single_branch import SingleBranchStage
from vp_jax.training.stages.videopainter import AdapterStage, BranchStage


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
      settings: of sampling; ``window`` is the clips' length. No matter to a VAE.
    """

    described: Described
    settings: Settings

    @property
    def denoiser(self) -> BranchStage | AdapterStage | BackboneStage | SingleBranchStage:
        """The stage, which is not the VAE's."""
        stage = self.described.stage
        assert not isinstance(stage, VAEStage)
        return stage

    @functools.cached_property
    def program(self) -> WindowProgram:
        """One window of the sampler, its reference faults left out."""
        stage = self.denoiser
        loras = (stage.lora,) if isinstance(stage, AdapterStage) else ()
        backbone = dataclasses.replace(stage.backbone, remat="")
        settings = self.settings
        if isinstance(stage, BranchStage):
            settings = dataclasses.replace(settings, hint_tokens=stage.injection.tokens)
        return WindowProgram(
            Models(backbone, self.branch, self.described.encoders.vae, loras), settings, self.described.schedule
        )

    @property
    def branch(self) -> BranchConfig:
        """The stage's context encoder; of one layer where it has none."""
        stage = self.denoiser
        if not isinstance(stage, BackboneStage | SingleBranchStage):
            return stage.branch
        return BranchConfig(
            dataclasses.replace(stage.backbone, num_layers=1, remat="", in_channels=2 * stage.backbone.out_channels + 1)
        )

    def models(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Weights of `program` but for the VAE."""
        stage = self.denoiser
        if isinstance(stage, AdapterStage):
            return {"backbone": frozen["backbone"], "branch": frozen["branch"], "loras": [trainable]}
        if isinstance(stage, BranchStage):
            return {"backbone": frozen["backbone"], "branch": stage.whole(trainable, frozen), "loras": []}
        backbone = stage.whole(trainable, frozen)
        fresh = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract(self.branch)[1])
        return {"backbone": backbone, "branch": init_from_backbone(backbone, fresh), "loras": []}

    def sample(
        self,
        trainable: trees.Tree,
        frozen: trees.Tree,
        vae: trees.Tree,
        batch: Batch,
        negative_MD: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Decoded clean video and decoded result, float around [-1, 1]; pure.

        Args:
          trainable, frozen: of the stage.
          vae: its weights.
          batch: of the stage.
          negative_MD: embedding of the empty caption; its token ids (M,) for a backbone under training.
          key: of the noise.
        """
        if isinstance(self.described.stage, VAEStage):
            model = self.described.stage.model(trainable)
            pixels = batch["pixels_BFHWC"]
            return pixels, model.decode(model.encode(pixels).mean_BThwC)
        stage, program = self.denoiser, self.program
        params = {**self.models(trainable, frozen), "vae": vae}
        video = batch["latents_BThwC"]
        if isinstance(stage, BackboneStage):
            masked, mask, text = (
                jnp.zeros_like(video),
                jnp.ones(video.shape[:-1]),
                stage.text(trainable, batch["input_ids"]),
            )
            negative_MD = stage.text(trainable, negative_MD[None])[0]
        else:
            masked, mask, text = batch["masked_latents_BThwC"], batch["mask_BThw"], batch["text_BMD"]
        latents = WindowLatents(batch.get("image_latents_BThwC"), video, masked, mask)
        if program.guided:
            text = jnp.concatenate([jnp.broadcast_to(negative_MD.astype(text.dtype)[None], text.shape), text])
        state = program.scan_steps(params, latents, text, None, KeyNoise(key), self.settings.steps)
        model = program.models.vae(params)
        clean, result = (
            model.decode(vae_module.unscale(program.models.vae_cfg, x), slicing=True)
            for x in (latents.video_BThwC, state.x)
        )
        return clean, result

    def jitted(self, mesh: Mesh) -> Any:
        """`sample`, compiled; its results are whole on every host."""
        return jax.jit(self.sample, out_shardings=sharding.replicated(mesh))


def to_samples(clean: Any, result: Any, mask_BThw: Any = None) -> Samples:
    """Pixels of what `Validation.sample` returns; the hole is that of the latent grid, none without a mask."""
    original, made = to_uint8(clean), to_uint8(result)
    if mask_BThw is None:
        return Samples(original, np.zeros(original.shape[:-1], bool), made)
    latent_F = latent_index(original.shape[1])
    holes = np.asarray(mask_BThw)[:, latent_F].repeat(SPATIAL_STRIDE, axis=2).repeat(SPATIAL_STRIDE, axis=3) > 0
    return Samples(original, holes, made)


def hole_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR in the hole, dB; NaN without holes. High is faithful, not beautiful."""
    values = [video_metrics.psnr(original, result, holes) for original, holes, result in zip(*samples) if holes.any()]
    return float(np.mean(values)) if values else float("nan")


def psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR of whole clips, dB."""
    return hole_psnr(samples._replace(holes=np.ones_like(samples.holes)))


def save_pictures(samples: Samples, captions: Sequence[str], folder: Path, step: int) -> list[np.ndarray]:
    """One contact sheet per example, ``folder/00001000_0.png``; returns them as uint8 HWC."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for number, (parts, caption) in enumerate(zip(zip(*samples), captions)):
        sheet = contact_sheet(*parts, title=f"step {step}: {caption}")
        sheet.save(folder / f"{step:08d}_{number}.png")
        sheets.append(np.asarray(sheet))
    return sheets
