"""A pipeline of tiny random models, and a clip of eleven frames for it."""

from pathlib import Path

import jax
import numpy as np

from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.models import config, lora
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, VAEConfig
from vp_jax.models.folder import AUTOENCODER, BACKBONE, ID_ADAPTER
from vp_jax.models.folder import BRANCH as BRANCH_PART

DIT = DiTConfig(
    num_heads=1,
    head_dim=16,
    num_layers=2,
    in_channels=8,
    out_channels=4,
    text_dim=6,
    time_dim=8,
    max_text_len=3,
    sample_height=4,
    sample_width=4,
    sample_frames=5,
)
BRANCH = BranchConfig(DiTConfig(**{**DIT.__dict__, "num_layers": 1, "in_channels": 9}))
ADAPTED = tuple(f"blocks/attn/to_{name}" for name in ("q", "k", "v", "out"))
VAE_CFG = VAEConfig(latent_channels=4, channels=(4, 4, 4, 4), layers_per_block=1, groups=2)


def tiny_pipeline() -> Pipeline:
    """Random weights, the same in every call; windows of 5 frames, 32 x 32 pixels, two steps."""
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        return (0.3 * rng.standard_normal(leaf.shape) + (path[-1].key == "scale")).astype(np.float32)

    models = Models(DIT, BRANCH, VAE_CFG)
    params = {
        name: jax.tree_util.tree_map_with_path(weights, shapes) for name, (_, shapes) in models.abstract().items()
    }
    params = jax.device_put({**params, "loras": []}, jax.devices()[0])
    return Pipeline(models, params, Schedule(), own_settings={"steps": 2})


def tiny_clip() -> tuple[np.ndarray, np.ndarray, Prompt]:
    """Frames, holes (none in frame 0) and a prompt."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (11, 32, 32, 3), np.uint8)
    holes = np.zeros((11, 32, 32), bool)
    holes[1:, 8:20, 4:16] = True
    return frames, holes, Prompt(*rng.standard_normal((2, 3, 6), np.float32))


def save_tiny(folder: Path, pipeline: Pipeline, *, id_scale: float = 0.5) -> None:
    """The tiny models as a converted folder, with an ID adapter that was stored at ``id_scale``."""
    cfg = pipeline.models
    for part, description in ((BACKBONE, cfg.backbone_cfg), (BRANCH_PART, cfg.branch_cfg), (AUTOENCODER, cfg.vae_cfg)):
        checkpoint.save_params(folder / part.folder, pipeline.params[part.name], config.to_json(description))
    adapter = LoRAConfig(ADAPTED, rank=2, scale=id_scale, extra_keys=True)
    save_lora(folder / ID_ADAPTER.folder, adapter, pipeline.params["backbone"])


def save_lora(folder: Path, cfg: LoRAConfig, backbone: trees.Tree) -> None:
    """An adapter that changes something."""
    fresh = trees.flatten(lora.init(cfg, backbone, jax.random.key(0)))
    weights = {name: leaf + 0.3 for name, leaf in fresh.items()}
    checkpoint.save_params(folder, trees.unflatten(weights), config.to_json(cfg))
