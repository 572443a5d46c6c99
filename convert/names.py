"""Names of tensors: removing the prefixes that wrappers add, and grouping faults by pattern.

Wrappers rename what they wrap: ``module.`` (DataParallel), ``_orig_mod.`` (torch.compile), ``model.diffusion_model.``
(ComfyUI), ``transformer.``, ``base_model.model.`` (PEFT), also several on top of each other, or around each block.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from vp_jax.reading import show

INNER = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module", "base_layer")
"""Parts of names that wrappers of single layers insert, wherever they stand."""

MOST_LINES = 10


class Unwrapped(NamedTuple):
    """``names``: name in the file -> name without wrappers; ``note``: what was removed, for people; may be empty."""

    names: dict[str, str]
    note: str


def unwrap(keys: Iterable[str], known: Callable[[str], bool]) -> Unwrapped:
    """Remove what wrappers added to the names of a file.

    The prefix is the one behind which most names are known; names that it does not help stay as they are, so that
    they are reported as what they are called in the file. No two names become one.

    Args:
      keys: names in the file.
      known: whether the model (or an adapter of it) has a tensor of this name.
    """
    keys = list(keys)
    votes: collections.Counter[str] = collections.Counter()
    for key in keys:
        prefix = _prefix(key, known)
        if prefix is not None:
            votes[prefix] += 1
    # of two prefixes with as many names the shorter one
    prefix = min(votes, key=lambda text: (-votes[text], len(text)), default="")
    names: dict[str, str] = {}
    taken = {key for key in keys if known(key)}
    inner: set[str] = set()
    for key in keys:
        bare = _without_inner(key).removeprefix(prefix)
        if known(key) or not known(bare) or bare in taken or not _without_inner(key).startswith(prefix):
            names[key] = key
        else:
            names[key] = bare
            taken.add(bare)
            inner |= set(key.split(".")) & set(INNER)
    outer = sorted(inner - set(prefix.split(".")))
    removed = ([repr(show(prefix))] if prefix else []) + [repr(f"{part}.") for part in outer]
    changed = any(old != new for old, new in names.items())
    return Unwrapped(names, f"names without {', '.join(removed)}" if changed and removed else "")


def _without_inner(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in INNER)


def _prefix(key: str, known: Callable[[str], bool]) -> str | None:
    """What stands before the longest known end of a name, ``""`` if nothing does; ``None``: no end is known."""
    if known(key):
        return ""
    parts = _without_inner(key).split(".")
    for count in range(min(len(parts), 12)):
        if known(".".join(parts[count:])):
            return ".".join(parts[:count]) + ("." if count else "")
    return None


def by_pattern(faults: Iterable[str], most: int = MOST_LINES) -> str:
    """Faults in one line: those that differ in numbers alone are one, the most frequent first, ``most`` at most."""
    groups: dict[str, list[str]] = {}
    for fault in faults:
        groups.setdefault(re.sub(r"\d+", "#", fault), []).append(fault)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    lines = [
        show(group[0]) + (f" (and {len(group) - 1} more like it)" if len(group) > 1 else "") for group in ordered[:most]
    ]
    if len(ordered) > most:
        lines.append(f"... and {sum(map(len, ordered[most:]))} others")
    return "; ".join(lines)
