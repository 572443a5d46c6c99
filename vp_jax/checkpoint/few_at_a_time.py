"""Writes arrays with Orbax while few of them are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import type_handlers

from vp_jax import trees
from vp_jax.checkpoint.lazy_leaf import LazyLeaf

_CHUNK = 16 << 20
"""Bytes of a stored piece, before compression: pieces are compressed in parallel and read in parallel."""
_DATA_FILE = 64 << 20
"""Bytes of a data file, all of which Orbax holds in memory until it is complete (2 GB by default)."""


def save_few_at_a_time(folder: Any, leaves: trees.Tree) -> None:
    """Write a nested dict of `LazyLeaf`; an earlier tree in ``folder`` is replaced."""
    registry = type_handlers.create_type_handler_registry(
        (LazyLeaf, _FewAtATime(deepcopy_host_arrays=False)), (jax.Array, type_handlers.ArrayHandler())
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=registry)) as checkpointer:
        pieces = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=_CHUNK), leaves)
        checkpointer.save(
            folder,
            force=True,
            args=ocp.args.PyTreeSave(leaves, save_args=pieces, ocdbt_target_data_file_size=_DATA_FILE),
        )


class _FewAtATime(type_handlers.NumpyHandler):  # type: ignore[misc]
    """Writes leaves one after the other (small ones together), without Orbax's copies against concurrent changes."""

    async def serialize(
        self, values: Sequence[LazyLeaf], infos: Sequence[Any], args: Sequence[Any] | None = None
    ) -> Sequence[Any]:
        waiting = list(zip(values, infos, args or [ocp.SaveArgs()] * len(values)))
        while waiting:
            size = 0
            group: list[tuple[LazyLeaf, Any, Any]] = []
            while waiting and (not group or size + waiting[-1][0].nbytes <= _DATA_FILE):
                size += waiting[-1][0].nbytes
                group.append(waiting.pop())
            arrays = [value.read() for value, _, _ in group]
            for done in await super().serialize(arrays, [i for _, i, _ in group], [a for _, _, a in group]):
                done.result()
            del arrays  # before the next are read
        return []
