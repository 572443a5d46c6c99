"""A model of single cells from one of 2 x 2 cells: which weights become which."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from bench.nano import finer
from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.inference.named import NAMED
from vp_jax.models.config import BranchConfig, DiTConfig, to_json
from vp_jax.models.folder import BACKBONE, BRANCH, CheckpointFolder, abstract_model
from vp_jax.models.layers import patchify, unpatchify
from vp_jax.training.stages.weights import random_weights

CFG = DiTConfig(
    num_heads=2,
    head_dim=16,
    num_layers=1,
    in_channels=3,
    out_channels=3,
    text_dim=8,
    time_dim=8,
    max_text_len=5,
    sample_height=4,
    sample_width=6,
    sample_frames=5,
    learned_positions=True,
)
FINE = dataclasses.replace(CFG, patch=1)


def drawn(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_an_output_is_the_mean_over_the_cells_of_its_token():
    output = {"kernel": drawn(CFG.dim, 12), "bias": drawn(12)}
    state_1ND = drawn(1, 12, CFG.dim)

    def latents(weights, cfg, state_1ND, rows, columns):
        return np.asarray(unpatchify(state_1ND @ weights["kernel"] + weights["bias"], 2, rows, columns, cfg))

    coarse = latents(output, CFG, state_1ND, 4, 6)
    state_of_cells = state_1ND.reshape(2, 2, 3, -1).repeat(2, 1).repeat(2, 2).reshape(1, 48, -1)
    found = latents(finer.finer_output(output, CFG), FINE, state_of_cells, 4, 6)
    means = coarse.reshape(2, 2, 2, 3, 2, 3).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(found[0], means, atol=1e-5)


def test_embeddings_of_a_tokens_cells_sum_up_to_twice_its_own():
    embedding = {"proj": {"kernel": drawn(12, CFG.dim), "bias": drawn(CFG.dim)}}
    made = finer.finer_embedding(embedding, CFG)["proj"]
    values_C = drawn(3)
    latents = np.broadcast_to(values_C, (1, 1, 2, 2, 3))
    coarse = np.asarray(patchify(latents, CFG))[0, 0] @ embedding["proj"]["kernel"]
    np.testing.assert_allclose(4 * np.asarray(patchify(latents, FINE))[0, 0] @ made["kernel"], 2 * coarse, atol=1e-5)
    np.testing.assert_array_equal(made["bias"], embedding["proj"]["bias"])


def test_a_cell_has_the_position_of_its_token_and_text_keeps_its_own():
    table_ND = drawn(5 + 12, CFG.dim)
    made = finer.finer_embedding({"proj": {"kernel": drawn(12, CFG.dim)}, "pos_embedding": table_ND}, CFG)
    found_ND = made["pos_embedding"]
    np.testing.assert_array_equal(found_ND[:5], table_ND[:5])
    video_ThwD = found_ND[5:].reshape(2, 4, 6, -1)
    for rows, columns in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cells = video_ThwD[:, rows::2, columns::2].reshape(12, -1)
        np.testing.assert_array_equal(cells, table_ND[5:])


@pytest.mark.slow
def test_a_checkpoint_becomes_finer_once(tmp_path):
    coarse = {"transformer": CFG, "branch": BranchConfig(dataclasses.replace(CFG, in_channels=7))}
    for name, description in coarse.items():
        checkpoint.save_params(
            tmp_path / "coarse" / name, random_weights(description, jax.random.key(0)), to_json(description)
        )
    for name in ("text_encoder", "tokenizer", "scheduler"):
        shutil.copytree(NAMED["nano"].folder / name, tmp_path / "coarse" / name)
    finer.main([str(tmp_path / "coarse"), str(tmp_path / "fine")])
    fine = CheckpointFolder.existing(tmp_path / "fine")
    assert fine.describe(BACKBONE) == FINE
    assert fine.describe(BRANCH).dit == dataclasses.replace(FINE, in_channels=7)
    for part, values in ((BACKBONE, 3), (BRANCH, 7)):
        params = checkpoint.load_params(fine.of(part), abstract_model(fine.describe(part))[1])
        assert params["patch_embed"]["proj"]["kernel"].shape == (values, CFG.dim)
    assert fine.verify()
    with pytest.raises(UserError, match="exists already"):
        finer.main([str(tmp_path / "coarse"), str(tmp_path / "fine")])
    with pytest.raises(UserError, match="transformer: tokens of 1 x 1 cells, expected 2 x 2"):
        finer.main([str(tmp_path / "fine"), str(tmp_path / "finest")])
