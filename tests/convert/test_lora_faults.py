"""What no LoRA file may hold: every fault is named, and all of them come in one line."""

import re

import numpy as np
import pytest

from tests.convert.lora_pairs import Q, pair
from vp_jax.convert import lora as table
from vp_jax.errors import UserError
from vp_jax.models.config import LoRAConfig

FAULTS = {
    "a layer too many": (pair(Q.format(7)), f"- {Q.format(7)}.lora_A.weight: the model has 7 layers"),
    "a layer of many digits": (pair(Q.format("9" * 50)), "not a LoRA tensor"),
    "another module": (
        pair("transformer_blocks.0.attn1.to_x"),
        "- transformer_blocks.0.attn1.to_x.lora_A.weight: not a LoRA tensor",
    ),
    "another model": (pair("text_encoder.layers.0.to_q"), "text_encoder.layers.0.to_q.lora_B.weight: not a LoRA"),
    "a prefix that only some have": (
        pair("transformer.transformer." + Q.format(1)),
        f"- transformer.transformer.{Q.format(1)}.lora_A.weight: not a LoRA tensor",
    ),
    "DoRA, kohya": ({Q.format(0) + ".dora_scale": np.ones((5, 1))}, f"- {Q.format(0)}.dora_scale: not a LoRA tensor"),
    "DoRA, PEFT": (
        {Q.format(0) + ".lora_magnitude_vector.weight": np.ones(5)},
        f"- {Q.format(0)}.lora_magnitude_vector.weight: not a LoRA",
    ),
    "a bias": ({Q.format(0) + ".diff_b": np.ones(5)}, f"- {Q.format(0)}.diff_b: not a LoRA tensor"),
    "a bias, PEFT": ({Q.format(0) + ".lora_B.bias": np.ones(5)}, f"- {Q.format(0)}.lora_B.bias: not a LoRA tensor"),
    "a second spelling": (
        {"transformer." + Q.format(0) + ".lora_A.weight": np.ones((2, 3))},
        f"- transformer.{Q.format(0)}.lora_A.weight: a second tensor for {Q.format(0)}",
    ),
    "a convolution": (
        {
            "patch_embed.proj.lora_A.weight": np.ones((2, 3, 2, 2)),
            "patch_embed.proj.lora_B.weight": np.ones((5, 2, 1, 1)),
        },
        "- patch_embed.proj.lora_A.weight: shape (2, 3, 2, 2), expected a matrix (no convolutions)",
    ),
    "a half": ({"proj_out.lora_B.weight": np.ones((5, 2))}, "+ proj_out: has ['b'], expected both factors a and b"),
    "an alpha of several numbers": (
        {**pair("norm_out.linear"), "norm_out.linear.alpha": np.ones(3)},
        "- norm_out.linear.alpha: shape (3,), expected one number",
    ),
    "two ranks": (
        {"proj_out.lora_A.weight": np.ones((2, 3)), "proj_out.lora_B.weight": np.ones((5, 4))},
        "! proj_out: A (2, 3) and B (5, 4) have different ranks",
    ),
    "no numbers": (
        {"proj_out.lora_A.weight": np.ones((2, 3), bool), "proj_out.lora_B.weight": np.ones((5, 2))},
        "- proj_out.lora_A.weight: type bool, expected numbers",
    ),
    "nothing in a matrix": (
        {"proj_out.lora_A.weight": np.ones((0, 3)), "proj_out.lora_B.weight": np.ones((5, 0))},
        "- proj_out.lora_A.weight: shape (0, 3), expected a matrix",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(name):
    tensors, message = FAULTS[name]
    with pytest.raises(UserError) as fault:
        table.from_torch({**pair(Q.format(0)), **tensors}, 7)
    assert message in str(fault.value) and "\n" not in str(fault.value)


def test_faults_are_listed_together_by_their_pattern():
    file = {name: tensor for tensors, _ in FAULTS.values() for name, tensor in tensors.items()}
    file |= {name: tensor for i in range(40) for name, tensor in pair(f"transformer_blocks.{i}.other.to_q").items()}
    with pytest.raises(UserError) as fault:
        table.from_torch(file, 7)
    message = str(fault.value)
    assert (
        "- transformer_blocks.0.other.to_q.lora_A.weight: not a LoRA tensor of a Linear of this model (and 39"
        in message
    )
    assert message.count("; ") <= 10 and re.search(r"\.\.\. and \d+ others$", message)


def test_a_high_layer_number_allocates_nothing():
    file = pair(Q.format(900_000), inputs=300, outputs=300, rank=8)
    with pytest.raises(UserError, match=r"highest layer is 900000: 0\.0\d+ MB would become .* GB, .* \(num_layers\)"):
        table.from_torch(file)
    assert table.from_torch(pair(Q.format(300)))[1]["blocks"]["attn"]["to_q"]["lora_a"].shape == (301, 3, 2)


def test_other_refusals():
    with pytest.raises(UserError, match="it holds no tensors"):
        table.from_torch({}, 2)
    with pytest.raises(UserError, match=r"attn1\.to_q: 4 -> 5, other layers 3 -> 5"):
        table.from_torch({**pair(Q.format(0)), **pair(Q.format(1), inputs=4)}, 2)
    with pytest.raises(UserError, match=r"has \['alpha'\], expected both"):
        table.from_torch({"proj_out.alpha": np.ones(())}, 2)
    with pytest.raises(UserError, match=r"targets \['blocks/attn/to_x'\] have no name"):
        table.lora_to_torch(LoRAConfig(("blocks/attn/to_x",), 2), {})
