"""Tables of the backbone and the context encoder: full-size manifests by shape, reference files bit for bit."""

import dataclasses
import inspect
import json
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from vp_jax import trees
from vp_jax.convert import branch, dit, engine
from vp_jax.errors import UserError
from vp_jax.models.branch import Branch
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT

MANIFESTS = Path(__file__).parents[1] / "manifests"
FULL = [
    ("cogvideox_2b_t2v_transformer", dit, DiT),
    ("cogvideox_5b_t2v_transformer", dit, DiT),
    ("cogvideox_5b_i2v_transformer", dit, DiT),
    ("videopainter_branch_t2v", branch, Branch),
    ("videopainter_branch_i2v", branch, Branch),
]
REFERENCE = [
    ("transformer", dit, DiT),
    ("transformer_t2v", dit, DiT),
    ("transformer_t2v_sincos", dit, DiT),
    ("branch", branch, Branch),
    ("branch_t2v", branch, Branch),
    ("branch_t2v_sincos", branch, Branch),
]


@pytest.mark.parametrize("name, table, model", FULL, ids=[case[0] for case in FULL])
def test_every_tensor_of_the_real_checkpoints_has_one_home(name, table, model):
    manifest = json.loads((MANIFESTS / f"{name}.json").read_text())
    cfg = table.config_from_torch(manifest["config"])
    _, shapes = trees.abstract(lambda: model(cfg, rngs=nnx.Rngs(0)))
    source = {k: jax.ShapeDtypeStruct(tuple(v), np.float16) for k, v in manifest["tensors"].items()}
    ledger = engine.plan(source, table.RULES, table.IGNORED, shapes, "bfloat16")
    assert len(ledger.ignored) == (10 if table is branch else 0)
    unused = sum(int(np.prod(manifest["tensors"][key])) for key in ledger.ignored)
    assert unused + trees.count_parameters(lambda: model(cfg, rngs=nnx.Rngs(0))) == manifest["parameters"]
    for key, shape in table.torch_shapes(cfg).items():
        assert shape == tuple(manifest["tensors"][key])
    if table is branch:
        mine = branch.unused_tensors(cfg, np.float16)
        assert {k: list(v.shape) for k, v in mine.items()} == {k: manifest["tensors"][k] for k in ledger.ignored}


@pytest.mark.parametrize("name, table, model", REFERENCE, ids=[case[0] for case in REFERENCE])
def test_reference_files_round_trip_bit_for_bit(golden, name, table, model):
    values = json.loads((golden / name / "config.json").read_text())
    tensors = load_file(golden / name / "diffusion_pytorch_model.safetensors")
    cfg = table.config_from_torch(values)
    _, shapes = trees.abstract(lambda: model(cfg, rngs=nnx.Rngs(0)))
    tree = engine.to_ours(tensors, table.RULES, table.IGNORED, shapes)
    back = engine.to_torch(tree, table.RULES, table.torch_shapes(cfg))
    unused = set(branch.unused_tensors(cfg, np.float16)) if table is branch else set()
    assert set(back) | unused == set(tensors) and not set(back) & unused
    for key, value in back.items():
        assert value.dtype == tensors[key].dtype
        np.testing.assert_array_equal(value, tensors[key], err_msg=key)


@pytest.mark.parametrize("name, table, model", REFERENCE, ids=[case[0] for case in REFERENCE])
def test_descriptions_round_trip(golden, name: str, table: ModuleType, model: type):
    values = json.loads((golden / name / "config.json").read_text())
    cfg = table.config_from_torch(values)
    back = table.config_to_torch(cfg)
    assert table.config_from_torch(back) == cfg
    assert {k: back[k] for k in values if k in back} == {k: v for k, v in values.items() if k in back}
    assert {k for k in values if k not in back} <= {"id_pool_resample_learnable"}


@pytest.mark.parametrize("image", [False, True], ids=["t2v", "i2v"])
def test_cogvideox_1_5_loads_into_its_original(image):
    """The original class, built tiny with the options of 1.5: our table knows all its tensors and their shapes."""
    from diffusers import CogVideoXTransformer3DModel

    original = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=32 if image else 16,
        time_embed_dim=8,
        ofs_embed_dim=8 if image else None,
        text_embed_dim=12,
        num_layers=3,
        sample_width=20,
        sample_height=12,
        sample_frames=81,
        patch_size_t=2,
        patch_bias=False,
        max_text_seq_length=6,
        use_rotary_positional_embeddings=True,
    )
    tensors = {k: v.numpy() for k, v in original.state_dict().items()}
    cfg = dit.config_from_torch(dict(original.config))
    assert cfg.patch_t == 2 and cfg.patch_bias and cfg.ofs_dim == (8 if image else None)
    _, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    back = engine.to_torch(engine.to_ours(tensors, dit.RULES, dit.IGNORED, shapes), dit.RULES, dit.torch_shapes(cfg))
    assert set(back) == set(tensors)
    for key, value in tensors.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)
    rebuilt = CogVideoXTransformer3DModel.from_config(dit.config_to_torch(cfg))
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {k: v.shape for k, v in tensors.items()}


@pytest.mark.parametrize(
    "values, field",
    [
        ({"activation_fn": "geglu"}, "activation_fn"),
        ({"attention_bias": False}, "attention_bias"),
        ({"dropout": 0.1}, "dropout"),
        ({"freq_shift": 1}, "freq_shift"),
        ({"temporal_compression_ratio": 8}, "temporal"),
        ({"use_learned_positional_embeddings": True}, "learned positions"),
        ({"ofs_embed_dim": 64}, "ofs_embed_dim"),
        ({"brand_new_switch": True}, "brand_new_switch"),
    ],
)
def test_unsupported_descriptions_name_the_field(values, field):
    with pytest.raises(UserError, match=field):
        dit.config_from_torch(values)


def test_unsupported_context_encoders():
    with pytest.raises(UserError, match="wo_text"):
        branch.config_from_torch({"wo_text": True})
    with pytest.raises(UserError, match="id_pool_resample_learnable"):
        branch.config_from_torch({"id_pool_resample_learnable": True})


def test_defaults_are_the_originals():
    """An empty config.json is the original class with no arguments (the 2B)."""
    from diffusers import CogVideoXTransformer3DModel

    values = {k: p.default for k, p in inspect.signature(CogVideoXTransformer3DModel).parameters.items()}
    assert dit.config_from_torch(values) == dit.config_from_torch({})
    assert dataclasses.replace(dit.config_from_torch({}), rope=True) == DiTConfig(30, 64, 30)
