"""Networks of scores from a folder of converted weights.

    FOLDER/lpips_squeeze  lpips_alex  lpips_vgg  clip_vit_l14  clip_vit_b32  i3d  raft  dinov2  videomae

Each is made by ``vp-jax convert one KIND SOURCE FOLDER/NAME``; a score needs the one that its ``needs`` names. None is
needed for scores without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from vp_jax import checkpoint, trees
from vp_jax.errors import UserError
from vp_jax.eval.bpe import ClipTokenizer
from vp_jax.models.metrics.description import MetricConfig, abstract_metric, metric_from_json
from vp_jax.reading import show

WEIGHTS: dict[str, str] = {
    "lpips_squeeze": "lpips_squeeze",
    "lpips_alex": "lpips_alex",
    "lpips_vgg": "lpips_vgg",
    "clip_vit_l14": "clip",
    "clip_vit_b32": "clip",
    "i3d": "i3d",
    "raft": "raft",
    "dinov2": "dinov2",
    "videomae": "videomae",
}
"""Names of weights, with the kind that converts them."""


class LoadedNetwork(NamedTuple):
    """A network: graph (static), arrays, description; and the tokenizer of a CLIP."""

    graph: nnx.GraphDef[Any]
    params: trees.Tree
    description: MetricConfig
    tokenizer: ClipTokenizer | None = None


def how_to_get(name: str) -> str:
    """One line that says how weights are made, or what else is to be named."""
    if name == "vlm":
        return "vlm: a vision-language model, --vlm http://HOST:PORT/v1 or --vlm local:FOLDER_OR_ID"
    return f"{name}: vp-jax convert one {WEIGHTS[name]} SOURCE WEIGHTS/{name}"


def read_network(folder: Path | str) -> LoadedNetwork:
    """The network in a converted folder.

    Raises:
      UserError: no such folder, another kind, or damaged files.
    """
    folder = Path(folder)
    description = metric_from_json({key: value for key, value in checkpoint.load_config(folder).items()})
    graph, like = abstract_metric(description)
    params = checkpoint.load_params(folder, like)
    return LoadedNetwork(graph, params, description, ClipTokenizer(folder) if description.kind == "clip" else None)


def load_networks(folder: Path | str) -> dict[str, LoadedNetwork]:
    """Every network that a folder has, by the name of its weights.

    Raises:
      UserError: no such folder, or what `read_network` raises.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no folder {show(folder)}: expected converted weights, {how_to_get('lpips_squeeze')}")
    return {name: read_network(folder / name) for name in WEIGHTS if (folder / name).is_dir()}
