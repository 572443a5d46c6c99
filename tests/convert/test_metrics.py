"""Tables of the networks of scores: names of the public files, and what is refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests.torchvision_ops import lpips, torchvision, transformers
from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert.metrics import (
    METRICS,
    clip_description,
    lpips_name,
    read_metric,
    videomae_description,
    videomae_name,
)
from vp_jax.errors import UserError
from vp_jax.models.metrics.clip import ClipConfig
from vp_jax.models.metrics.description import abstract_metric
from vp_jax.models.metrics.videomae import VideoMaeConfig


def shapes(state):
    return {key: np.broadcast_to(np.float32(0), tuple(value.shape)) for key, value in state.items()}


def planned(kind, state):
    entry = METRICS[kind]
    abstract = abstract_metric(entry.describe({}))[1]
    return engine.plan({entry.rename(k): v for k, v in state.items()}, entry.rules, entry.ignored, abstract), abstract


@pytest.mark.parametrize(
    "net, build",
    [
        ("squeeze", torchvision.models.squeezenet1_1),
        ("alex", torchvision.models.alexnet),
        ("vgg", torchvision.models.vgg16),
    ],
)
def test_lpips_takes_the_file_of_torchvision_and_the_judgement_of_the_package(net, build):
    with torch.device("meta"):
        backbone = build(weights=None).state_dict()
        package = lpips.LPIPS(net=net, pnet_rand=True, pretrained=False, verbose=False).state_dict()
    heads = {key: value for key, value in package.items() if key.startswith("lin") and not key.startswith("lins")}
    plan, abstract = planned(f"lpips_{net}", shapes({**backbone, **heads}))
    assert set(plan.leaves) == set(trees.flatten(abstract))
    assert all(key.startswith("classifier.") for key in plan.ignored)
    assert set(planned(f"lpips_{net}", shapes(package))[0].leaves) == set(plan.leaves)


def test_raft_takes_the_file_of_torchvision():
    with torch.device("meta"):
        state = torchvision.models.optical_flow.raft_large(weights=None).state_dict()
    plan, abstract = planned("raft", shapes(state))
    assert set(plan.leaves) == set(trees.flatten(abstract))
    with pytest.raises(UserError, match=r"mask_predictor\.conv\.bias"):
        planned("raft", shapes({key: value for key, value in state.items() if key != "mask_predictor.conv.bias"}))


def test_names_of_the_package_become_those_of_torchvision():
    assert lpips_name("net.slice2.4.squeeze.weight") == "features.4.squeeze.weight"
    assert lpips_name("net.slices.1.4.squeeze.weight") == "features.4.squeeze.weight"
    assert lpips_name("lin0.model.1.weight") == "lin0.model.1.weight"


def test_the_description_of_clip_is_read_from_its_two_parts():
    values = {"projection_dim": 768, "vision_config": {"patch_size": 14, "hidden_size": 1024}, "text_config": {}}
    assert clip_description(values) == ClipConfig(embedding=768, patch=14, width=1024)
    with pytest.raises(UserError, match="CLIP config patch = '14'"):
        clip_description({"vision_config": {"patch_size": "14"}})
    with pytest.raises(UserError, match="expected an object"):
        clip_description({"text_config": 3})


@pytest.mark.slow
def test_a_videomae_keeps_the_names_of_its_published_file_apart_from_those_of_its_decoder():
    with torch.device("meta"):
        config = transformers.VideoMAEConfig(use_mean_pooling=False, num_hidden_layers=4)
        state = transformers.VideoMAEForPreTraining(config).state_dict()
    published = {key.replace(".query.bias", ".q_bias").replace(".value.bias", ".v_bias"): x for key, x in state.items()}
    entry = METRICS["videomae"]
    abstract = abstract_metric(entry.describe({"use_mean_pooling": False, "qkv_bias": True, "num_hidden_layers": 4}))[1]
    named = {videomae_name(key): x for key, x in shapes(published).items()}
    plan = engine.plan(named, entry.rules, entry.ignored, abstract)
    assert set(plan.leaves) == set(trees.flatten(abstract))
    assert {key.split(".")[0] for key in plan.ignored} == {"decoder", "encoder_to_decoder", "mask_token"}
    del named["encoder.layer.3.attention.attention.value.bias"]
    with pytest.raises(UserError, match=r"blocks/3/value/bias"):
        engine.plan(named, entry.rules, entry.ignored, abstract)


def test_the_description_of_videomae_knows_its_last_norm():
    large = videomae_description({"hidden_size": 1024, "num_hidden_layers": 24, "use_mean_pooling": False})
    assert (large.width, large.layers, large.pooled, large.epsilon_out) == (1024, 24, False, 1e-12)
    assert videomae_description({"layer_norm_eps": 1e-6}) == VideoMaeConfig(epsilon=1e-6, epsilon_out=1e-5)
    for values, named in (
        ({"image_size": [224, 224]}, "image"),
        ({"qkv_bias": False}, "qkv_bias = False"),
        ({"use_mean_pooling": "no"}, "use_mean_pooling"),
    ):
        with pytest.raises(UserError, match=f"VideoMAE config .*{named}"):
            videomae_description(values)


def test_files_of_a_folder_are_read_together_and_must_not_repeat_a_name(tmp_path):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "two.safetensors")
    tensors, values = read_metric(tmp_path)
    assert set(tensors) == {"a", "b"} and values == {}
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "three.safetensors")
    with pytest.raises(UserError, match="b a second time"):
        read_metric(tmp_path)
    with pytest.raises(UserError, match="no weights"):
        read_metric(tmp_path.parent / tmp_path.name / "..")
