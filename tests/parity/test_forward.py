"""Forward passes against the PyTorch reference: backbone, hints, every block, injection variants, ID resampling."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import GOLDEN, relative_error
from tests.parity import reference as ref
from vp_jax.models import lora, rope
from vp_jax.models.config import Injection
from vp_jax.models.id_resample import PreviousWindow, Resample
from vp_jax.models.injection import joint_mask
from vp_jax.models.inpaint import Condition, predict

TOLERANCE = 1e-5
TEXT_TO_VIDEO = sorted(path.stem.removeprefix("forward_") for path in GOLDEN.glob("forward_t2v*.npz"))


@pytest.fixture(scope="module")
def data(golden):
    return ref.arrays(golden / "forward_i2v.npz")


@pytest.fixture(scope="module")
def inputs(data):
    """noisy, image, condition, text, t."""
    noisy, image, masked, mask = (
        ref.channels_last(data[k]) for k in ("noisy_latents", "image_latents", "masked_video_latents", "mask")
    )
    condition = Condition.of(masked, mask[..., 0])
    return noisy, image, condition, jnp.asarray(data["text_embeds"]), jnp.asarray(data["timesteps"])


@pytest.fixture(scope="module")
def i2v(golden):
    """Backbone and branch modules."""
    return nnx.merge(*ref.backbone(golden)[1:]), nnx.merge(*ref.branch(golden)[1:])


def numbered(data, prefix):
    """data[prefix_0], data[prefix_1] ... in order."""
    count = sum(k.startswith(prefix + "_") and k[len(prefix) + 1 :].isdigit() for k in data)
    assert count
    return [data[f"{prefix}_{i}"] for i in range(count)]


def test_rotation_tables(data, inputs, i2v):
    noisy, cfg = inputs[0], i2v[0].cfg
    _, T, h, w, _ = noisy.shape
    table = rope.rotation(T, h // cfg.patch, w // cfg.patch, cfg.head_dim, 0, stretch=True)
    assert relative_error(np.repeat(table.cos, 2, axis=1), data["rope_cos"]) <= TOLERANCE
    assert relative_error(np.repeat(table.sin, 2, axis=1), data["rope_sin"]) <= TOLERANCE


def test_masked_tokens(data, inputs):
    got = joint_mask(inputs[2].tokens_BN, data["text_embeds"].shape[1])
    np.testing.assert_array_equal(got, data["masked_tokens"])


@pytest.mark.slow
def test_backbone_alone(data, inputs, i2v):
    noisy, image, _, text, t = inputs
    got = i2v[0](jnp.concatenate([noisy, image], axis=-1), text, t).sample
    assert relative_error(ref.channels_first(got), data["out_no_branch"]) <= TOLERANCE


def test_hints(data, inputs, i2v):
    noisy, _, condition, text, t = inputs
    hints = i2v[1](noisy, condition.channels(), text, t)
    want = numbered(data, "branch_sample")
    assert len(want) == hints.shape[0]
    for got, expected in zip(hints, want):
        assert relative_error(got, expected) <= TOLERANCE


@pytest.mark.parametrize(
    "name, settings",
    [
        ("out_injected_everywhere", Injection(tokens="all")),
        ("out_injected_background_only", Injection()),
        ("out_add_first", Injection(schedule="first")),
        ("out_scale_half", Injection(scale=0.5)),
    ],
)
def test_injection(data, inputs, i2v, name, settings):
    got = predict(*i2v, *inputs, injection=settings).sample
    assert relative_error(ref.channels_first(got), data[name]) <= TOLERANCE


def test_every_block(data, inputs, i2v):
    recorded = predict(*i2v, *inputs, record_states=True).recorded
    want = numbered(data, "block_output")
    assert len(want) == i2v[0].cfg.num_layers
    for got, expected in zip(recorded, want):
        assert relative_error(got, expected) <= TOLERANCE


@pytest.mark.parametrize("name", TEXT_TO_VIDEO)
def test_text_to_video(golden, inputs, name):
    data = ref.arrays(golden / f"forward_{name}.npz")
    noisy, _, condition, text, t = inputs
    backbone = nnx.merge(*ref.backbone(golden, f"transformer_{name}")[1:])
    branch = nnx.merge(*ref.branch(golden, f"branch_{name}")[1:])
    assert relative_error(ref.channels_first(backbone(noisy, text, t).sample), data["out_no_branch"]) <= TOLERANCE
    for got, expected in zip(branch(noisy, condition.channels(), text, t), numbered(data, "branch_sample")):
        assert relative_error(got, expected) <= TOLERANCE
    got = predict(backbone, branch, noisy, None, condition, text, t).sample
    assert relative_error(ref.channels_first(got), data["out_injected_background_only"]) <= TOLERANCE


@pytest.mark.parametrize("name", ["out_id_current", "out_id_previous_window", "out_previous_window_without_adapter"])
def test_id_resampling(golden, data, inputs, i2v, name):
    extra = ref.arrays(golden / "forward_id.npz")
    own = jnp.asarray(data["masked_tokens"])
    previous = PreviousWindow(
        jnp.stack([jnp.asarray(x) for x in numbered(extra, "prev_block_output")]), jnp.asarray(extra["prev_token_mask"])
    )
    backbone, branch = i2v
    if name != "out_previous_window_without_adapter":
        scale = float(extra["lora_alpha"]) / float(extra["lora_rank"])
        backbone = lora.attach(backbone, [ref.id_adapter(golden, scale)])
    resample = {
        "out_id_current": Resample(True, own),
        "out_id_previous_window": Resample(True, own, previous, float(extra["prev_clip_weight"])),
        "out_previous_window_without_adapter": Resample(
            False, own, previous, float(extra["prev_clip_weight_without_adapter"])
        ),
    }[name]
    got = predict(backbone, branch, *inputs, resample=resample).sample
    assert relative_error(ref.channels_first(got), extra[name]) <= TOLERANCE
