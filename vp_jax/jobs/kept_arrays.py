"""Files of arrays that carry the digests of what they hold: damage is found when they are read, whatever bit it is.

A safetensors file, whose metadata name the file, its job and the digest of every array, by
`vp_jax.checkpoint.array_digests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vp_jax.checkpoint.array_digests import changed_arrays, of_arrays
from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.files import write_atomically
from vp_jax.reading import check_regular

_DIGEST = "digest "


def save_arrays(path: Path, values: Mapping[str, Any], job: str) -> None:
    """Write arrays, all of them or none.

    Args:
      path: the file.
      values: name -> array or number.
      job: what `load_arrays` has to be given to read them.

    Raises:
      UserError: the file cannot be written.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in values.items()}
    digests = {_DIGEST + name: text for name, text in of_arrays(arrays).items()}

    def write(partial: Path) -> None:
        try:
            save_file(arrays, partial, {"job": job, "file": path.name, **digests})
        except SafetensorError as error:  # a full disk, for instance
            raise OSError(str(error)) from error

    write_atomically(path, write)


def load_arrays(path: Path, job: str) -> dict[str, np.ndarray]:
    """The arrays of a file, by name.

    Raises:
      Damaged: it cannot be read, is not what was written, or was written by another job or under another name.
    """
    try:
        check_regular(path)
        with safe_open(path, "np") as file:
            notes = file.metadata() or {}
            if (notes.get("job"), notes.get("file")) != (job, path.name):
                raise Damaged("it is not of this run")
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except Damaged:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, UserError) as error:
        raise Damaged(" ".join(str(error).split())[:200]) from error
    stored = {name.removeprefix(_DIGEST): text for name, text in notes.items() if name.startswith(_DIGEST)}
    if stored.keys() != arrays.keys() or changed_arrays(stored, of_arrays(arrays)):
        raise Damaged("its values are not what was written")
    return arrays
