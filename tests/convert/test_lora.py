"""LoRA files: every spelling against the libraries that write them, scales, partial files, round trips."""

import json
import re
from pathlib import Path

import diffusers
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import peft
import pytest
import torch
from diffusers.utils import convert_state_dict_to_kohya
from flax import nnx
from safetensors.numpy import load_file

from tests.compare import relative_error
from tests.convert.lora_pairs import Q, pair
from vp_jax import trees
from vp_jax.convert import lora as table
from vp_jax.models import lora
from vp_jax.models.config import DiTConfig, LoRAConfig
from vp_jax.models.dit import DiT

LAYERS = 2
EVERY_LINEAR = [
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "norm1.linear",
    "norm2.linear",
    "patch_embed.text_proj",
    "time_embedding.linear_1",
    "time_embedding.linear_2",
    "norm_out.linear",
    "proj_out",
    "patch_embed.proj",
    "ofs_embedding.linear_1",
    "ofs_embedding.linear_2",
]


@pytest.fixture(scope="module")
def wrapped():
    """A tiny CogVideoX1.5 (whose patch embedding is a Linear) with a random adapter on every Linear, alpha/rank 0.5."""
    torch.manual_seed(0)
    model = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=4,
        ofs_embed_dim=6,
        text_embed_dim=6,
        num_layers=LAYERS,
        sample_width=4,
        sample_height=4,
        sample_frames=5,
        max_text_seq_length=3,
        patch_size_t=2,
        use_rotary_positional_embeddings=True,
    )
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=2, target_modules=EVERY_LINEAR))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_()
    return model


@pytest.fixture(scope="module")
def peft_state(wrapped):
    return peft.get_peft_model_state_dict(wrapped)


def numpy_state(state):
    return {name: value.detach().numpy() for name, value in state.items()}


@pytest.fixture(scope="module")
def state(peft_state):
    """Names without any prefix."""
    return {name.removeprefix("base_model.model."): value for name, value in numpy_state(peft_state).items()}


@pytest.fixture(scope="module")
def expected(state):
    return table.from_torch(state, LAYERS)


def assert_same(got, want):
    assert got[0] == want[0]
    got, want = trees.flatten(got[1]), trees.flatten(want[1])
    assert got.keys() == want.keys()
    for path in want:
        assert got[path].dtype == want[path].dtype
        np.testing.assert_array_equal(got[path], want[path], err_msg=path)


def test_every_linear_of_the_model_is_a_target(expected):
    cfg, params = expected
    assert cfg == LoRAConfig(tuple(table.TARGETS), rank=4, scale=1.0)
    shapes = {path: leaf.shape for path, leaf in trees.flatten(params).items()}
    assert len(shapes) == 2 * len(table.TARGETS)
    assert shapes["blocks/ff/up/lora_a"] == (LAYERS, 16, 4) and shapes["blocks/ff/up/lora_b"] == (LAYERS, 4, 64)
    assert shapes["time_embed/linear_1/lora_a"] == (16, 4) and shapes["time_embed/linear_1/lora_b"] == (4, 4)


@pytest.mark.slow
def test_merging_equals_peft(wrapped, state):
    """Places, layouts, layers and scale of all targets at once: merged weights against PEFT's own merge."""
    base = {}
    for path, name in table.TARGETS.items():
        layers = [
            wrapped.base_model.model.get_submodule(name.format(i)).get_base_layer().weight.detach().numpy().T
            for i in range(LAYERS if "{}" in name else 1)
        ]
        base[f"{path}/kernel"] = jnp.asarray(np.stack(layers) if "{}" in name else layers[0])
    cfg, params = table.from_torch(state, LAYERS, scale=0.5)
    merged = trees.flatten(lora.merge(trees.unflatten(base), [(cfg, params)]))
    wrapped.merge_adapter()
    for path, name in table.TARGETS.items():
        for i in range(LAYERS if "{}" in name else 1):
            want = wrapped.base_model.model.get_submodule(name.format(i)).get_base_layer().weight.detach().numpy().T
            got = merged[f"{path}/kernel"][i] if "{}" in name else merged[f"{path}/kernel"]
            assert relative_error(got, want) <= 1e-6, (path, i)
    wrapped.unmerge_adapter()


def test_files_of_the_libraries(wrapped, peft_state, expected, tmp_path):
    assert_same(table.from_torch(numpy_state(peft_state), LAYERS), expected)
    raw = {name: value for name, value in wrapped.state_dict().items() if ".lora_" in name}
    assert all(".default." in name for name in raw)
    assert_same(table.from_torch(numpy_state(raw), LAYERS), expected)
    layers = {name.removeprefix("base_model.model."): value for name, value in peft_state.items()}
    diffusers.CogVideoXPipeline.save_lora_weights(tmp_path, transformer_lora_layers=layers)
    (file,) = tmp_path.iterdir()
    assert_same(table.from_torch(load_file(file), LAYERS), expected)
    for prefix in ("base_model.model.", "transformer."):  # with an alpha equal to the rank for every module
        kohya = convert_state_dict_to_kohya({prefix + name: value for name, value in layers.items()})
        assert any(name.endswith(".alpha") for name in kohya)
        assert_same(table.from_torch(numpy_state(kohya), LAYERS), expected)


