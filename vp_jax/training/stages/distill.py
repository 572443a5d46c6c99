"""Few steps: transformer and context encoder learn to take in one step what the trained ones take in several.

A student step from timestep t, one of K, is `DistillStage.substeps` steps of DDIM of the frozen teacher, guided by both
prompts, the background put back after each as in sampling (progressive distillation, arXiv 2202.00512, in one stage;
guidance folded in, arXiv 2210.03142). Where the teacher arrives at x_s, one step of DDIM would have had to estimate

    x_0* = (x_s - r x_t) / (a_s - r a_t),    r = s_s / s_t

and x_0* takes the place of the clean latents in the loss. Nothing is bootstrapped: a few hundred steps are enough to
see an effect. The student is sampled with DDIM in K steps and without guidance, which the export says of itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion import predict
from vp_jax.diffusion.guidance import guide
from vp_jax.diffusion.loss import InpaintingLoss, inpainting_loss
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.named import write_settings
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowLatents
from vp_jax.models.config import DEFAULT_INJECTION, BranchConfig, DiTConfig, Injection, VAEConfig
from vp_jax.models.folder import BACKBONE, BRANCH, ENCODERS, CheckpointFolder, Network, Part, abstract_model
from vp_jax.models.inpaint import predict as forward
from vp_jax.models.tokenizer import EOS, PAD
from vp_jax.training.encode import Encoded, Encoders
from vp_jax.training.flops import hint_flops, transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, behind_encoders
from vp_jax.training.stages.denoising import Denoiser, Draws, condition, shifted_timesteps
from vp_jax.training.stages.sampling import SamplerInputs, WindowSampler
from vp_jax.training.stages.stage import Exports, StepKeys
from vp_jax.training.stages.weights import (
    Origin,
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    origin,
    split_buffers,
)


class GuidedClips(NamedTuple):
    """What the stage trains on: clips with holes, and for guidance the embedding of the empty caption, B times."""

    clips: Encoded
    empty_BME: jax.Array

    @property
    def latents_BThwC(self) -> jax.Array:
        """Clean latents, scaled."""
        return self.clips.latents_BThwC


@dataclasses.dataclass(frozen=True)
class DistillStage(Denoiser[GuidedClips]):
    """A student that starts as its teacher, or as another student.

    Attributes:
      backbone, branch: of teacher and student.
      steps: K, in which the student is sampled.
      substeps: of the teacher in one of them.
      guidance: of the teacher, the same at every step.
      injection: which tokens get hints, of both.
    """

    backbone: DiTConfig
    branch: BranchConfig
    steps: int = 4
    substeps: int = 5
    guidance: float = 6.0
    injection: Injection = DEFAULT_INJECTION

    kind = "distill"
    companions = ENCODERS
    needs_masks = True

    def shapes(self) -> Weights:
        """Both models without their position tables; the teacher's, complete."""
        teacher = {"backbone": abstract_model(self.backbone)[1], "branch": abstract_model(self.branch)[1]}
        return Weights(float32_shapes(self._split(teacher)), teacher)

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """The teacher, and the export of another student to continue from."""
        described: dict[str, tuple[Part[Any], Network]] = {
            "backbone": (BACKBONE, self.backbone),
            "branch": (BRANCH, self.branch),
        }
        models = {name: origin(checkpoint, part, one) for name, (part, one) in described.items()}
        if init_from is not None:
            source = CheckpointFolder(init_from)
            for name, (part, one) in described.items():
                models[f"student_{name}"] = Origin(float32_shapes(abstract_model(one)[1]), source.of(part))
        return models

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The student is a copy."""
        teacher = {name: models[name] for name in ("backbone", "branch")}
        student = {name: models.get(f"student_{name}", tree) for name, tree in teacher.items()}
        copied = jax.tree.map(jnp.copy, trees.cast(self._split(student), jnp.float32))
        return Weights(copied, teacher)

    def _split(self, weights: trees.Tree) -> trees.Tree:
        """Weights without position tables."""
        described = {"backbone": self.backbone, "branch": self.branch}
        return {name: split_buffers(weights[name], buffer_paths(cfg))[0] for name, cfg in described.items()}

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The student with the teacher's position tables."""
        described = {"backbone": self.backbone, "branch": self.branch}
        return {
            name: join_buffers(trainable[name], split_buffers(frozen[name], buffer_paths(cfg))[1])
            for name, cfg in described.items()
        }

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array
    ) -> GuidedClips:
        """The step's batch from the loader's."""
        clips = encoders.encode(weights, batch, key)
        ids_M = jnp.full(clips.text_BME.shape[1], PAD, jnp.int32).at[0].set(EOS)
        empty_1ME = encoders.text(weights, ids_M[None]).astype(clips.text_BME.dtype)
        return GuidedClips(clips, jnp.broadcast_to(empty_1ME, clips.text_BME.shape))

    def hole(self, batch: GuidedClips) -> jax.Array:
        """Latent mask (B, T, h, w) of the data."""
        return batch.clips.mask_BThw

    def draw(self, keys: StepKeys, batch: GuidedClips, schedule: Schedule, shift: float = 1.0) -> Draws:
        """One of the student's timesteps for each example, moved by ``shift``, and noise."""
        timesteps, shape = jnp.asarray(schedule.timesteps(self.steps)[::-1], jnp.int32), batch.latents_BThwC.shape
        place_B = shifted_timesteps(jax.random.uniform(keys.timestep, shape[:1]), self.steps, shift)
        return Draws(timesteps[place_B], jax.random.normal(keys.noise, shape, jnp.float32))

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: GuidedClips, draws: Draws, schedule: Schedule
    ) -> InpaintingLoss:
        """Loss of every example, with the teacher's destination in the place of clean latents."""
        x0, abar_B = batch.latents_BThwC.astype(jnp.float32), jnp.asarray(schedule.abar, jnp.float32)[draws.t_B]
        x_t = predict.add_noise(x0, draws.noise_BThwC, abar_B)
        target = jax.lax.stop_gradient(self.target(frozen, batch, x_t, draws, schedule))
        output = self.predicted(trainable, frozen, x_t, batch, draws.t_B)
        v = predict.as_velocity(output, x_t, abar_B, schedule.prediction_type)
        return inpainting_loss(x_t, v, target, self.hole(batch), abar_B)

    def target(
        self, frozen: trees.Tree, batch: GuidedClips, x_t: jax.Array, draws: Draws, schedule: Schedule
    ) -> jax.Array:
        """x_0* of the teacher (B, T, h, w, C), see the top of this file.

        Args:
          frozen: the teacher.
          batch: of the step.
          x_t: noisy latents at ``draws.t_B``.
          draws: of the step.
          schedule: of the noise.
        """
        abar = jnp.asarray(schedule.abar, jnp.float32)
        span = len(abar) / self.steps
        video, mask_BThw1 = batch.latents_BThwC.astype(jnp.float32), self.hole(batch)[..., None]

        def abar_at(t_B: jax.Array) -> jax.Array:
            return jnp.where(t_B < 0, 1.0, abar[jnp.maximum(t_B, 0)])

        def step(x: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
            t_B, next_B = (
                draws.t_B - jnp.round(k * span / self.substeps).astype(jnp.int32) for k in (number, number + 1)
            )
            here_B, there_B = abar_at(t_B), abar_at(next_B)
            output = self._guided(frozen, x, batch, jnp.maximum(t_B, 0))
            v = predict.as_velocity(output, x, abar_at(jnp.maximum(t_B, 0)), schedule.prediction_type)
            noise = predict.add_noise(v, x, here_B)  # a v + s x, which needs no division
            x = predict.add_noise(predict.x0_from_velocity(x, v, here_B), noise, there_B)
            return jnp.where(mask_BThw1 > 0, x, predict.add_noise(video, draws.noise_BThwC, there_B)), None

        x_s = jax.lax.scan(step, x_t, jnp.arange(self.substeps))[0]
        return single_step_estimate(x_t, x_s, abar[draws.t_B], abar_at(draws.t_B - round(span)))

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: GuidedClips, t_B: jax.Array
    ) -> jax.Array:
        """What the student predicts (B, T, h, w, C) for the prompt alone."""
        working = compute_copy(trainable, self.backbone.dtype)
        return self._forward(self.whole(working, frozen), x_t, batch.clips, t_B)

    def _guided(self, teacher: trees.Tree, x: jax.Array, batch: GuidedClips, t_B: jax.Array) -> jax.Array:
        clips = batch.clips._replace(text_BME=batch.empty_BME)
        both: Encoded = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), clips, batch.clips)
        output = self._forward(teacher, jnp.concatenate([x, x]), both, jnp.concatenate([t_B, t_B]))
        return guide(output.astype(jnp.float32), jnp.float32(self.guidance))

    def _forward(self, weights: trees.Tree, x: jax.Array, clips: Encoded, t_B: jax.Array) -> jax.Array:
        backbone = nnx.merge(abstract_model(self.backbone)[0], weights["backbone"])
        branch = nnx.merge(abstract_model(self.branch)[0], weights["branch"])
        known = condition(clips, self.backbone.patch)
        given = (clips.image_latents_BThwC, known, clips.text_BME, t_B)
        return forward(backbone, branch, x, *given, injection=self.injection).sample

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Two passes of the teacher for each of its steps, three of the student."""
        tokens = video_tokens(self.backbone, frames, rows, columns)
        once = sum(transformer_flops(self.backbone, tokens)) + sum(transformer_flops(self.branch.dit, tokens))
        return batch * (2 * self.substeps + 3) * (once + hint_flops(self.branch, tokens))

    @property
    def own_settings(self) -> dict[str, object]:
        """Settings with which the student is sampled."""
        hints = {} if self.injection == DEFAULT_INJECTION else {"injection": self.injection}
        return {"steps": self.steps, "guidance": 1.0, "dynamic_guidance": False, "sampler": "ddim", **hints}

    def sampler(self, encoders: Encoders, settings: Settings, schedule: Schedule) -> WindowSampler:
        """In the student's own steps, whatever validation asks for."""
        return super().sampler(encoders, settings.changed(**self.own_settings), schedule)

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Backbone and context encoder."""
        return Models(dataclasses.replace(self.backbone, remat=""), self.branch, vae)

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The student."""
        return {**self.whole(trainable, frozen), "loras": []}

    def sampling_inputs(self, trainable: trees.Tree, batch: GuidedClips, empty: jax.Array) -> SamplerInputs:
        """Latents, condition and text of the data."""
        clips = batch.clips
        known = condition(clips, self.backbone.patch)
        latents = WindowLatents(clips.image_latents_BThwC, clips.latents_BThwC, known)
        return SamplerInputs(latents, clips.text_BME, empty, clips.mask_BThw)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The student's transformer and context encoder."""
        whole = self.whole(trainable, frozen)
        return {"transformer": (self.backbone, whole["backbone"]), "branch": (self.branch, whole["branch"])}

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """The settings with which it is sampled."""
        write_settings(folder, self.own_settings)


def single_step_estimate(x_t: jax.Array, x_s: jax.Array, abar_t: jax.Array, abar_s: jax.Array) -> jax.Array:
    """The x_0 with which one step of DDIM leads from x_t (B, ...) to x_s; signal powers (B,), ``abar_s`` the larger."""
    shape = abar_t.shape + (1,) * (x_t.ndim - 1)
    a_t, s_t, a_s, s_s = (
        jnp.sqrt(value).reshape(shape) for value in (abar_t, 1 - abar_t, abar_s, 1 - abar_s)
    )  # fmt: skip
    ratio = s_s / s_t
    return (x_s - ratio * x_t) / (a_s - ratio * a_t)


def distill_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage; reads JSON at most.

    Raises:
      UserError: a name or folder that is no model.
    """
    found = Descriptions.of(cfg).computed(cfg, platform)
    numbers = cfg.distill_steps, cfg.distill_substeps, cfg.distill_guidance
    stage = DistillStage(found.backbone, found.branch, *numbers, Injection(tokens=cfg.injection_tokens))
    return behind_encoders(cfg, found, stage)
