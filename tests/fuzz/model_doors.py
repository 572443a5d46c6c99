"""Doors for model folders, published checkpoints and LoRA files."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import Rng, damage_file, damage_one, damaged_json, pick
from tests.tiny import ADAPTED, save_lora, save_tiny, tiny_pipeline
from vp_jax import trees
from vp_jax.checkpoint import load_params
from vp_jax.convert import main as convert
from vp_jax.inference.pipeline import Pipeline
from vp_jax.models.config import LoRAConfig
from vp_jax.models.folder import CHECKPOINT_PARTS, CheckpointFolder
from vp_jax.models.tokenizer import Tokenizer

ROOT = Path(__file__).parent.parent.parent
GOLDEN, NANO = ROOT / "tests" / "golden", ROOT / "vp_jax" / "nano"
PARTS = {"transformer": "transformer", "branch": "branch", "vae": "vae", "id_adapter": "id_adapter"}


def tiny_models(folder: Path) -> None:
    """The tiny models, and the packaged model without its weights."""
    pipeline = tiny_pipeline()
    save_tiny(folder / "tiny", pipeline)
    style = LoRAConfig(ADAPTED, rank=2, scale=0.5)
    save_lora(folder / "style", style, pipeline.params["backbone"])
    shutil.copytree(NANO, folder / "nano", ignore=shutil.ignore_patterns("params"))


def _check_finite(pipeline: Pipeline) -> None:
    for leaf in jax.tree.leaves(pipeline.params):
        if not np.isfinite(np.asarray(leaf, np.float32)).all():
            raise Wrong("weights that are not finite were loaded")


@door("model folder", tiny_models)
def _model_folder(folder: Path, rng: Rng) -> Callable[[], object]:
    place = folder / pick(rng, ("tiny", "tiny", "style"))
    if rng.random() < 0.6:  # as of earlier versions, which stored no digests: nothing gives the damage away
        for file in folder.rglob("digests.json"):
            file.unlink()
    damage_one(place, rng, pick(rng, ("**/config.json", "**/*", "**/*")))
    loras = [(folder / "style", 1.0)] if place.name == "style" else []
    return lambda: _check_finite(Pipeline.load(folder / "tiny", loras=loras))


@door("model descriptions", tiny_models, share=2)
def _descriptions(folder: Path, rng: Rng) -> Callable[[], object]:
    for file in folder.rglob("digests.json"):
        file.unlink()
    place = CheckpointFolder(folder / pick(rng, ("tiny", "nano")))
    damaged = pick(rng, sorted(place.path.rglob("config.json")))
    if rng.random() < 0.8:
        damaged.write_bytes(damaged_json(damaged.read_bytes(), rng))
    else:
        damage_file(damaged, rng)

    def read() -> None:
        for part in CHECKPOINT_PARTS.values():
            if place.has(part):
                place.describe(part)
        place.schedule()
        if place.vocabulary().exists():
            Tokenizer(place.vocabulary())

    return read


def published(folder: Path) -> None:
    """Small checkpoints in the published layout: as safetensors, in shards, and as PyTorch files."""
    for name in PARTS:
        shutil.copytree(GOLDEN / name, folder / name)
    weights = next((folder / "transformer").glob("*.safetensors"))
    tensors = load_file(weights)
    shards, torches = folder / "shards", folder / "torch"
    for place in (shards, torches):
        shutil.copytree(folder / "transformer", place, ignore=shutil.ignore_patterns("*.safetensors"))
    names = [f"diffusion_pytorch_model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    halves = [dict(list(tensors.items())[part::2]) for part in (0, 1)]
    for name, half in zip(names, halves):
        save_file(half, shards / name)
    index = {"metadata": {}, "weight_map": {key: name for name, half in zip(names, halves) for key in half}}
    (shards / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    torch.save(_tensors(tensors), torches / "diffusion_pytorch_model.bin")
    (folder / "scheduler").mkdir()
    scheduler = {"_class_name": "CogVideoXDPMScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085}
    scheduler |= {"beta_end": 0.012, "snr_shift_scale": 1.0, "prediction_type": "v_prediction"}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}


@door("convert", published, share=2)
def _convert(folder: Path, rng: Rng) -> Callable[[], object]:
    name = pick(rng, (*PARTS, "shards", "shards", "torch", "torch", "scheduler"))
    kind = {"shards": "transformer", "torch": "transformer"}.get(name, name)
    if name == "torch" and rng.random() < 0.6:
        _odd_torch(folder / name / "diffusion_pytorch_model.bin", rng)
    else:
        damage_one(folder / name, rng)
    out = folder / "out"

    def read() -> None:
        convert.convert_one(kind, folder / name, out, dtype=pick(rng, (None, "float16", "float32")))
        if kind != "scheduler":
            _all_finite(out)

    return read


def _all_finite(folder: Path) -> None:
    for path, leaf in trees.flatten(load_params(folder)).items():
        if not np.isfinite(np.asarray(leaf, np.float32)).all():
            raise Wrong(f"{path}: not finite, and converted")


def _odd_torch(path: Path, rng: Rng) -> None:
    """A PyTorch file with an entry of an odd kind, under odd names or wrappers."""
    state = torch.load(path)
    name = pick(rng, sorted(state))
    value, kind = state[name], int(rng.integers(12))
    odd: tuple[Callable[[], Any], ...] = (
        lambda: value.to_sparse(),
        lambda: torch.empty(value.shape, device="meta"),
        lambda: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        lambda: value.to(torch.float8_e4m3fn),
        lambda: torch.zeros(1).expand(10**7, 10**4),
        lambda: value.to(torch.complex64),
        lambda: value * float("nan"),
        lambda: value.reshape(-1),
        lambda: {"a": value},
        lambda: torch.nn.Parameter(value),
        lambda: None,
        lambda: value.double() * 1e200,
    )
    state[name] = odd[kind]()
    if rng.random() < 0.3:
        state = {
            pick(rng, ("module.", "../", "_orig_mod.", "\0", "x" * 3000)) + key: item for key, item in state.items()
        }
    if rng.random() < 0.2:
        state = functools.reduce(lambda inner, _: {"state_dict": inner}, range(int(rng.integers(1, 20))), state)
    torch.save(pick(rng, (state, state, state, [state], 3, list(state.values()))), path)


def loras(folder: Path) -> None:
    """A LoRA in the layout of diffusers and of kohya, with a rank pattern beside it."""
    rng = np.random.default_rng(0)
    tensors = {}
    for layer in range(2):
        for part in ("to_q", "to_v"):
            base = f"transformer.transformer_blocks.{layer}.attn1.{part}"
            tensors[f"{base}.lora_A.weight"] = rng.standard_normal((2, 48)).astype(np.float32)
            tensors[f"{base}.lora_B.weight"] = rng.standard_normal((48, 2)).astype(np.float32)
    for name, alpha in (("diffusers", None), ("kohya", 4.0)):
        (folder / name).mkdir()
        kept = dict(tensors)
        if alpha:
            kept |= {
                key.replace("lora_A.weight", "alpha"): np.array(alpha, np.float32) for key in tensors if "A" in key
            }
        save_file(kept, folder / name / "pytorch_lora_weights.safetensors")
        settings = {"r": 2, "lora_alpha": 4, "rank_pattern": {"to_q": 2}, "alpha_pattern": {}, "use_rslora": False}
        (folder / name / "adapter_config.json").write_text(json.dumps(settings))


@door("lora", loras, share=2)
def _lora(folder: Path, rng: Rng) -> Callable[[], object]:
    place, kind = folder / pick(rng, ("diffusers", "kohya")), rng.random()
    weights = place / "pytorch_lora_weights.safetensors"
    if kind < 0.4:
        tensors = load_file(weights)
        key = pick(rng, sorted(tensors))
        layer = pick(rng, ("0", "1", "7", "-1", "999999", "9" * 30, "x", ""))
        value = pick(rng, (tensors[key], tensors[key] * np.nan, np.float32(np.inf), np.zeros((0,)), np.zeros((2, 0))))
        tensors.pop(key) if rng.random() < 0.5 else None
        tensors[key.replace("_blocks.0", f"_blocks.{layer}").replace("_blocks.1", f"_blocks.{layer}")] = np.asarray(
            value
        )
        save_file(tensors, weights, metadata={"lora_adapter_metadata": pick(rng, ("{}", "[", "null", '{"r": "x"}'))})
    else:
        damage_file(pick(rng, sorted(place.iterdir())), rng)
    scale = pick(rng, (None, None, 0.5))

    def read() -> None:
        convert.convert_one("lora", place, folder / "out", scale=scale)
        _all_finite(folder / "out")

    return read
