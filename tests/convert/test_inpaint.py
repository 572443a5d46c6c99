"""CogVideoX-Fun-InP and VOID: their tensors have one home, and their input channels stand where PyTorch has them."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.convert import dit, engine, inpaint
from vp_jax.convert.kinds import MODELS
from vp_jax.errors import UserError
from vp_jax.models import rope
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT
from vp_jax.models.inpaint_channels import fun_inp_input, void_input

MANIFESTS = Path(__file__).parents[1] / "manifests"
TINY = DiTConfig(2, 16, 2, in_channels=9, out_channels=4, text_dim=8, time_dim=8, max_text_len=4, patch_t=2)
TINY = dataclasses.replace(TINY, sample_height=8, sample_width=12)


@pytest.mark.parametrize("kind, name", [("fun_inp", "cogvideox_fun_v1_5_5b_inp"), ("void", "void_pass1")])
def test_every_tensor_of_the_public_manifests_has_one_home(kind, name):
    manifest = json.loads((MANIFESTS / f"{name}_transformer.json").read_text())
    model = MODELS[kind]
    cfg = model.from_torch(manifest["config"])
    source = {k: jax.ShapeDtypeStruct(tuple(v), np.float16) for k, v in manifest["tensors"].items()}
    ledger = engine.plan(source, model.rules, model.ignored, model.abstract(cfg), "bfloat16")
    assert ledger.ignored == ()
    assert trees.count_parameters(lambda: DiT(cfg, rngs=nnx.Rngs(0))) == manifest["parameters"]
    assert list(model.torch_shapes(cfg)["patch_embed.proj.weight"]) == manifest["tensors"]["patch_embed.proj.weight"]


def config(**changes):
    return {**dit.config_to_torch(TINY), inpaint.FUN_SWITCH: True, **changes}


def test_descriptions_round_trip_and_void_takes_the_config_of_its_base():
    assert inpaint.FUN_INP.from_torch(config()) == TINY
    assert inpaint.FUN_INP.from_torch(inpaint.FUN_INP.to_torch(TINY)) == TINY
    void = dataclasses.replace(TINY, in_channels=12)
    assert inpaint.VOID.from_torch(config()) == inpaint.VOID.from_torch(config(in_channels=12)) == void


@pytest.mark.parametrize("reader", [inpaint.FUN_INP, inpaint.VOID])
@pytest.mark.parametrize(
    "changes, line",
    [
        ({"in_channels": 4}, "in_channels 4, expected"),
        ({inpaint.FUN_SWITCH: "yes"}, "expected true or false"),
        ({"use_camera": True}, "no such feature"),
    ],
)
def test_another_model_is_one_line(reader, changes, line):
    with pytest.raises(UserError, match=line):
        reader.from_torch(config(**changes))


def test_a_plain_transformer_is_not_taken_for_one():
    with pytest.raises(UserError, match="no such feature"):
        dit.config_from_torch(config())


@pytest.mark.slow
@pytest.mark.parametrize("kind, parts", [("fun_inp", (4, 1, 4)), ("void", (4, 4, 4))])
def test_the_model_computes_what_pytorch_computes_of_its_channels(kind, parts):
    torch.manual_seed(0)
    model = MODELS[kind]
    cfg = model.from_torch(config())
    theirs = CogVideoXTransformer3DModel(**dit.config_to_torch(cfg)).eval()
    with torch.no_grad():
        for tensor in theirs.state_dict().values():
            tensor.add_(0.1 * torch.randn_like(tensor))
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((2, 4, 6, 10, channels), np.float32) for channels in parts]
    text_BME, t_B = rng.standard_normal((2, 4, 8), np.float32), np.array([999, 13])
    tensors = {key: value.numpy() for key, value in theirs.state_dict().items()}
    graph, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    ours = nnx.merge(graph, engine.to_ours(tensors, model.rules, model.ignored, shapes))
    join = {"fun_inp": fun_inp_input, "void": void_input}[kind]
    found = jax.jit(lambda ours, *args: ours(join(*args), text_BME, t_B).sample)(ours, *given)
    rotary = tuple(torch.from_numpy(np.repeat(x, 2, axis=1)) for x in rope.rotation(2, 3, 5, 16, 0, stretch=False)[:2])
    channels_first = torch.cat([torch.from_numpy(part).permute(0, 1, 4, 2, 3) for part in given], dim=2)
    with torch.no_grad():
        expected = theirs(channels_first, torch.from_numpy(text_BME), torch.from_numpy(t_B), image_rotary_emb=rotary)[0]
    assert relative_error(np.asarray(found), expected.permute(0, 1, 3, 4, 2).numpy()) <= 1e-5
