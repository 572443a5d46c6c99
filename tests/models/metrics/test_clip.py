"""CLIP against transformers, with random weights through the table."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from tests.models.metrics.tiny_clip import CONTEXT, VOCABULARY, tiny_clip
from vp_jax.convert import engine
from vp_jax.convert.metrics import CLIP_IGNORED, CLIP_RULES, clip_description
from vp_jax.models.metrics.description import abstract_metric


@pytest.mark.slow
def test_pictures_and_texts_are_where_transformers_puts_them():
    theirs = tiny_clip()
    description = clip_description(theirs.config.to_dict())
    graph, abstract = abstract_metric(description)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    ours = nnx.merge(graph, engine.to_ours(state, CLIP_RULES, CLIP_IGNORED, abstract))
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    ids = rng.integers(0, VOCABULARY - 2, (2, CONTEXT))
    ids[0, 5:], ids[1, -1] = VOCABULARY - 1, VOCABULARY - 1
    with torch.no_grad():
        found = theirs(
            input_ids=torch.from_numpy(ids),
            pixel_values=torch.from_numpy(pictures).permute(0, 3, 1, 2),
        )
    mine = {"image": ours.picture(jnp.asarray(pictures)), "text": ours.text(jnp.asarray(ids), jnp.array([5, 15]))}
    for name, embedding in mine.items():
        unit = embedding / jnp.linalg.norm(embedding, axis=-1, keepdims=True)
        np.testing.assert_allclose(unit, found[f"{name}_embeds"], atol=1e-5)
