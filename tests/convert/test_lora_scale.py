"""The scale of a LoRA from every place where trainers keep it, against the libraries that read and write them.

What is compared is each module's change of the weights, ``scale * B A``.
"""

import json

import diffusers
import numpy as np
import peft
import pytest
import torch
from diffusers.utils import convert_state_dict_to_kohya
from safetensors.torch import load_file, save_file

from tests.compare import relative_error
from vp_jax import checkpoint, trees
from vp_jax.convert import lora, lora_scale, parts
from vp_jax.errors import UserError
from vp_jax.models import config

LAYERS = 2
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "proj_out"]
MODULES = [
    *(f"transformer_blocks.{i}.attn1.{name}" for i in range(LAYERS) for name in TARGETS[:4]),
    *(f"transformer_blocks.{i}.ff.net.0.proj" for i in range(LAYERS)),
    "proj_out",
]
PATTERNS = {
    "rank_pattern": {"to_q": 2, r"^transformer_blocks\.1\.attn1\.to_v": 5, "proj_out": 3},
    "alpha_pattern": {"transformer_blocks.0.attn1.to_k": 7, "proj_out": 1},
}


def transformer():
    torch.manual_seed(0)
    return diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=4,
        text_embed_dim=6,
        num_layers=LAYERS,
        sample_width=4,
        sample_height=4,
        sample_frames=5,
        max_text_seq_length=3,
    )


def with_adapter(**settings):
    """The model with a random adapter, wrapped by PEFT."""
    model = peft.get_peft_model(transformer(), peft.LoraConfig(target_modules=TARGETS, **settings))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_()
    return model


def deltas(model):
    """Change of every module's weights, by PEFT."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            (adapter,) = module.lora_A.keys()
            name = name.removeprefix("base_model.model.")
            found[name] = module.get_delta_weight(adapter).detach().numpy()
    assert set(found) == set(MODULES)
    return found


def plain(model):
    """Factors of the adapter under the names of the original."""
    state = peft.get_peft_model_state_dict(model)
    return {name.removeprefix("base_model.model."): value.contiguous() for name, value in state.items()}


def prefixed(state):
    return {f"transformer.{name}": value for name, value in state.items()}


def converted(source, tmp_path, **options):
    """Description, change of every module's weights, and the note of the converter."""
    report = parts.convert("lora", source, tmp_path / "ours", **options)
    cfg = config.from_json(checkpoint.load_config(tmp_path / "ours"))
    flat = trees.flatten(checkpoint.load_params(tmp_path / "ours"))
    found = {}
    for path, name in lora.TARGETS.items():
        if path in cfg.targets:
            products = cfg.scale * np.matmul(flat[f"{path}/lora_a"], flat[f"{path}/lora_b"])
            for layer in range(LAYERS) if "{}" in name else [None]:
                found[name.format(layer)] = products.T if layer is None else products[layer].T
    return cfg, found, report.note


def check(source, tmp_path, want, words, expected=None, **options):
    cfg, got, note = converted(source, tmp_path, **options)
    assert got.keys() == want.keys()
    for name in want:
        assert relative_error(got[name], want[name]) <= 2e-6, name
    assert words in note, note
    if expected is not None:
        assert cfg.scale == pytest.approx(expected)


def loaded(folder, **options):
    """The change of weights when diffusers loads a file."""
    model = transformer()
    state, metadata = diffusers.CogVideoXPipeline.lora_state_dict(folder, return_lora_metadata=True)
    diffusers.CogVideoXPipeline.load_lora_into_transformer(state, model, metadata=metadata, **options)
    return deltas(model)


def test_alpha_tensors_of_kohya(tmp_path):
    model = with_adapter(r=4, lora_alpha=2)
    kohya = convert_state_dict_to_kohya(prefixed(plain(model)))
    kohya = {name: torch.tensor(2.0) if name.endswith("alpha") else value for name, value in kohya.items()}
    assert sum(name.endswith(".alpha") for name in kohya) == len(MODULES)
    save_file(kohya, tmp_path / "style.safetensors")
    check(tmp_path / "style.safetensors", tmp_path, deltas(model), "scale 0.5 (alpha tensors)", 0.5)


def test_alpha_tensors_that_differ_per_module(tmp_path):
    state = plain(with_adapter(r=4, lora_alpha=4))
    alphas = {f"transformer.{name}.alpha": float(i + 1) for i, name in enumerate(MODULES)}
    model = transformer()
    model.load_lora_adapter(prefixed(state), network_alphas=alphas)
    file = {f"diffusion_model.{name}": value for name, value in state.items()}
    file |= {f"diffusion_model.{name}.alpha": torch.tensor([i + 1.0]) for i, name in enumerate(MODULES)}
    torch.save(file, tmp_path / "style.pt")
    check(
        tmp_path / "style.pt", tmp_path, deltas(model), "0.25 to 2.75 per module, multiplied into B: alpha tensors", 1
    )


