"""A folder becomes a pipeline: parts, adapters and their scales, precision; mistakes are one line."""

import numpy as np
import pytest

from tests.compare import relative_error
from tests.tiny import ADAPTED, save_lora, save_tiny
from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.inference import load
from vp_jax.inference.named import NAMED, NamedModel, find_model
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import Settings
from vp_jax.models.config import Injection, LoRAConfig

SETTINGS = Settings(steps=2, window=5, overlap=1, guidance=1.0)


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    save_tiny(path, pipeline, id_scale=0.5)
    return path


def latents(pipe, clip):
    return pipe.sample_latents(clip[0][:5], clip[1][:5], clip[2], SETTINGS)


@pytest.mark.slow
def test_a_folder_loads_as_the_models_that_were_saved(pipeline, folder, clip):
    same = pipeline.models.backbone_cfg.attention
    loaded = Pipeline.load(folder, precision="float32", id_adapter=False, attention=same)
    assert not loaded.models.has_id_adapter and loaded.folders == tuple(
        folder / n for n in ("transformer", "branch", "vae")
    )
    assert not loaded.has_text_encoder and loaded.settings == Settings(window=5)
    np.testing.assert_array_equal(latents(loaded, clip), latents(pipeline, clip))


@pytest.mark.slow
def test_id_scale_takes_the_place_of_the_stored_scale(folder, clip):
    """The scale multiplies B A: 0.2 with these weights is 0.5 with B at two fifths."""
    pipe = Pipeline.load(folder, precision="float32", id_scale=0.2)
    assert [cfg.scale for cfg in pipe.models.loras] == [0.2] and pipe.models.has_id_adapter
    weaker = Pipeline.load(folder, precision="float32", id_scale=0.5)
    flat = trees.flatten(weaker.params["loras"][0])
    flat = {name: leaf * 0.4 if name.endswith("lora_b") else leaf for name, leaf in flat.items()}
    weaker.params["loras"] = [trees.unflatten(flat)]
    got = latents(pipe, clip)
    assert relative_error(got, latents(weaker, clip)) < 1e-5
    assert relative_error(got, latents(Pipeline.load(folder, precision="float32"), clip)) > 1e-3


@pytest.mark.parametrize("options, said", [({}, 1), ({"id_adapter": False}, 0), ({"attention": "cudnn"}, 0)])
def test_an_adapter_on_kernels_that_never_finished_is_said_to_be_so(folder, monkeypatch, capsys, options, said):
    monkeypatch.setattr("vp_jax.inference.load.choose", lambda *_, **__: "cudnn")
    load._say_that_it_may_hang.cache_clear()
    for _ in range(2):
        Pipeline.describe(folder, **options)
    assert capsys.readouterr().out.count("if nothing moves for minutes, use --attention chunked") == said


@pytest.mark.slow
def test_the_scale_of_a_style_adapter_is_a_factor(pipeline, folder, tmp_path, clip):
    save_lora(tmp_path / "style", LoRAConfig(ADAPTED, rank=2, scale=0.5), pipeline.params["backbone"])
    pipe = Pipeline.load(folder, precision="float32", loras=[(str(tmp_path / "style"), 0.5)])
    assert [cfg.scale for cfg in pipe.models.loras] == [1.0, 0.25]
    assert pipe.folders[-2:] == (folder / "id_adapter", tmp_path / "style")
    assert len(pipe.params["loras"]) == 1, "the style is merged into the backbone, the ID adapter is attached"
    assert relative_error(latents(pipe, clip), latents(Pipeline.load(folder, precision="float32"), clip)) > 1e-3


@pytest.mark.slow
def test_precision_is_that_of_weights_and_computation(folder):
    pipe = Pipeline.load(folder)
    kinds = {leaf.dtype.name for leaf in trees.flatten(pipe.params["backbone"]).values()}
    assert kinds == {"bfloat16"} == {leaf.dtype.name for leaf in trees.flatten(pipe.params["loras"][0]).values()}
    assert pipe.models.backbone_cfg.dtype == pipe.models.branch_cfg.dit.dtype == pipe.models.vae_cfg.dtype == "bfloat16"


@pytest.mark.slow
def test_a_named_model_has_settings_of_its_own(folder, monkeypatch):
    nano = find_model("nano")
    own = {"steps": 2, "guidance": 1.5, "dynamic_guidance": False, "injection": Injection(tokens="all")}
    assert (nano.precision, dict(nano.settings)) == ("float32", own)
    monkeypatch.setitem(NAMED, "nano", NamedModel(folder, "float32", {"steps": 7}))
    pipe = Pipeline.load("nano", id_adapter=False)
    assert pipe.settings == Settings(window=5, steps=7) and pipe.models.backbone_cfg.dtype == "float32"
    assert Pipeline.load("nano", precision="bfloat16").models.backbone_cfg.dtype == "bfloat16"


@pytest.mark.parametrize(
    "model, changes, message",
    [
        ("nowhere", {}, "nowhere: no such folder; expected one made by `python -m convert all`, or 'nano'"),
        (None, {"precision": "float16"}, "precision 'float16': expected bfloat16 or float32"),
        (None, {"attention": "fast"}, "attention"),
        (None, {"loras": [("none", 1.0)]}, "none"),
    ],
)
def test_mistakes_are_named(folder, model, changes, message):
    with pytest.raises(UserError, match=message):
        Pipeline.load(model or folder, **changes)


def test_a_package_without_weights_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(NAMED, "nano", NamedModel(tmp_path / "none"))
    with pytest.raises(UserError, match="this copy of vp_jax has no nano model"):
        Pipeline.load("nano")


@pytest.mark.slow
def test_blocks_that_wait_in_the_host_s_memory_change_nothing(pipeline, folder, clip):
    same = pipeline.models.backbone_cfg.attention
    options = {"precision": "float32", "id_adapter": False, "attention": same}
    pipe = Pipeline.load(folder, weights="host", **options)
    kinds = {path.split("/")[0]: x.sharding.memory_kind for path, x in trees.flatten(pipe.params["backbone"]).items()}
    assert kinds.pop("blocks") == "pinned_host" and set(kinds.values()) == {"device"}
    np.testing.assert_array_equal(latents(pipe, clip), latents(pipeline, clip))
