"""What a program is built for, and a program that is ready to be lowered or compiled."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vp_jax import sharding
from vp_jax.models.attention import choose
from vp_jax.models.variants import Variant, variant
from vp_jax.shapes import SPATIAL_STRIDE


@dataclasses.dataclass(frozen=True)
class Case:
    """Model, type and devices; everything else about a program is its own.

    Attributes:
      mesh: devices of this machine or of a description, see `vp_jax.planning.devices`.
      platform: ``cpu``, ``gpu`` or ``tpu``, for which the program is lowered; it may differ from that of ``mesh``.
      model: of `vp_jax.models.variants`.
      precision: ``bfloat16`` or ``float32``, of weights and computation.
      batch: examples of a training step.
      remat: of the backbone and the context encoder in training, see `vp_jax.models.dit.REMAT`.
      weights: of sampling: ``int8`` for blocks in 8 bits, empty for those of ``precision``.
    """

    mesh: Mesh
    platform: str
    model: str = "nano"
    precision: str = "bfloat16"
    batch: int = 1
    remat: str = ""
    weights: str = ""

    @property
    def variant(self) -> Variant:
        """Descriptions of the models; their types and attention are not set."""
        return variant(self.model)

    @property
    def clip(self) -> tuple[int, int, int]:
        """Frames, height and width that the model was made for."""
        cfg = self.variant.backbone
        return cfg.sample_frames, cfg.sample_height * SPATIAL_STRIDE, cfg.sample_width * SPATIAL_STRIDE

    @property
    def attention(self) -> str:
        """Backend that the model's attention takes on the platform."""
        return choose(
            dtype=self.precision,
            head_dim=self.variant.backbone.head_dim,
            platform=self.platform,
            say=lambda line: None,
        )

    def array(self, *shape: int, dtype: Any = jnp.float32) -> Any:
        """The shape of an array that every device holds; functions take it where they are traced."""
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding.replicated(self.mesh))

    def copies(self, tree: Any) -> Any:
        """The arrays of ``tree``, shapes alone, each on every device."""
        return jax.tree.map(lambda leaf: self.array(*leaf.shape, dtype=leaf.dtype), tree)

    def key(self) -> Any:
        """The shape of a random key."""
        return self.copies(jax.eval_shape(lambda: jax.random.key(0)))


class Prepared(NamedTuple):
    """A jitted function and the shapes of its arguments.

    Attributes:
      function: from `jax.jit`.
      arguments: shapes, on the devices of a mesh.
      static: keyword arguments.
      attention: backend of the attention in it, empty if there is none.
      waiting: bytes on one device of weights that this program does not read and that stay there while it runs.
    """

    function: Any
    arguments: tuple[Any, ...]
    static: dict[str, Any]
    attention: str
    waiting: int = 0

    def trace(self, mesh: Mesh) -> Any:
        """The traced function, with ``.lower(lowering_platforms=...)``."""
        with jax.set_mesh(mesh):
            return self.function.trace(*self.arguments, **self.static)


def bytes_of(tree: Any) -> int:
    """Bytes on one device of shapes with shardings."""
    return sharding.bytes_per_device(tree, jax.tree.map(lambda leaf: leaf.sharding, tree))
