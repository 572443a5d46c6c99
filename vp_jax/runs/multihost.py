"""Jobs that run on several hosts: joining the processes, what only one of them does, waiting for each other."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from vp_jax.errors import UserError


def join(spec: str) -> None:
    """Join the other processes; must come before anything touches a device.

    Args:
      spec: empty: this process is alone. ``auto``: what the platform announces (TPU pods, Slurm, Open MPI). Otherwise
        ``HOST:PORT,COUNT,INDEX``: address of process 0, number of processes, number of this one.

    Raises:
      UserError: another form, or a platform that announces nothing.
    """
    if not spec:
        return
    if spec == "auto":
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"distributed auto: this is no TPU pod or cluster known to JAX ({error}); give "
                f"HOST:PORT,COUNT,INDEX, or an empty value for one process"
            ) from error
        return
    address, *numbers = spec.split(",")
    if not address.rpartition(":")[2].isdigit() or len(numbers) != 2 or not all(map(str.isdigit, numbers)):
        raise UserError(f"distributed {spec!r}: expected an empty value, auto or HOST:PORT,COUNT,INDEX")
    if not int(numbers[1]) < int(numbers[0]):
        raise UserError(f"distributed {spec!r}: expected an INDEX from 0 to COUNT - 1")
    jax.distributed.initialize(address, int(numbers[0]), int(numbers[1]))


def is_chief() -> bool:
    """This process is the one that writes and reports."""
    return jax.process_index() == 0


def print_once(text: str | None) -> None:
    """Print a line, if there is one, once per job."""
    if text is not None and is_chief():
        print(text, flush=True)


def barrier(name: str) -> None:
    """Wait until every process of the job is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def gathered(value: Any) -> list[Any]:
    """A JSON value of every process, in their order, on all of them; every process calls it."""
    if jax.process_count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(text)))
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(bytes(row[:size])) for row, size in zip(rows, sizes)]


def keys(seed: int, count: int, where: jax.sharding.Sharding) -> list[jax.Array]:
    """``count`` keys from ``seed``, in a sharding that may span processes: nothing is sent between them."""
    made = jax.jit(lambda: tuple(jax.random.split(jax.random.key(seed), count)), out_shardings=(where,) * count)
    return list(made())
