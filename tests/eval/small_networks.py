"""Networks of scores with random weights, small where the description allows."""

import functools
from pathlib import Path

import jax
from flax import nnx

from tests.eval.tiny_vocabulary import write_vocabulary
from vp_jax import trees
from vp_jax.eval.bpe import ClipTokenizer
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.clip import ClipConfig
from vp_jax.models.metrics.description import MetricConfig, build_metric
from vp_jax.models.metrics.lpips import LpipsConfig

CONTEXT = 12


def random_network(description: MetricConfig, tokenizer: ClipTokenizer | None = None) -> LoadedNetwork:
    """A network with the weights of its initialisation, a little noise on those that begin as constants."""
    graph, params = trees.split(build_metric(description, nnx.Rngs(0)))
    flat = trees.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(flat))
    noisy = {path: x + 0.02 * jax.random.uniform(key, x.shape) for (path, x), key in zip(flat.items(), keys)}
    return LoadedNetwork(graph, trees.unflatten(noisy), description, tokenizer)


@functools.cache
def lpips_network() -> LoadedNetwork:
    """LPIPS of SqueezeNet."""
    return random_network(LpipsConfig("squeeze"))


def clip_network(folder: Path) -> LoadedNetwork:
    """A CLIP of one layer; its vocabulary is written to ``folder``."""
    vocabulary = write_vocabulary(folder)
    sizes = ClipConfig(
        image=32, patch=8, width=16, layers=1, heads=2, text_width=16, text_layers=1, text_heads=2,
        vocabulary=len(vocabulary), context=CONTEXT, embedding=8,
    )  # fmt: skip
    return random_network(sizes, ClipTokenizer(folder))
