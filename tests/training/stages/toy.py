"""The smallest stage: a prediction that is one learned number for each channel. What a sixth stage has to say."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from vp_jax.models.config import DiTConfig, LoRAConfig
from vp_jax.training.encode import EncodedClips
from vp_jax.training.models import Descriptions, behind_encoders
from vp_jax.training.stages.denoising import Denoiser
from vp_jax.training.stages.stage import Sampled
from vp_jax.training.stages.weights import Weights


def sample(trainable, frozen, encoders, batch, empty, key):
    """Grey clips."""
    B, T, h, w, _ = batch.latents_BThwC.shape
    grey = jnp.zeros((B, 4 * T - 3, 8 * h, 8 * w, 3))
    return Sampled(grey, grey + trainable["bias"].mean(), None)


@dataclasses.dataclass(frozen=True)
class ToyStage(Denoiser[EncodedClips]):
    """One number for each channel."""

    sampling_models = sampling_weights = sampling_inputs = None  # nobody samples it

    backbone: DiTConfig

    kind = "toy"

    def shapes(self):
        return Weights({"bias": jax.ShapeDtypeStruct((self.backbone.out_channels,), jnp.float32)}, {})

    def origins(self, checkpoint, init_from):
        return {}

    def start(self, models, key):
        return Weights({"bias": jnp.zeros(self.backbone.out_channels)}, {})

    def inputs(self, encoders, weights, batch, key):
        return encoders.encode_clips(weights, batch, key)

    def predicted(self, trainable, frozen, x_t, batch, t_B):
        return jnp.broadcast_to(trainable["bias"], x_t.shape)

    def flops(self, batch, frames, rows, columns):
        return None

    def sampler(self, encoders, settings, schedule):
        return sample

    def exports(self, trainable, frozen):
        return {"toy": (LoRAConfig(targets=(), rank=1), trainable)}


def toy_models(cfg, platform=None):
    """Models of a run of this stage."""
    found = Descriptions.of(cfg).computed(cfg, platform)
    return behind_encoders(cfg, found, ToyStage(found.backbone))