@pytest.mark.parametrize("end", ["{}_lora.{}", "processor.{}_lora.{}"])
def test_alpha_tensors_of_attention_processors(tmp_path, end):
    module = "transformer_blocks.1.attn1"
    draw = np.random.default_rng(0)
    file = {
        f"{module}.{end.format('to_q', 'down')}.weight": torch.tensor(draw.normal(size=(2, 3))),
        f"{module}.{end.format('to_q', 'up')}.weight": torch.tensor(draw.normal(size=(5, 2))),
        f"{module}.{end.format('to_q', 'alpha')}": torch.tensor(1.0),
    }
    save_file(file, tmp_path / "style.safetensors")
    cfg, _, note = converted(tmp_path / "style.safetensors", tmp_path)
    assert cfg.scale == 0.5 and "(alpha tensors)" in note


@pytest.mark.parametrize("settings", [{}, PATTERNS, {"use_rslora": True}], ids=["plain", "patterns", "rslora"])
def test_the_header_of_diffusers_pipelines(tmp_path, settings):
    model = with_adapter(r=4, lora_alpha=6, **settings)
    diffusers.CogVideoXPipeline.save_lora_weights(
        tmp_path / "style",
        transformer_lora_layers=plain(model),
        transformer_lora_adapter_metadata={
            key: sorted(value) if isinstance(value, set) else value
            for key, value in model.peft_config["default"].to_dict().items()
        },
    )
    want = deltas(model)
    for name, delta in loaded(tmp_path / "style").items():
        assert relative_error(delta, want[name]) <= 1e-6
    words = (
        "multiplied into B: lora_adapter_metadata" if settings is PATTERNS else "(lora_adapter_metadata in the header"
    )
    check(tmp_path / "style", tmp_path, want, words, {0: 1.5, 1: 3.0}.get(len(settings)))


def test_the_header_of_a_diffusers_model(tmp_path):
    """`save_lora_adapter` of the transformer: no component before the names."""
    model = transformer()
    model.add_adapter(peft.LoraConfig(r=4, lora_alpha=2, target_modules=TARGETS, **PATTERNS))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_()
    model.save_lora_adapter(tmp_path / "style")
    check(tmp_path / "style", tmp_path, deltas(model), "lora_adapter_metadata in the header")


@pytest.mark.parametrize(
    "settings",
    [{}, PATTERNS, {"use_rslora": True}, {"use_rslora": True, "rank_pattern": {"to_q": 9}}],
    ids=["plain", "patterns", "rslora", "rslora with ranks"],
)
@pytest.mark.parametrize("safe", [True, False])
def test_the_settings_file_of_peft(tmp_path, settings, safe):
    model = with_adapter(r=4, lora_alpha=2, **settings)
    model.save_pretrained(tmp_path / "style", safe_serialization=safe)
    want = deltas(model)
    again = peft.PeftModel.from_pretrained(transformer(), tmp_path / "style")
    for name, delta in deltas(again).items():
        assert relative_error(delta, want[name]) <= 1e-6
    words = "adapter_config.json" + (", rank-stabilised" if "use_rslora" in settings else "")
    check(tmp_path / "style", tmp_path, want, words)


def test_a_file_of_diffusers_without_settings_has_scale_one(tmp_path):
    model = with_adapter(r=4, lora_alpha=2, rank_pattern={"to_q": 2})
    diffusers.CogVideoXPipeline.save_lora_weights(tmp_path / "style", transformer_lora_layers=plain(model))
    check(tmp_path / "style", tmp_path, loaded(tmp_path / "style"), "scale 1 (not stored in the file, 1 as in", 1)


def test_the_scale_of_the_user_overrules_all_of_them(tmp_path):
    model = with_adapter(r=4, lora_alpha=2)
    model.save_pretrained(tmp_path / "style")
    want = {name: delta * (0.75 / 0.5) for name, delta in deltas(model).items()}
    check(tmp_path / "style", tmp_path, want, "scale 0.75 (as given)", 0.75, scale=0.75)


def test_kohyas_alpha_in_the_header_where_the_tensors_were_lost(tmp_path):
    state = prefixed(plain(with_adapter(r=4, lora_alpha=1)))
    save_file(state, tmp_path / "style.safetensors", {"ss_network_alpha": "3.0", "ss_network_dim": "4"})
    cfg, _, note = converted(tmp_path / "style.safetensors", tmp_path)
    assert cfg.scale == 0.75 and "(ss_network_alpha in the header)" in note


def test_modules_without_alpha_are_counted(tmp_path):
    state = prefixed(plain(with_adapter(r=4, lora_alpha=1)))
    save_file({**state, "transformer.proj_out.alpha": torch.tensor(2.0)}, tmp_path / "style.safetensors")
    _, _, note = converted(tmp_path / "style.safetensors", tmp_path)
    assert "alpha tensors (10 of 11 modules have none: 1)" in note


