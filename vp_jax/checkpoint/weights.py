"""Model folders: ``config.json`` next to ``params/``, written in one go or one array at a time."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vp_jax import digests, trees
from vp_jax.checkpoint import array_digests, packed
from vp_jax.checkpoint.failures import MAKE_ROOM, in_one_line
from vp_jax.checkpoint.lazy_leaf import LazyLeaf
from vp_jax.digests import Damaged, Digests
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.reading import check_tree, is_regular, read_json, show
from vp_jax.schema import listed

CONFIG, PARAMS = "config.json", "params"
_AGAIN = "convert or copy it again"
_OF_ORBAX = re.compile(
    r"d|ocdbt\.process_\d+|manifest\.ocdbt|_METADATA|_CHECKPOINT_METADATA|_sharding|array_metadatas|descriptor"
    r"|commit_success\.txt"
)
_LOCAL = ("commit_success.txt",)
"""Files of Orbax that say nothing about the arrays: a mark for object stores, with the path of the writing machine."""

log = logging.getLogger(__name__)


def save_params(folder: str | Path, params: trees.Tree, config: dict[str, Any], *, in_one_file: bool = False) -> None:
    """Write a model folder; ``config.json`` is removed first and written last: a folder that has one is complete.

    In a job of several processes all of them call this, and one writes what is not divided.

    Args:
      folder: the model folder; an earlier model in it is replaced.
      params: nested dict of arrays.
      config: JSON values; key ``kind`` names the model.
      in_one_file: write a safetensors file, which is read in a fraction of the time: for small models that are shipped.

    Raises:
      UserError: the folder cannot be written.
    """
    folder = Path(folder).resolve()
    params = jax.tree.map(_narrow, params)
    _begin(folder)
    arrays = array_digests.of_arrays(trees.flatten(params))
    with in_one_line(f"{folder} cannot be written", MAKE_ROOM):
        if in_one_file:
            packed.save_packed(folder / PARAMS, trees.flatten(params))
        else:
            import orbax.checkpoint as ocp  # half a second

            with ocp.StandardCheckpointer() as checkpointer:
                checkpointer.save(folder / PARAMS, params, force=True)
    _finish(folder, arrays, config)


def _narrow(x: Any) -> Any:
    """64-bit arrays of NumPy as the 32-bit ones that JAX makes of them when it reads them."""
    return _cast(x, jax.dtypes.canonicalize_dtype(x.dtype))


def save_config(folder: str | Path, config: dict[str, Any], *, files: Sequence[str] = ()) -> None:
    """Write a folder that holds nothing but a description, such as ``scheduler/``; ``files`` as of `stream_params`."""
    folder = Path(folder).resolve()
    _begin(folder)
    _finish(folder, {}, config, files)


def _begin(folder: Path) -> None:
    if jax.process_index() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        (folder / digests.FILE).unlink(missing_ok=True)


def _finish(folder: Path, arrays: dict[str, str], config: dict[str, Any], files: Sequence[str] = ()) -> None:
    if jax.process_index() == 0:
        text = json.dumps(config, indent=1, sort_keys=True) + "\n"
        known = {name: digests.of_file(folder / name) for name in files}
        known[CONFIG] = digests.of_json(config)
        digests.write_digests(folder, Digests(arrays, known, _sizes(folder)))
        write_text(folder / CONFIG, text)


def _sizes(folder: Path) -> dict[str, int]:
    if not (folder / PARAMS).is_dir():
        return {}
    return {name: size for name, size in check_tree(folder / PARAMS).items() if name not in _LOCAL}


def stream_params(
    folder: str | Path,
    leaves: trees.Tree,
    config: dict[str, Any],
    *,
    files: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> None:
    """`save_params` for trees that do not fit in memory; `load_params` restores them alike.

    Peak memory is the compressed form of the largest leaf, plus what its ``read`` allocates.

    Args:
      folder: the model folder; what an interrupted run left of ``params`` in it is removed.
      leaves: nested dict of `LazyLeaf`.
      config: JSON values with key ``kind``.
      files: other files in ``folder`` whose digests are kept.
      check: called when every leaf has been read; if it raises, the folder stays incomplete and ``params`` is removed.
    """
    folder = Path(folder).resolve()
    _begin(folder)
    for rest in folder.glob(f"{PARAMS}.orbax-checkpoint-tmp*"):
        if _is_rest(rest):
            shutil.rmtree(rest)
    arrays: dict[str, str] = {}

    def noting(path: str, leaf: LazyLeaf) -> LazyLeaf:
        def read() -> np.ndarray:
            array = leaf.read()
            arrays.update(array_digests.of_arrays({path: array}))
            return array

        return dataclasses.replace(leaf, read=read)

    leaves = trees.unflatten({path: noting(path, leaf) for path, leaf in trees.flatten(leaves).items()})
    from vp_jax.checkpoint import few_at_a_time

    with in_one_line(f"{folder} cannot be written", MAKE_ROOM):
        few_at_a_time.save_few_at_a_time(folder / PARAMS, leaves)
    try:
        check()
    except UserError:
        shutil.rmtree(folder / PARAMS, ignore_errors=True)
        raise
    _finish(folder, arrays, config, files)


def _is_rest(folder: Path) -> bool:
    """Whether a folder holds nothing but what Orbax writes: a save that was killed left it."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(_OF_ORBAX.fullmatch(path.name) for path in folder.iterdir())


