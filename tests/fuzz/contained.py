"""A process that can write nowhere but in one folder, whatever a door does with a wrong name: Linux's Landlock.

The kernel holds it for all of the process, native libraries and children included. Reading stays free.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH, _VERSION, _NO_NEW_PRIVILEGES = 1, 1, 38
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGES = sum(1 << bit for bit in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14))
"""Write, remove, make of every kind, link or move between folders, truncate (linux/landlock.h)."""
_LEAST_VERSION = 3
"""The first that knows all of `_CHANGES`."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")
"""Places outside of the folder that take writes without keeping them."""
_SEMAPHORES = "/dev/shm"  # those of Python's queues are files there


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def available() -> bool:
    """Whether the kernel can contain a process."""
    return _call(_CREATE_RULESET, None, 0, _VERSION) >= _LEAST_VERSION


def contain(folder: Path) -> None:
    """From now on this process, its new threads and its children change nothing outside of ``folder``.

    Raises:
      OSError: the kernel cannot do it, see `available`.
    """
    rules = _Ruleset(_CHANGES)
    ruleset = _checked(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    _allow(ruleset, folder, _CHANGES)
    places = {_SEMAPHORES: _CHANGES, **dict.fromkeys((*DEVICES, "/proc/self"), _WRITE_FILE | _TRUNCATE)}
    for place, changes in places.items():
        if os.path.exists(place):
            _allow(ruleset, Path(place), changes)
    if ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError("privileges cannot be given up")
    _checked(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, place: Path, changes: int) -> None:
    descriptor = os.open(place, os.O_PATH)
    rule = _Beneath(changes, descriptor)
    _checked(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(descriptor)


def _checked(number: int, *arguments: object) -> int:
    result = _call(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return result


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return int(library.syscall(ctypes.c_long(number), *arguments))
