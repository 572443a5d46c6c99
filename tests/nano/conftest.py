"""A model folder of the nano layout: untrained, narrow, quick to compile."""

import dataclasses

import jax
import pytest
import sentencepiece

from vp_jax import checkpoint, trees
from vp_jax.models import config, lora
from vp_jax.models.config import BranchConfig, DiTConfig, T5Config, VAEConfig
from vp_jax.models.folder import CHECKPOINT_PARTS
from vp_jax.runs.starting_weights import random_models
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.id_adapter import AdapterStage, adapter_config
from vp_jax.world.synthetic import World


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nano")
    dit = DiTConfig(
        num_heads=2,
        head_dim=16,
        num_layers=2,
        in_channels=32,
        text_dim=8,
        time_dim=8,
        max_text_len=8,
        sample_height=8,
        sample_width=12,
        sample_frames=17,
        learned_positions=True,
    )
    branch = BranchConfig(dataclasses.replace(dit, num_layers=1, in_channels=33))
    vae = VAEConfig(channels=(8, 8, 12, 16), layers_per_block=1, groups=4, sample_height=64, sample_width=96)
    t5 = T5Config(vocab_size=256, dim=8, head_dim=4, ff_dim=16, num_layers=1, num_heads=2)
    adapter = adapter_config(2, 2.0)
    shapes = {**AdapterStage(dit, branch, adapter).shapes().frozen, **Encoders(vae, t5, 8, True).shapes()}
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    weights = random_models(
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
    )
    for name, description in {"backbone": dit, "branch": branch, "vae": vae, "t5": t5}.items():
        checkpoint.save_params(folder / CHECKPOINT_PARTS[name].folder, weights[name], config.to_json(description))
    fresh = trees.flatten(lora.init(adapter, weights["backbone"], jax.random.key(0)))
    checkpoint.save_params(
        folder / "id_adapter", trees.unflatten({k: v + 0.1 for k, v in fresh.items()}), config.to_json(adapter)
    )
    (folder / "tokenizer").mkdir()
    clips = World(40, 17, 64, 96)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([clips[i].caption for i in range(40)]),
        vocab_size=80,
        hard_vocab_limit=False,
        model_prefix=str(folder / "tokenizer" / "spiece"),
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return folder
