"""Reads arrays that Orbax has written; imported late, for Orbax takes half a second to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from vp_jax import trees


class OrbaxReader:
    """Arrays that Orbax has written, as they are stored, so that they can be compared."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._checkpointer = folder, ocp.StandardCheckpointer()

    def __enter__(self) -> OrbaxReader:
        self._checkpointer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._checkpointer.__exit__(*error)

    def shapes(self) -> dict[str, Any]:
        """Types and shapes by name."""
        metadata = self._checkpointer.metadata(self._folder).item_metadata
        if metadata is None:  # what Orbax cannot read it only logs
            raise ValueError("its index cannot be read")
        self._stored = trees.flatten(metadata.tree)
        return self._stored

    def read(self, places: dict[str, Any]) -> dict[str, Any]:
        """The arrays, each where ``places`` says."""
        target = {
            path: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=places[path]) for path, x in self._stored.items()
        }
        return trees.flatten(self._checkpointer.restore(self._folder, trees.unflatten(target)))