def spelled(state, prefix, a, b, flat=False):
    def rename(key):
        module, side = re.fullmatch(r"(.+)\.lora_([AB])\.weight", key).groups()
        return prefix + (module.replace(".", "_") if flat else module) + (a if side == "A" else b)

    return {rename(key): value for key, value in state.items()}


@pytest.mark.parametrize(
    "prefix", ["", "transformer.", "base_model.model.", "base_model.model.transformer.", "diffusion_model."]
)
@pytest.mark.parametrize(
    "a, b",
    [
        (".lora_A.weight", ".lora_B.weight"),
        (".lora_A.default.weight", ".lora_B.default.weight"),
        (".lora_A.my-style.weight", ".lora_B.my-style.weight"),
        (".lora.down.weight", ".lora.up.weight"),
        (".lora_down.weight", ".lora_up.weight"),
    ],
)
def test_dotted_spellings(state, expected, prefix, a, b):
    assert_same(table.from_torch(spelled(state, prefix, a, b), LAYERS), expected)


@pytest.mark.parametrize("prefix", ["lora_transformer_", "lora_unet_", "transformer_", "lora_unet_diffusion_model_"])
def test_kohya_spellings(state, expected, prefix):
    got = table.from_torch(spelled(state, prefix, ".lora_down.weight", ".lora_up.weight", flat=True), LAYERS)
    assert_same(got, expected)


@pytest.mark.parametrize("processor", ["", ".processor"])
def test_attention_processor_spelling(state, processor):
    attention = {name: value for name, value in state.items() if ".attn1." in name}

    def rename(match):
        return f"{processor}.{match[1]}_lora.{'down' if match[2] == 'A' else 'up'}"

    old = {
        re.sub(r"\.(to_q|to_k|to_v|to_out)(?:\.0)?\.lora_([AB])", rename, name): value
        for name, value in attention.items()
    }
    assert f"transformer_blocks.0.attn1{processor}.to_out_lora.up.weight" in old
    assert_same(table.from_torch(old, LAYERS), table.from_torch(attention, LAYERS))


def test_layers_left_out_are_zero_and_stay_out():
    file = pair(Q.format(3), dtype=np.float16)
    cfg, params = table.from_torch(file, 5)
    a, b = params["blocks"]["attn"]["to_q"]["lora_a"], params["blocks"]["attn"]["to_q"]["lora_b"]
    assert cfg == LoRAConfig(("blocks/attn/to_q",), rank=2)
    assert (a.shape, b.shape, a.dtype) == ((5, 3, 2), (5, 2, 5), np.float16)
    np.testing.assert_array_equal(a[3].T, file[Q.format(3) + ".lora_A.weight"])
    assert not a[[0, 1, 2, 4]].any() and not b[[0, 1, 2, 4]].any()
    back = table.lora_to_torch(cfg, params)
    assert back.keys() == {"transformer." + name for name in file}
    assert table.from_torch(file)[1]["blocks"]["attn"]["to_q"]["lora_a"].shape == (4, 3, 2)


def test_alpha_sets_the_scale():
    file = {**pair(Q.format(0)), **pair(Q.format(1), seed=1)}
    alphas = {Q.format(i) + ".alpha": np.array(0.5, ml_dtypes.bfloat16) for i in range(2)}
    cfg, params = table.from_torch(file | alphas, 2)
    assert cfg.scale == 0.25
    plain_cfg, plain = table.from_torch(file, 2)
    assert_same((plain_cfg, params), (plain_cfg, plain))
    assert table.from_torch(file | alphas, 2, scale=0.8)[0].scale == 0.8
    assert table.from_torch(file, 2, scale=0.8)[0].scale == 0.8


