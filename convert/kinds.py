"""What can be converted: one entry per kind of model, each a table, a description and the model it fills."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vp_jax import trees
from vp_jax.convert import branch, dit, inpaint, t5, vae
from vp_jax.convert.engine import Rule, Shape
from vp_jax.models.folder import abstract_model


def _same(keys: Iterable[str]) -> dict[str, str]:
    return {key: key for key in keys}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
      rules, ignored: its table.
      from_torch, to_torch: ``config.json`` values <-> description.
      weights: name of the weights file of the original layout.
      normalise: names in the file -> names in the table.
      torch_shapes: PyTorch shapes that our layout does not show.
      unused: tensors to write back on export where no file has them; ``None``: ignored tensors are not kept.
    """

    rules: list[Rule]
    ignored: list[str]
    from_torch: Callable[[dict[str, Any]], Any]
    to_torch: Callable[[Any], dict[str, Any]]
    weights: str = "diffusion_pytorch_model.safetensors"
    normalise: Callable[[Iterable[str]], dict[str, str]] = _same
    torch_shapes: Callable[[Any], Mapping[str, Shape]] = lambda cfg: {}
    unused: Callable[[Any, Any], dict[str, np.ndarray]] | None = None

    def knows(self, key: str) -> bool:
        """Whether the table has a line about a tensor of this name, or ignores it knowingly."""
        return any(rule.place(key) for rule in self.rules) or any(re.fullmatch(name, key) for name in self.ignored)

    def abstract(self, cfg: Any) -> trees.Tree:
        """Shapes of the model's tree."""
        return abstract_model(cfg)[1]


MODELS: dict[str, Kind] = {
    "transformer": Kind(
        dit.RULES, dit.IGNORED, dit.config_from_torch, dit.config_to_torch, torch_shapes=dit.torch_shapes
    ),
    "fun_inp": Kind(
        dit.RULES, dit.IGNORED, inpaint.FUN_INP.from_torch, inpaint.FUN_INP.to_torch, torch_shapes=dit.torch_shapes
    ),
    "void": Kind(dit.RULES, dit.IGNORED, inpaint.VOID.from_torch, inpaint.VOID.to_torch, torch_shapes=dit.torch_shapes),
    "branch": Kind(
        branch.RULES,
        branch.IGNORED,
        branch.config_from_torch,
        branch.config_to_torch,
        torch_shapes=branch.torch_shapes,
        unused=branch.unused_tensors,
    ),
    "vae": Kind(vae.RULES, vae.IGNORED, vae.config_from_torch, vae.config_to_torch),
    "text_encoder": Kind(
        t5.RULES,
        t5.IGNORED,
        t5.config_from_torch,
        t5.config_to_torch,
        weights="model.safetensors",
        normalise=t5.normalise,
    ),
}
ADAPTERS = ("id_adapter", "lora")
KINDS = (*MODELS, *ADAPTERS, "scheduler")
"""Names on the command line."""
