"""Reading a folder of reference outputs: models through the real converters, arrays in our layouts, float32."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from tests.compare import DEFAULT
from vp_jax import trees
from vp_jax.convert import branch as branch_table
from vp_jax.convert import dit as dit_table
from vp_jax.convert import engine
from vp_jax.convert import lora as lora_table
from vp_jax.convert import vae as vae_table
from vp_jax.models.branch import Branch
from vp_jax.models.config import LoRAConfig
from vp_jax.models.dit import DiT
from vp_jax.models.vae.vae import VAE

WEIGHTS = "diffusion_pytorch_model.safetensors"


def needed(path: Path) -> Path:
    """``path``; another folder than the project's own may hold a part of the outputs, its other tests are skipped."""
    if not path.exists() and not path.resolve().is_relative_to(DEFAULT):
        pytest.skip(f"the folder of reference outputs has no {path.name}")
    return path


def tensors(path: Path) -> dict[str, np.ndarray]:
    """A safetensors file as stored."""
    return load_file(needed(path))


def _load(folder: Path, table: ModuleType, model: type) -> tuple[Any, nnx.GraphDef, trees.Tree]:
    cfg = table.config_from_torch(json.loads(needed(folder / "config.json").read_text()))
    graph, shapes = trees.abstract(lambda: model(cfg, rngs=nnx.Rngs(0)))
    params = engine.to_ours(tensors(folder / WEIGHTS), table.RULES, table.IGNORED, shapes, np.float32)
    return cfg, graph, jax.tree.map(jnp.asarray, params)


def backbone(golden: Path, name: str = "transformer") -> tuple[Any, nnx.GraphDef, trees.Tree]:
    """Description, graph definition and parameters of a backbone."""
    return _load(golden / name, dit_table, DiT)


def branch(golden: Path, name: str = "branch") -> tuple[Any, nnx.GraphDef, trees.Tree]:
    """The same of a context encoder."""
    return _load(golden / name, branch_table, Branch)


def vae(golden: Path) -> tuple[Any, nnx.GraphDef, trees.Tree]:
    """The same of the VAE."""
    return _load(golden / "vae", vae_table, VAE)


def id_adapter(golden: Path, scale: float) -> tuple[LoRAConfig, trees.Tree]:
    """Description (with the golden's scale) and parameters of the ID adapter."""
    state = tensors(golden / "id_adapter" / "pytorch_lora_weights.safetensors")
    cfg, params = lora_table.from_torch(state, scale=scale, extra_keys=True)
    return cfg, jax.tree.map(jnp.asarray, params)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """An npz as a dict, half floats as float32."""
    with np.load(needed(path)) as file:
        return {k: file[k].astype(np.float32) if file[k].dtype == np.float16 else file[k] for k in file.files}


def channels_last(x: np.ndarray) -> jax.Array:
    """(B, T, C, h, w) -> (B, T, h, w, C)."""
    return jnp.asarray(x.transpose(0, 1, 3, 4, 2))


def channels_first(x: Any) -> np.ndarray:
    """(B, T, h, w, C) -> (B, T, C, h, w)."""
    return np.asarray(x).transpose(0, 1, 4, 2, 3)
