"""The only file that talks to Orbax: models, and training runs.

A model is a folder with ``config.json`` beside ``params/``, a converted checkpoint a folder of such model folders
(``transformer/ branch/ vae/ ...``), see `convert`. Stored trees are pure nested dicts, so nothing of Flax is baked
into files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import type_handlers

from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.sharding import path_name

CONFIG, PARAMS = "config.json", "params"
_MAKE_ROOM = "make room or mend the folder, and run the same command again"


@contextlib.contextmanager
def _in_one_line(what: str, then: str) -> Iterator[None]:
    """Missing, damaged and unwritable files, which Orbax and TensorStore tell in many ways: `UserError`, nothing else.

    Args:
      what, then: what failed, and what to do; the reason stands between.
    """
    _quiet_threads()
    try:
        yield
    except (UserError, RuntimeError, MemoryError):  # no fault of the files: too little memory, above all
        raise
    except Exception as error:  # Orbax raises bare ones
        words = " ".join(str(error).split())
        reason = "no space left on device" if "No space left" in words else words.partition(" [tensorstore_spec")[0]
        raise UserError(f"{what} ({reason[:200]}): {then}") from error


@functools.cache
def _quiet_threads() -> None:
    """What goes wrong in Orbax's and TensorStore's threads is raised in ours too: they themselves say nothing."""
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    logging.getLogger("asyncio").addFilter(lambda record: "never retrieved" not in record.getMessage())

    def wrapped(hook: Callable[..., Any]) -> Callable[..., Any]:
        def told(*args: Any) -> None:
            error = args[1] if len(args) == 3 else args[0].exc_value
            if not (isinstance(error, RuntimeError) and "Event loop is closed" in str(error)):
                hook(*args)

        return told

    sys.excepthook, sys.unraisablehook = wrapped(sys.excepthook), wrapped(sys.unraisablehook)


def save_params(folder: str | Path, params: trees.Tree, config: dict[str, Any]) -> None:
    """Write ``params`` (nested dict of arrays) and ``config`` (JSON values; key ``kind`` names the model)."""
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _in_one_line(f"{folder} cannot be written", _MAKE_ROOM), ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / PARAMS, params, force=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


@dataclasses.dataclass(frozen=True)
class LazyLeaf:
    """An array that exists only while it is written: ``read`` makes it, `stream_params` drops it again."""

    shape: tuple[int, ...]
    dtype: Any
    read: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


_CHUNK = 16 << 20
"""Bytes of a stored piece, before compression: pieces are compressed in parallel and read in parallel."""
_DATA_FILE = 64 << 20
"""Bytes of a data file, all of which Orbax holds in memory until it is complete (2 GB unless told otherwise)."""


class _FewAtATime(type_handlers.NumpyHandler):
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


def stream_params(folder: str | Path, leaves: trees.Tree, config: dict[str, Any]) -> None:
    """`save_params` for trees that do not fit in memory; `load_params` restores them alike.

    Peak memory is the compressed form of the largest leaf, plus what its ``read`` allocates. ``config.json`` is
    removed first and written last: a folder that has one is complete.

    Args:
      folder: the model folder; what an interrupted run left of ``params`` in it is removed.
      leaves: nested dict of `LazyLeaf`.
      config: JSON values with key ``kind``.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    for rest in folder.glob(f"{PARAMS}.orbax-checkpoint-tmp*"):
        shutil.rmtree(rest)
    registry = type_handlers.create_type_handler_registry(
        (LazyLeaf, _FewAtATime(deepcopy_host_arrays=False)), (jax.Array, type_handlers.ArrayHandler())
    )
    written = _in_one_line(f"{folder} cannot be written", _MAKE_ROOM)
    with written, ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=registry)) as checkpointer:
        pieces = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=_CHUNK), leaves)
        checkpointer.save(
            folder / PARAMS,
            force=True,
            args=ocp.args.PyTreeSave(leaves, save_args=pieces, ocdbt_target_data_file_size=_DATA_FILE),
        )
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def load_config(folder: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Args:
      folder: a model folder.
      kind: what has to be in it, a key of `vp_jax.models.config.KINDS`; ``None`` for any.

    Raises:
      UserError: no such folder, no config, not a converted checkpoint, or another kind of model.
    """
    path = Path(folder) / CONFIG
    made_by = "one lora FILE FOLDER" if kind == "lora" else "all CKPT_DIR OUT_DIR"
    if not path.is_file():
        raise UserError(f"no {CONFIG} in {folder}: expected a folder made by `python -m convert {made_by}`")
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): convert the checkpoint again") from error
    if not isinstance(config, dict) or "kind" not in config:
        raise UserError(
            f"{path} has no 'kind': this looks like an original checkpoint, convert it first with "
            f"`python -m convert all CKPT_DIR OUT_DIR`"
        )
    if kind not in (None, config["kind"]):
        raise UserError(
            f"{folder} holds a model of kind {config['kind']}, not {kind}: expected a folder made by "
            f"`python -m convert {made_by}`"
        )
    return config


def load_params(folder: str | Path, like: trees.Tree | None = None) -> trees.Tree:
    """Restore the tree of ``folder`` in the shapes, dtypes and shardings of ``like``, or as it is stored.

    Args:
      folder: a model folder.
      like: nested dict of `jax.ShapeDtypeStruct`; without shardings the first device holds everything.

    Raises:
      UserError: the stored tree has other names or shapes than ``like`` (all differences in one message), or its files
        are damaged.
    """
    folder = Path(folder).resolve()
    if not (folder / PARAMS).is_dir():
        raise UserError(f"no {PARAMS}/ in {folder}: expected a folder made by `python -m convert`")
    damaged = _in_one_line(f"{folder / PARAMS} is damaged or incomplete", "convert or copy it again")
    with damaged, ocp.StandardCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(folder / PARAMS).item_metadata
        if metadata is None:  # what Orbax cannot read it only logs
            raise ValueError("its index cannot be read")
        tree = metadata.tree
        if like is None:  # without the shardings that were stored: those devices may not be here
            like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
        faults = _differences(tree, like)
        if faults:
            raise UserError(f"{folder} does not fit the model: " + "; ".join(faults))
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None) or device), like
        )
        return checkpointer.restore(folder / PARAMS, target)


class TrainingCheckpoints:
    """Checkpoints of a training run: its state, and JSON beside it (place in the data, settings). Use with ``with``.

    Saving goes on in the background and is atomic: an interrupted one leaves the older ones alone. A state is stored as
    one flat dict of '/'-joined paths, so that no class is baked into files.
    """

    def __init__(self, folder: str | Path, keep: int) -> None:
        """``folder`` is made if need be; the newest ``keep`` checkpoints stay."""
        _quiet_threads()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(
            Path(folder).resolve(),
            options=options,
            item_handlers={"state": ocp.StandardCheckpointHandler(), "notes": ocp.JsonCheckpointHandler()},
        )
        self.folder = folder

    def __enter__(self) -> TrainingCheckpoints:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            with self._writing():
                self._manager.close()
        except UserError:
            if error is None:  # otherwise that one is told, which may be the same
                raise

    @property
    def latest(self) -> int | None:
        """Number of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, notes: dict[str, Any], *, wait: bool = False) -> None:
        """Start writing a checkpoint, unless ``step`` is there already; ``wait`` until it is complete."""
        with self._writing():
            if step not in self._manager.all_steps():
                # Orbax copies the arrays before it returns: the caller may donate them to the next step
                self._manager.save(
                    step,
                    force=True,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardSave(_by_path(state)), notes=ocp.args.JsonSave(notes)
                    ),
                )
            if wait:
                self._manager.wait_until_finished()

    def check(self) -> None:
        """Raises `UserError` if a checkpoint could not be written in the background."""
        with self._writing():
            self._manager.check_for_errors()

    def notes(self, step: int) -> dict[str, Any]:
        """The JSON of a checkpoint."""
        with self._reading(step):
            return self._manager.restore(step, args=ocp.args.Composite(notes=ocp.args.JsonRestore())).notes

    def restore(self, step: int, like: Any) -> Any:
        """The state of checkpoint ``step``.

        Args:
          like: the state's shapes, with the shardings it is to have: any mesh, not only the one it was saved on.

        Raises:
          UserError: the stored state has other leaves or shapes (another stage, model or optimizer), or is damaged.
        """
        wanted = _by_path(like)
        with self._reading(step):
            stored = self._manager.item_metadata(step).state
            if stored is None:
                raise ValueError("it has no description of its arrays")
        # only shapes are compared here, so that one message names every difference
        faults = _differences(stored.tree if hasattr(stored, "tree") else stored, wanted)
        if faults:
            raise UserError(
                f"checkpoint {step} in {self.folder} is of another run: {'; '.join(faults[:8])}"
                f"{' ...' if len(faults) > 8 else ''}. Use its settings, or another workdir"
            )
        with self._reading(step):
            args = ocp.args.Composite(state=ocp.args.StandardRestore(wanted))
            restored = self._manager.restore(step, args=args).state
        return jax.tree.unflatten(jax.tree.structure(like), [restored[path] for path in wanted])

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return _in_one_line(f"a checkpoint cannot be written to {self.folder}", _MAKE_ROOM)

    def _reading(self, step: int) -> contextlib.AbstractContextManager[None]:
        older = [other for other in self._manager.all_steps() if other < step]
        return _in_one_line(
            f"checkpoint {step} in {self.folder} cannot be read",
            f"move {Path(self.folder) / str(step)} away, the same command then continues from step "
            f"{max(older, default=0)}",
        )

    def preempted(self, step: int) -> bool:
        """In a job of several processes: the platform announced the end, and all are to save at this ``step``."""
        return self._manager.reached_preemption(step)


def _by_path(state: Any) -> dict[str, Any]:
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}


def _differences(stored: Any, wanted: Any) -> list[str]:
    """What a stored tree of shapes and the wanted one do not share, one line each."""
    stored, wanted = trees.flatten(stored), trees.flatten(wanted)
    faults = [f"- {k}: not in the model" for k in stored if k not in wanted]
    faults += [f"+ {k}: not in the checkpoint" for k in wanted if k not in stored]
    return faults + [
        f"! {k}: checkpoint {tuple(stored[k].shape)}, model {tuple(wanted[k].shape)}"
        for k in wanted
        if k in stored and tuple(stored[k].shape) != tuple(wanted[k].shape)
    ]