@pytest.mark.parametrize("scale", [None, 0.5])
def test_ranks_and_scales_that_differ(scale):
    """What matters is each layer's product ``scale * A B``."""
    file = {**pair(Q.format(0), rank=2), **pair(Q.format(1), rank=3, seed=1), **pair("proj_out", rank=5, seed=2)}
    file[Q.format(0) + ".alpha"] = np.array(4.0, np.float32)
    file["proj_out.alpha"] = np.array([1.0], np.float32)
    cfg, params = table.from_torch(file, 2, scale=scale)
    assert cfg.rank == 5 and cfg.scale == (1.0 if scale is None else scale)
    flat = trees.flatten(params)
    products = cfg.scale * np.matmul(flat["blocks/attn/to_q/lora_a"], flat["blocks/attn/to_q/lora_b"])
    single = cfg.scale * np.matmul(flat["proj_out/lora_a"], flat["proj_out/lora_b"])
    for got, module, own in (
        (products[0], Q.format(0), 4 / 2),
        (products[1], Q.format(1), 1.0),
        (single, "proj_out", 1 / 5),
    ):
        want = (file[module + ".lora_B.weight"] @ file[module + ".lora_A.weight"]).T
        assert relative_error(got, want * (own if scale is None else scale)) <= 1e-6
    if scale is not None:  # nothing was multiplied in: the filled-up ranks go away again, bit for bit
        back = table.lora_to_torch(cfg, params)
        for name, value in back.items():
            np.testing.assert_array_equal(value, file[name.removeprefix("transformer.")])


WRAPPERS = [
    "module.",
    "_orig_mod.",
    "model.diffusion_model.",
    "model.",
    "pipe.dit.",
    "module._orig_mod.",
    "module.base_model.model.",
    "model.diffusion_model.transformer.",
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_names_under_wrappers(state, expected, wrapper):
    wrapped = {wrapper + key: value for key, value in state.items()}
    got = table.convert_lora(wrapped, LAYERS)
    assert_same(got[:2], expected)
    assert got.note.startswith("names without '") and got.note.count("'") >= 2


def test_id_adapter_round_trip(golden):
    """The ID adapter of the reference: bit for bit through our tree and back."""
    file = load_file(golden / "id_adapter" / "pytorch_lora_weights.safetensors")
    num_layers = json.loads((golden / "transformer" / "config.json").read_text())["num_layers"]
    cfg, params = table.from_torch(file, num_layers, scale=0.5, extra_keys=True)
    rank = file["transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"].shape[0]
    targets = tuple(f"blocks/attn/{name}" for name in ("to_q", "to_k", "to_v", "to_out"))
    assert cfg == LoRAConfig(targets, rank, scale=0.5, extra_keys=True)
    back = table.lora_to_torch(cfg, params)
    assert back.keys() == file.keys()
    for name, value in file.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_published_id_adapter_at_full_size():
    """336 tensors, 264,241,152 values, by shape (one byte each)."""
    manifest = json.loads((Path(__file__).parents[1] / "manifests" / "videopainter_id_adapter.json").read_text())
    file = {name: np.broadcast_to(np.int8(1), shape) for name, shape in manifest["tensors"].items()}
    cfg, params = table.from_torch(file, 42, extra_keys=True)
    assert len(file) == 336 and (cfg.rank, cfg.scale) == (256, 1.0)
    leaves = trees.flatten(params)
    assert sum(leaf.size for leaf in leaves.values()) == manifest["parameters"] == 264_241_152
    assert all(leaf.all() for leaf in leaves.values())
    assert {name: value.shape for name, value in table.lora_to_torch(cfg, params).items()} == {
        name: tuple(shape) for name, shape in manifest["tensors"].items()
    }


@pytest.mark.slow
def test_every_target_exists_in_the_backbone():
    """On a small CogVideoX1.5: adapters on all targets, attached and merged, give the same output."""
    cfg = DiTConfig(
        num_heads=2,
        head_dim=16,
        num_layers=LAYERS,
        in_channels=4,
        out_channels=4,
        text_dim=6,
        time_dim=4,
        max_text_len=3,
        patch_t=2,
        ofs_dim=4,
    )
    graphdef, like = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    adapter_cfg = LoRAConfig(tuple(table.TARGETS), rank=3, scale=0.5)
    draw = np.random.default_rng(0)
    base, params = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * draw.normal(size=leaf.shape), jnp.float32),
        (like, jax.eval_shape(lambda: lora.init(adapter_cfg, like, jax.random.key(0)))),
    )
    latents, text, t = (
        jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in ((1, 2, 4, 4, 4), (1, 3, 6), (1,))
    )

    def run(dit):
        return dit(latents, text, t, ofs_B=jnp.ones((1,))).sample

    def loss(params):
        sample = run(lora.attach(nnx.merge(graphdef, base), [(adapter_cfg, params)]))
        return jnp.sum(jnp.square(sample)), sample

    grads, attached = jax.jit(jax.grad(loss, has_aux=True))(params)
    merged = jax.jit(lambda: run(nnx.merge(graphdef, lora.merge(base, [(adapter_cfg, params)]))))()
    assert relative_error(merged, attached) <= 1e-5
    for path, leaf in trees.flatten(grads).items():
        assert np.all(np.any(np.asarray(leaf), axis=(-2, -1))), f"{path} is not used in every layer"
