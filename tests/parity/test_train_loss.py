"""Training losses and gradients of both stages, and how a fresh context encoder starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.parity import reference as ref
from vp_jax import trees
from vp_jax.convert import branch as branch_table
from vp_jax.convert import engine
from vp_jax.convert import lora as lora_table
from vp_jax.diffusion import predict as P
from vp_jax.diffusion.loss import inpainting_loss
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models import lora
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.id_resample import Resample
from vp_jax.models.injection import joint_mask, masked_tokens
from vp_jax.models.inpaint import Condition, predict


@pytest.fixture(scope="module")
def batch(golden):
    forward, train = ref.arrays(golden / "forward_i2v.npz"), ref.arrays(golden / "train_loss.npz")
    image, masked, mask = (ref.channels_last(forward[k]) for k in ("image_latents", "masked_video_latents", "mask"))
    x0, noise = ref.channels_last(train["x0"]), ref.channels_last(train["noise"])
    t = forward["timesteps"]
    abar = jnp.asarray(Schedule().abar[t], jnp.float32)
    return {
        "train": train,
        "image": image,
        "condition": Condition.of(masked, mask[..., 0]),
        "mask": mask[..., 0],
        "x0": x0,
        "x_t": P.add_noise(x0, noise, abar),
        "abar": abar,
        "t": jnp.asarray(t),
        "text": jnp.asarray(forward["text_embeds"]),
    }


def losses(backbone, branch, batch, resample=None):
    v = predict(
        backbone, branch, batch["x_t"], batch["image"], batch["condition"], batch["text"], batch["t"], resample=resample
    ).sample
    loss = inpainting_loss(batch["x_t"], v, batch["x0"], batch["mask"], batch["abar"])
    return loss.total().mean(), loss


def check(total, loss, train, prefix=""):
    for got, name in [(loss.whole_B.mean(), "loss"), (loss.hole_B.mean(), "inpainting_loss"), (total, "total")]:
        assert abs(float(got) - float(train[prefix + name])) <= 1e-5 * abs(float(train[prefix + name])), name


def check_gradients(got, want):
    """Every gradient of the reference within 1e-4; what it has none for must be zero."""
    assert set(want) <= set(got)
    for name, value in got.items():
        if name in want and np.any(want[name]):
            assert relative_error(value, want[name]) <= 1e-4, name
        else:
            assert not np.any(value), name


@pytest.mark.slow
def test_context_encoder_stage(golden, batch):
    backbone = nnx.merge(*ref.backbone(golden)[1:])
    cfg, graph, params = ref.branch(golden)
    (total, loss), grads = jax.value_and_grad(lambda p: losses(backbone, nnx.merge(graph, p), batch), has_aux=True)(
        params
    )
    check(total, loss, batch["train"])
    want = ref.tensors(golden / "branch_grads.safetensors")
    got = engine.to_torch(grads, branch_table.RULES, branch_table.torch_shapes(cfg))
    got.pop("patch_embed.pos_embedding", None)  # a buffer: the reference has no gradient for it
    check_gradients(got, want)
    unused = set(map(str, batch["train"]["params_without_grad"]))
    # with more hints than groups of layers, the last hints reach no block: their gradient is zero here, absent there
    assert not any(np.any(got[name]) for name in unused & set(got))


@pytest.mark.slow
def test_id_adapter_stage(golden, batch):
    extra = ref.arrays(golden / "forward_id.npz")
    cfg, params = ref.id_adapter(golden, float(extra["lora_alpha"]) / float(extra["lora_rank"]))
    _, graph, frozen = ref.backbone(golden)
    branch = nnx.merge(*ref.branch(golden)[1:])
    own = joint_mask(masked_tokens(batch["mask"]), batch["text"].shape[1])

    def run(p):
        return losses(lora.attach(nnx.merge(graph, frozen), [(cfg, p)]), branch, batch, Resample(True, own))

    (total, loss), grads = jax.value_and_grad(run, has_aux=True)(params)
    check(total, loss, batch["train"], "id_")
    want = ref.tensors(golden / "id_lora_grads.safetensors")
    got = {k.removeprefix("transformer."): v for k, v in lora_table.lora_to_torch(cfg, grads).items()}
    check_gradients(got, want)


def test_fresh_context_encoder(golden):
    want = ref.arrays(golden / "branch_init_from_transformer.npz")
    _, _, frozen = ref.backbone(golden)
    cfg, graph, params = ref.branch(golden)
    fresh = trees.split(nnx.merge(graph, params))[1]
    got = init_from_backbone(frozen, fresh, cfg.dit.out_channels)
    torch_layout = engine.to_torch(got, branch_table.RULES, branch_table.torch_shapes(cfg))
    for name, key in [
        ("patch_proj", "patch_embed.proj.weight"),
        ("patch_bias", "patch_embed.proj.bias"),
        ("zero_block", "branch_blocks.0.weight"),
        ("block0_q", "transformer_blocks.0.attn1.to_q.weight"),
        ("time1", "time_embedding.linear_1.weight"),
    ]:
        np.testing.assert_array_equal(torch_layout[key], want[name], err_msg=name)
    text_proj = [tree["patch_embed"]["text_proj"]["kernel"] for tree in (got, fresh)]
    np.testing.assert_array_equal(*text_proj)


def test_mask_to_latent(golden):
    from vp_jax.models.latent_mask import mask_to_latent

    data = ref.arrays(golden / "mask_to_latent.npz")
    np.testing.assert_array_equal(mask_to_latent(jnp.asarray(data["mask"][:, 0])), data["latent_mask"][:, 0])