def test_two_places_that_disagree_are_named(tmp_path):
    model = with_adapter(r=4, lora_alpha=2)
    model.save_pretrained(tmp_path / "style")
    file = tmp_path / "style" / "adapter_model.safetensors"
    state = load_file(file)
    save_file({**state, "base_model.model.proj_out.alpha": torch.tensor(2.0)}, file)
    assert converted(tmp_path / "style", tmp_path)[0].scale == 0.5  # they agree
    save_file({**state, "base_model.model.proj_out.alpha": torch.tensor(3.0)}, file)
    message = r"proj_out: scale 0\.75 by its alpha tensor, 0\.5 by adapter_config\.json: give the right one"
    with pytest.raises(UserError, match=message):
        converted(tmp_path / "style", tmp_path)
    save_file(state, file, {"lora_adapter_metadata": json.dumps({"transformer.r": 4, "transformer.lora_alpha": 8})})
    with pytest.raises(UserError, match=r"scale 2 by lora_adapter_metadata .*, 0\.5 by adapter_config\.json"):
        converted(tmp_path / "style", tmp_path)
    assert converted(tmp_path / "style", tmp_path, scale=0.5)[0].scale == 0.5


@pytest.mark.parametrize(
    "values, message",
    [
        ({"r": 3}, "rank 3 for .*, its tensors have 4"),
        ({"r": 4, "lora_alpha": "two"}, "lora_alpha 'two': expected a number"),
        ({"r": 4, "lora_alpha": 1e9}, "lora_alpha 1000000000.0: expected a number"),
        ({"r": 4, "use_rslora": 1}, "use_rslora 1: expected true or false"),
        ({"r": 4, "use_dora": True}, "DoRA is not supported"),
        ({"r": 4, "peft_type": "LOKR"}, "peft_type LOKR: expected LORA"),
        ({"r": 4, "init_lora_weights": "pissa_niter_4"}, "pissa_niter_4 changed the weights of the base model"),
        ({"r": 4, "init_lora_weights": "olora"}, "path_initial_model_for_weight_conversion"),
        ({"r": 4, "rank_pattern": [1]}, "rank_pattern .*: expected a JSON object"),
        ({"r": 4, "alpha_pattern": {"to_q": "x"}}, "alpha_pattern of to_q is 'x': expected a number"),
        ({"r": 4, "alpha_pattern": {"to_q": True}}, "expected a number"),
        ({"r": 4, "alpha_pattern": {"(to_q": 3}}, "no regular expression"),
        ({"r": 4, "alpha_pattern": {"(a+)+(b+)+(c+)+": 3}}, "expected the end of a module's name"),
        ({"r": 4, "alpha_pattern": {"x" * 400: 3}}, "expected the end of a module's name"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path, values, message):
    with_adapter(r=4, lora_alpha=2).save_pretrained(tmp_path / "style")
    (tmp_path / "style" / "adapter_config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=message) as caught:
        converted(tmp_path / "style", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{" * 100_000, '{"transformer.r": NaN}'])
def test_a_header_that_is_no_json_is_one_line(tmp_path, text):
    state = prefixed(plain(with_adapter(r=4, lora_alpha=1)))
    save_file(state, tmp_path / "style.safetensors", {"lora_adapter_metadata": text})
    with pytest.raises(UserError, match="lora_adapter_metadata in the header of") as caught:
        converted(tmp_path / "style.safetensors", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alpha", [0.0, float("nan"), float("inf"), 1e30])
def test_an_alpha_that_is_no_number_is_refused(alpha):
    with pytest.raises(UserError, match=r"proj_out: alpha .*: expected a number other than 0; give the scale"):
        lora_scale.alpha_scale("proj_out", alpha, 4)


@pytest.mark.parametrize("scale", [1.0, 0.5, -2.0])
def test_exports_are_loaded_by_diffusers_with_their_scale(tmp_path, scale):
    model = with_adapter(
        r=4, lora_alpha=4, rank_pattern={"to_q": 2, "proj_out": 3}, alpha_pattern={"to_q": 2, "proj_out": 3}
    )
    save_file(prefixed(plain(model)), tmp_path / "style.safetensors")
    parts.convert("lora", tmp_path / "style.safetensors", tmp_path / "ours", scale=scale)
    report = parts.export("lora", tmp_path / "ours", tmp_path / "back")
    assert f"scale {scale:g} in the header" in report.note
    want = deltas(model)
    for name, delta in loaded(tmp_path / "back").items():
        assert relative_error(delta, scale * want[name]) <= 1e-6, name
    again = parts.convert("lora", tmp_path / "back", tmp_path / "again")
    assert f"scale {scale:g} (lora_adapter_metadata" in again.note
    first, second = (checkpoint.load_config(tmp_path / name) for name in ("ours", "again"))
    assert first == second
