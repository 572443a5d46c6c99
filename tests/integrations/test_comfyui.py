"""The node pack as ComfyUI uses it: found by its mappings, called by names, fed with tensors."""

import importlib.util
import sys
import types

import numpy as np
import pytest
import torch

from tests.layout import ROOT
from tests.painter import PAINT, painter  # noqa: F401
from tests.serve.drawn import disc_film
from vp_jax.errors import UserError
from vp_jax.segment.results import Tracked

KINDS = {"INT": int, "FLOAT": float, "STRING": str}


@pytest.fixture(scope="module")
def pack():
    """The folder imported as ComfyUI imports a folder of custom nodes."""
    place = ROOT / "integrations" / "comfyui" / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "custom_vp_jax", place, submodule_search_locations=[str(place.parent)]
    )
    module = sys.modules["custom_vp_jax"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.startswith("custom_vp_jax")]:
        del sys.modules[name]


@pytest.fixture
def video():
    return torch.from_numpy(disc_film(9).astype(np.float32) / 255)


def execute(pack, name, **given):
    """Run a node as ComfyUI's executor does: defaults where nothing is connected, an output for each return type."""
    node = pack.NODE_CLASS_MAPPINGS[name]
    types_ = node.INPUT_TYPES()
    values = {}
    for part in ("required", "optional"):
        for field, (kind, *rest) in types_.get(part, {}).items():
            if field in given:
                values[field] = given.pop(field)
                continue
            default = rest[0]["default"]
            assert default in kind if isinstance(kind, list) else isinstance(default, KINDS[kind]), field
            values[field] = default
    assert given == {}
    results = getattr(node(), node.FUNCTION)(**values)
    assert isinstance(results, tuple) and len(results) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    return results


def test_every_node_is_named_and_says_what_it_takes(pack):
    assert set(pack.NODE_CLASS_MAPPINGS) == set(pack.NODE_DISPLAY_NAME_MAPPINGS) and len(pack.NODE_CLASS_MAPPINGS) == 4
    for node in pack.NODE_CLASS_MAPPINGS.values():
        assert node.CATEGORY == "vp_jax" and callable(getattr(node, node.FUNCTION)) and node.INPUT_TYPES()["required"]


def test_a_thing_is_masked_in_every_frame(pack, video):
    (mask,) = execute(pack, "VpJaxTrackMask", video=video, where="box:6,14,24,24\npoints:18,26\n")
    truth = video[..., 0] > 0.8
    assert mask.dtype == torch.float32 and mask.shape == (9, 48, 64) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum() > 0.7


def test_a_backend_is_named_with_its_weights(pack, video, monkeypatch):
    asked = []
    found = (Tracked(n, np.ones((48, 64), np.uint8), {1: 1.0}, frozenset()) for n in range(9))
    nodes = sys.modules[pack.NODE_CLASS_MAPPINGS["VpJaxTrackMask"].__module__]
    monkeypatch.setattr(nodes, "track", lambda *args, **options: asked.append((args[2], options)) or found)
    (mask,) = execute(pack, "VpJaxTrackMask", video=video, where="the dog", backend="sam3_video:facebook/sam3")
    assert asked == [("sam3_video", {"weights": "facebook/sam3"})] and mask.shape == (9, 48, 64)
    with pytest.raises(UserError, match="expected sam3_video:FOLDER_OR_ID"):
        execute(pack, "VpJaxTrackMask", video=video, where="the dog", backend="sam3_video")


def test_a_video_is_inpainted_within_its_mask(pack, video, painter):  # noqa: F811
    (model,) = execute(pack, "VpJaxLoadModel", checkpoint="nano")
    mask = torch.zeros(48, 64)
    mask[16:32, 16:32] = 1
    (result,) = execute(pack, "VpJaxInpaint", model=model, video=video, mask=mask, prompt="a fox", steps=2, grow=1)
    hole = torch.zeros(48, 64, dtype=torch.bool)
    hole[15:33, 15:33] = True
    assert result.shape == video.shape and result.dtype == torch.float32
    assert torch.equal(result[:, ~hole], video[:, ~hole])
    assert torch.allclose(result[:, hole] * 255, torch.tensor(PAINT, dtype=torch.float32))
    assert painter.calls["windows"][2].steps == 2


def test_steps_move_the_bar_of_comfyui(pack, monkeypatch):
    moved = []
    comfy = types.ModuleType("comfy.utils")
    comfy.ProgressBar = lambda total: types.SimpleNamespace(update_absolute=lambda *values: moved.append(values))
    assert sys.modules["custom_vp_jax.nodes"]._progress() is None
    monkeypatch.setitem(sys.modules, "comfy", types.ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.utils", comfy)
    sys.modules["custom_vp_jax.nodes"]._progress()(3, 20, "window 1/1")
    assert moved == [(3, 20)]


def test_a_first_frame_is_filled_from_around_the_mask(pack, video, painter):  # noqa: F811
    mask = (video[:, :, :, 0] > 0.8).float()
    given = {"model": painter, "video": video, "mask": mask, "prompt": "wall", "steps": 1, "grow": 2}
    execute(pack, "VpJaxInpaint", **given, first_frame="fill")
    read = painter.calls["windows"][0]
    assert not read.holes_FHW[0].any() and read.holes_FHW[1].any()
    assert np.abs(read.frames_FHWC[0].astype(int) - 120).max() < 40  # grey, where the red disc was
    execute(pack, "VpJaxInpaint", **given)
    assert painter.calls["windows"][0].holes_FHW[0].any()


def test_a_sentence_is_an_edit(pack, video, painter):  # noqa: F811
    mask = (video[:, :, :, 0] > 0.8).float()
    edit = {"model": painter, "video": video, "mask": mask, "steps": 1}
    _, prompt = execute(pack, "VpJaxEdit", instruction="make the disc a fox", caption="a disc on a wall", **edit)
    assert prompt == "a fox on a wall" and prompt in painter.calls["prompt"]
    _, prompt = execute(pack, "VpJaxEdit", instruction="remove the disc", **edit)
    assert prompt == "" and "an empty background" in painter.calls["prompt"]


def test_arrays_stay_arrays_and_mistakes_are_one_line(pack, painter):  # noqa: F811
    frames = disc_film(9).astype(np.float32) / 255
    mask = (frames[..., 0] > 0.8).astype(np.float32)
    give = {"model": painter, "mask": mask, "steps": 1}
    (result,) = execute(pack, "VpJaxInpaint", video=frames, prompt="a fox", **give)
    assert isinstance(result, np.ndarray) and result.max() <= 1
    for changes, text in (
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "x", "mask": mask[:4]}, r"mask of shape \(4, 48, 64\): expected \(1 or 9, height, width\)"),
        ({"prompt": "x", "video": frames[0]}, r"video of shape \(48, 64, 3\)"),
    ):
        with pytest.raises(UserError, match=text):
            execute(pack, "VpJaxInpaint", **{"video": frames, **give, **changes})
