"""Networks of scores with random weights, small where the description allows."""

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from tests.eval.tiny_vocabulary import write_vocabulary
from vp_jax import trees
from vp_jax.eval.bpe import ClipTokenizer
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.clip import ClipConfig
from vp_jax.models.metrics.description import MetricConfig, abstract_metric
from vp_jax.models.metrics.lpips import LpipsConfig

CONTEXT = 12


def random_network(description: MetricConfig, tokenizer: ClipTokenizer | None = None) -> LoadedNetwork:
    """A network with random weights of the usual sizes, drawn on the host."""
    graph, abstract = abstract_metric(description)
    rng, params = np.random.default_rng(0), {}
    for path, leaf in trees.flatten(abstract).items():
        name, x = path.split("/")[-1], rng.normal(size=leaf.shape)
        if name == "kernel":
            x /= np.sqrt(np.prod(leaf.shape[:-1]))
        elif name.startswith("head"):
            x = np.abs(x) / x.size
        elif name in ("scale", "variance"):
            x = 1 + 0.1 * np.abs(x)
        else:
            x *= 0.3
        params[path] = jnp.asarray(x, jnp.float32)
    return LoadedNetwork(graph, trees.unflatten(params), description, tokenizer)


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
