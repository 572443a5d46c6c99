"""Tiny CogVideoX-Fun-InP and VOID checkpoints: a random transformer of diffusers, converted, beside the tiny VAE."""

import dataclasses
from pathlib import Path

import jax
import torch
from diffusers import CogVideoXTransformer3DModel
from flax import nnx

from tests.tiny import DIT, VAE_CFG, tiny_pipeline
from vp_jax import checkpoint, trees
from vp_jax.convert import dit, engine
from vp_jax.convert.kinds import MODELS
from vp_jax.models import config
from vp_jax.models.dit import DiT
from vp_jax.models.folder import AUTOENCODER, BACKBONE

CHANNELS = {"fun_inp": 9, "void": 12}


def save_inpainting(folder: Path, kind: str, **changes) -> CogVideoXTransformer3DModel:
    """A checkpoint folder, as conversion makes it, and its transformer in PyTorch; windows of 5 frames, 32 x 32."""
    cfg = dataclasses.replace(DIT, in_channels=CHANNELS[kind], patch_t=2, **changes)
    torch.manual_seed(0)
    theirs = CogVideoXTransformer3DModel(**dit.config_to_torch(cfg)).eval()
    with torch.no_grad():
        for tensor in theirs.state_dict().values():
            tensor.add_(0.1 * torch.randn_like(tensor))
    model = MODELS[kind]
    tensors = {name: value.numpy() for name, value in theirs.state_dict().items()}
    shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))[1]
    ours = engine.to_ours(tensors, model.rules, model.ignored, shapes)
    for part, weights, description in (
        (BACKBONE, jax.tree.map(jax.numpy.asarray, ours), cfg),
        (AUTOENCODER, tiny_pipeline().params["vae"], VAE_CFG),
    ):
        checkpoint.save_params(folder / part.folder, weights, config.to_json(description))
    return theirs