def load_config(folder: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Args:
      folder: a model folder.
      kind: what has to be in it, a key of `vp_jax.models.config.CONFIG_KINDS`; ``None`` for any.

    Raises:
      UserError: no such folder, no config, not a converted checkpoint, or another kind of model.
      Damaged: it is not what was written (a `UserError` too).
    """
    path = Path(folder) / CONFIG
    made_by = "one lora FILE FOLDER" if kind == "lora" else "all CKPT_DIR OUT_DIR"
    if not path.is_file():
        if path.exists():
            read_json(path)  # raises: a pipe, for instance
        raise UserError(f"no {CONFIG} in {folder}: expected a folder made by `python -m convert {made_by}`")
    config = read_json(path, "the description of a converted checkpoint")
    if not isinstance(config.get("kind"), str):
        raise UserError(
            f"{path} has no 'kind': this looks like an original checkpoint, convert it first with "
            f"`python -m convert all CKPT_DIR OUT_DIR`"
        )
    digests.check_file(path)
    if kind not in (None, config["kind"]):
        raise UserError(
            f"{folder} holds a model of kind {config['kind']}, not {kind}: expected a folder made by "
            f"`python -m convert {made_by}`"
        )
    return config


def load_params(folder: str | Path, like: trees.Tree | None = None, *, verify: bool = False) -> trees.Tree:
    """Restore the tree of ``folder`` in the shapes, dtypes and shardings of ``like``, or as it is stored.

    Every array is compared with its digest before it changes its type. Folders of older versions have no digests:
    they are read all the same, and reported once.

    Args:
      folder: a model folder.
      like: nested dict of `jax.ShapeDtypeStruct`; without shardings the first device holds everything.
      verify: compare the files that are not read here, too (`verify`).

    Raises:
      UserError: the stored tree has other names or shapes than ``like`` (all differences in one message).
      Damaged: files are missing, cut off, or hold other values than were written (a `UserError` too).
    """
    folder = Path(folder).resolve()
    if not (folder / PARAMS).is_dir():
        raise UserError(f"no {PARAMS}/ in {folder}: expected a folder made by `python -m convert`")
    if verify:
        check_files(folder)
    what = f"{folder / PARAMS} is damaged or incomplete"
    known = digests.read_digests(folder)
    if known is None:
        _report_once(folder)
    check_sizes(folder)
    with in_one_line(what, _AGAIN, Damaged):
        with _reader(folder / PARAMS) as arrays:
            stored = arrays.shapes()
            if known is not None:
                digests.raise_if(misnamed(known.arrays, stored), what, _AGAIN)
            wanted = stored if like is None else trees.flatten(like)
            if faults := tree_differences(stored, wanted):
                raise UserError(f"{folder} does not fit the model: {listed(faults)}")
            places = {path: _place(x) if like is not None else _first_device() for path, x in wanted.items()}
            restored = arrays.read(places)
    if known is not None:
        digests.raise_if(array_digests.changed_arrays(known.arrays, array_digests.of_arrays(restored)), what, _AGAIN)
    placed = {path: _placed(restored.pop(path), wanted[path].dtype, places[path]) for path in [*restored]}
    return trees.unflatten(placed)


def _reader(folder: Path) -> Any:
    if packed.is_packed(folder):
        return packed.PackedReader(folder)
    from vp_jax.checkpoint import orbax_reader

    return orbax_reader.OrbaxReader(folder)


def _first_device() -> Any:
    """Where arrays go that nobody placed, not where they were stored from: those devices may not be here."""
    return jax.sharding.SingleDeviceSharding(jax.devices()[0])


def _place(x: Any) -> Any:
    return x.sharding or _first_device()


def _placed(x: Any, dtype: Any, place: Any) -> jax.Array:
    """An array in its type and at its place; what is read on the host changes its type there, without a program."""
    array: jax.Array = jax.device_put(np.array(x, dtype), place) if isinstance(x, np.ndarray) else _cast(x, dtype)
    return array


def _cast(x: Any, dtype: Any) -> Any:
    return x if x.dtype == dtype else x.astype(dtype)


def verify(folder: str | Path) -> list[str]:
    """Compare everything in a folder with its digests, whether a model needs it or not.

    The complete weights of one part at a time are read into memory.

    Args:
      folder: a model folder, or a converted checkpoint of several of them.

    Returns:
      Names of the folders that were verified.

    Raises:
      UserError: a folder without digests, or one that holds no model.
      Damaged: something is not what was written (a `UserError` too).
    """
    folder = Path(folder).resolve()
    parts = [folder]
    if folder.is_dir() and not (folder / CONFIG).exists() and digests.read_digests(folder) is None:
        parts = sorted(path for path in folder.iterdir() if path.is_dir())
    if not parts or not folder.is_dir():
        raise UserError(f"{folder} holds no converted model: expected a folder made by `python -m convert`")
    for part in parts:
        if digests.read_digests(part) is None:
            raise UserError(f"{part} has no {digests.FILE}: it cannot be verified, convert it again to have one made")
        check_files(part)
        if (part / PARAMS).is_dir():
            load_params(part)
    return [part.name for part in parts]


def record(folder: str | Path) -> None:
    """Make the digests of a model folder, of an older version or changed on purpose, from what it holds now.

    Raises:
      UserError: no model folder, or one that cannot be read.
    """
    folder = Path(folder).resolve()
    (folder / digests.FILE).unlink(missing_ok=True)
    load_config(folder)
    arrays: dict[str, str] = {}
    if (folder / PARAMS).is_dir():
        _reported.add(folder.parent)  # it is about to have some
        arrays = array_digests.of_arrays(trees.flatten(load_params(folder)))
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    digests.write_digests(
        folder, Digests(arrays, {name: digests.of_file(folder / name) for name in names}, _sizes(folder))
    )


def check_sizes(folder: Path) -> None:
    """The cheap check of ``params/``: regular files of the sizes that were written.

    Raises:
      UserError: a pipe or a device among them.
      Damaged: a file is missing or cut off (a `UserError` too).
    """
    known, found = digests.read_digests(folder), _sizes(folder)
    if known is not None:
        what = f"{folder / PARAMS} is damaged or incomplete"
        digests.raise_if([*digests.wrong_sizes(known.sizes, found)], what, _AGAIN)


def check_files(folder: Path) -> None:
    """Compare the files of a folder that are not arrays with its digests.

    Raises:
      Damaged: one is missing, or is not what was written.
    """
    known = digests.read_digests(folder)
    for name in known.files if known else ():
        if not is_regular(folder / name):
            raise Damaged(f"{folder} lacks {name}: {_AGAIN}")
        digests.check_file(folder / name)
    if known and known.arrays and not (folder / PARAMS).is_dir():
        raise Damaged(f"{folder} lacks {PARAMS}/: {_AGAIN}")


_reported: set[Path] = set()


def _report_once(folder: Path) -> None:
    if folder.parent not in _reported:
        _reported.add(folder.parent)
        log.warning(
            "note: %s has no digests, it was written by an older version: damage to its weights would not be noticed",
            show(folder),
        )


def misnamed(known: dict[str, str], stored: dict[str, Any]) -> list[str]:
    """Arrays whose stored name, type or shape is not the one that was written."""
    found = {path: array_digests.describe(x) for path, x in stored.items()}
    wanted = {path: text.rpartition(" ")[0] for path, text in known.items()}
    return [
        f"{path}: stored as {found.get(path, 'nothing')}, written as {wanted.get(path, 'nothing')}"
        for path in sorted({*found, *wanted})
        if found.get(path) != wanted.get(path)
    ]


def tree_differences(stored: Any, wanted: Any) -> list[str]:
    """What a stored tree of shapes and the wanted one do not share, one line each."""
    stored, wanted = trees.flatten(stored), trees.flatten(wanted)
    faults = [f"- {k}: not in the model" for k in stored if k not in wanted]
    faults += [f"+ {k}: not in the checkpoint" for k in wanted if k not in stored]
    return faults + [
        f"! {k}: checkpoint {tuple(stored[k].shape)}, model {tuple(wanted[k].shape)}"
        for k in wanted
        if k in stored and tuple(stored[k].shape) != tuple(wanted[k].shape)
    ]
