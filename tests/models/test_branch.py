"""The context encoder: how it starts from a backbone, and what its hints are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.models import random_weights
from tests.models.tiny import BRANCH, DIT
from vp_jax import trees
from vp_jax.models.branch import Branch, init_from_backbone
from vp_jax.models.config import BranchConfig
from vp_jax.models.dit import Context, DiT, Extension, rotation_for


def started(backbone_cfg, branch_cfg):
    """Flat parameters of a backbone, of a fresh context encoder and of the one started from the backbone."""
    shapes = [
        trees.abstract(lambda: DiT(backbone_cfg, rngs=nnx.Rngs(0)))[1],
        trees.abstract(lambda: Branch(branch_cfg, rngs=nnx.Rngs(0)))[1],
    ]
    backbone, fresh = (random_weights.draw(tree, seed) for seed, tree in enumerate(shapes))
    return trees.flatten(backbone), trees.flatten(fresh), trees.flatten(init_from_backbone(backbone, fresh, 4))


@pytest.mark.parametrize("learned", [False, True])
def test_every_array_starts_where_the_paper_says(learned):
    branch_dit = dataclasses.replace(BRANCH.dit, learned_positions=learned)
    backbone, fresh, new = started(dataclasses.replace(DIT, learned_positions=learned), BranchConfig(branch_dit))
    assert new.keys() == fresh.keys()
    for path, value in new.items():
        assert value.shape == fresh[path].shape and value.dtype == fresh[path].dtype, path
        if path == "patch_embed/proj/kernel":
            latent = backbone[path][: 4 * 4]  # noisy latents: 4 channels of 2 x 2 patches; the image's are left out
            np.testing.assert_array_equal(value, np.concatenate([latent, latent, np.zeros((4, DIT.dim))]))
        elif path.startswith("zero/"):
            assert not np.asarray(value).any() and np.asarray(fresh[path]).any()
        elif path.startswith("patch_embed/text_proj/"):
            np.testing.assert_array_equal(value, fresh[path])
        else:
            np.testing.assert_array_equal(value, backbone[path][:2] if path.startswith("blocks/") else backbone[path])
    assert ("patch_embed/pos_embedding" in new) == learned


def test_a_backbone_without_a_table_leaves_the_context_encoder_its_own():
    learned = BranchConfig(dataclasses.replace(BRANCH.dit, learned_positions=True))
    _, fresh, new = started(DIT, learned)
    np.testing.assert_array_equal(new["patch_embed/pos_embedding"], fresh["patch_embed/pos_embedding"])


@pytest.mark.slow
def test_hint_g_is_linear_g_of_the_state_after_block_g(models, inputs):
    """Block after block by hand; the input is noisy latents, then masked video, then mask."""
    branch = models[1]
    noisy, _, given, text, t = inputs
    condition = given.channels()
    hints = branch.joint_hints(noisy, condition, text, t)
    latents = jnp.concatenate([noisy, condition[..., :4], condition[..., 4:]], -1)
    x = branch.patch_embed(latents, text)
    ctx = Context(branch.time_embed(t), rotation_for(BRANCH.dit, latents, 3), 3)
    for g in range(2):
        block, zero = (
            nnx.merge(graph, jax.tree.map(lambda a: a[g], params))  # noqa: B023
            for graph, params in map(trees.split, (branch.blocks, branch.zero))
        )
        x = block(x, ctx, Extension())
        assert relative_error(hints[g], x @ zero.kernel[...] + zero.bias[...][None, None]) < 1e-6
    video = branch(noisy, condition, text, t)
    np.testing.assert_array_equal(video, hints[:, :, 3:])
    assert video.shape == (2, 2, 18, DIT.dim)


@pytest.mark.slow
def test_everything_it_reads_changes_its_hints(models, inputs):
    branch, (noisy, _, given, text, t) = models[1], inputs
    condition = given.channels()
    hints = branch(noisy, condition, text, t)
    for name, changed in {
        "noisy latents": (noisy + 1, condition, text, t),
        "masked video": (noisy, condition.at[..., :4].add(1), text, t),
        "mask": (noisy, condition.at[..., 4].set(1 - condition[..., 4]), text, t),
        "text": (noisy, condition, text + 1, t),
        "time": (noisy, condition, text, t + 50),
    }.items():
        assert relative_error(branch(*changed), hints) > 1e-3, name


def test_a_condition_without_its_mask_is_an_error(models, inputs):
    noisy, _, given, text, t = inputs
    condition = given.channels()
    with pytest.raises(AssertionError):
        models[1](noisy, condition[..., :4], text, t)


def test_hints_are_in_the_compute_type():
    half = BranchConfig(dataclasses.replace(BRANCH.dit, dtype="bfloat16", param_dtype="bfloat16"))
    branch, _ = random_weights.module(Branch, half)
    arrays = (jnp.zeros((1, 3, 4, 6, 4)), jnp.zeros((1, 3, 4, 6, 5)), jnp.zeros((1, 3, 12)), jnp.zeros((1,)))
    out = jax.eval_shape(lambda *a: branch(*a), *arrays)
    assert (out.shape, out.dtype) == ((2, 1, 18, DIT.dim), jnp.bfloat16)
