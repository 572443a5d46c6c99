"""The released CLIP columns, repeated with their faults (`vp_jax.eval.reference`).

``CLIP_Score`` and its masked kin: ViT-L/14; the shortest side becomes 224 by bicubic interpolation, rounded to levels,
and the middle square is seen; captions are sliced to 77 tokens, so that a long one has no end token and is read at its
start token, which holds nothing of it. Masked pixels are black.

``Temporal_Consistency``: ViT-B/32; the frame is squashed to a square, and not normalised.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.eval.blocks import as_float, by_blocks
from vp_jax.eval.reference import PREFIX, truncated
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.text import text_embeddings
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.clip import CLIP_MEAN, CLIP_STD, ClipConfig


def middle_square(frames_FHWC: jax.Array, side: int) -> jax.Array:
    """Frames (uint8) as the released processor shows them to CLIP: resized, cut to the middle, normalised."""
    F, H, W, C = frames_FHWC.shape
    short = min(H, W)
    rows, columns = (int(side * size / short) for size in (H, W))
    levels = jax.image.resize(frames_FHWC.astype(jnp.float32), (F, rows, columns, C), "cubic", antialias=True)
    levels = jnp.clip(jnp.round(levels), 0, 255)
    top, left = (rows - side) // 2, (columns - side) // 2
    cut = levels[:, top : top + side, left : left + side] / 255
    return normalised(cut, CLIP_MEAN, CLIP_STD)


def squashed(frames_FHWC: jax.Array, side: int) -> jax.Array:
    """Frames in [0, 1], squashed to a square, bilinear; not normalised."""
    F, _, _, C = frames_FHWC.shape
    resized: jax.Array = jax.image.resize(as_float(frames_FHWC), (F, side, side, C), "linear", antialias=True)
    return resized


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _embeddings(
    graph: nnx.GraphDef[Any], params: trees.Tree, similar: bool, cfg: ClipConfig, frames_FHWC: jax.Array
) -> jax.Array:
    pictures = (middle_square if similar else squashed)(frames_FHWC, cfg.image)
    embeddings_FE = nnx.merge(graph, params).picture(pictures)
    unit_FE: jax.Array = embeddings_FE / jnp.linalg.norm(embeddings_FE, axis=-1, keepdims=True)
    return unit_FE


def sliced_caption(network: LoadedNetwork, caption: str) -> np.ndarray:
    """Unit embedding (E,) of a caption of sliced tokens."""
    assert network.tokenizer is not None and isinstance(network.description, ClipConfig)
    ids_BM, end = network.tokenizer.encode_sliced(caption, network.description.context)
    return np.asarray(text_embeddings(network.graph, network.params, ids_BM, np.array([end]))[0])


class ReferenceTextGauge:
    """``CLIP_Score``, ``Masked_CLIP_Score`` (both: video caption), ``Masked_Region_CLIP_Score`` (object caption)."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["clip_vit_l14"]
        texts = {
            f"{PREFIX}clip_score": clip.caption,
            f"{PREFIX}masked_clip_score": clip.caption,
            f"{PREFIX}masked_region_clip_score": clip.object_caption,
        }
        self._captions = {name: sliced_caption(self._network, texts[name]) for name in names}
        self._found: dict[str, list[float]] = {name: [] for name in names}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        network = self._network
        program = functools.partial(_embeddings, network.graph, network.params, True, network.description)
        whole_FHWC = truncated(result_FHWC)
        seen: dict[bool, np.ndarray] = {}
        for name, caption_E in self._captions.items():
            masked = "masked" in name
            if masked not in seen:
                seen[masked] = by_blocks(program, whole_FHWC * holes_FHW[..., None] if masked else whole_FHWC)
            self._found[name] += [float(value) for value in np.maximum(100 * seen[masked] @ caption_E, 0)]

    def values(self) -> dict[str, Value]:
        """Means over the frames so far."""
        return {name: float(np.mean(values)) if values else math.nan for name, values in self._found.items()}


class ReferenceConsistencyGauge:
    """``Temporal_Consistency`` and ``Masked_Temporal_Consistency``."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["clip_vit_b32"]
        self._found: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        network = self._network
        program = functools.partial(_embeddings, network.graph, network.params, False, network.description)
        whole_FHWC = truncated(result_FHWC)
        for name, parts in self._found.items():
            parts.append(by_blocks(program, whole_FHWC * holes_FHW[..., None] if "masked" in name else whole_FHWC))

    def values(self) -> dict[str, Value]:
        """Means over pairs of consecutive frames."""
        values: dict[str, Value] = {}
        for name, parts in self._found.items():
            pictures_FE = np.concatenate(parts) if parts else np.zeros((0, 1))
            pairs = (pictures_FE[1:] * pictures_FE[:-1]).sum(-1)
            values[name] = float(pairs.mean()) if len(pairs) else math.nan
        return values
