"""Tables between PyTorch tensor names and our parameter trees, applied under a strict ledger, in both directions.

A table is a list of `Rule`. Its source is a regular expression made of escaped text and capturing groups,
matched against the complete tensor name; its target is a '/'-joined path with ``{0}``, ``{1}`` for the captured
text and, for layers stacked on a leading axis, an index at the end::

    Rule(r"transformer_blocks\\.(\\d+)\\.attn1\\.to_q\\.weight", "blocks/attn/to_q/kernel[{0}]", "linear")

Nothing is dropped or guessed: every tensor is used exactly once or named in an ``ignored`` list, every slot of the
tree (each index of a stacked leaf) is filled exactly once, shapes agree before and after. All faults are
reported together, those of the layers of a stack as one.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from vp_jax import trees
from vp_jax.convert.names import by_pattern
from vp_jax.convert.values import count_non_finite, fault_of
from vp_jax.errors import UserError

Shape = tuple[int, ...]


class Transform(NamedTuple):
    """A change of layout. ``inverse`` also takes the PyTorch shape; ``keeps_shape``: it can do without it."""

    forward: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray, Shape], np.ndarray]
    keeps_shape: bool = True


def _permute(*order: int) -> Transform:
    back = tuple(order.index(i) for i in range(len(order)))
    return Transform(lambda x: np.transpose(x, order), lambda y, _: np.transpose(y, back))


def _squeeze0(x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, axis=0)


TRANSFORMS: dict[str, Transform] = {
    "identity": Transform(lambda x: x, lambda y, _: y),
    "linear": _permute(1, 0),
    "conv2d": _permute(2, 3, 1, 0),
    "conv3d": _permute(2, 3, 4, 1, 0),
    # (O, I, h, w) -> (I h w, O): a convolution whose stride is its kernel, as a product with flattened patches
    "conv2d_as_linear": Transform(
        lambda x: x.reshape(x.shape[0], -1).T, lambda y, shape: y.T.reshape(shape), keeps_shape=False
    ),
    "squeeze0": Transform(_squeeze0, lambda y, _: y[None]),
}
"""PyTorch layout -> ours, by name. A name is never inferred from a tensor's rank."""

_GROUP = re.compile(r"(\([^()]+\))")
_SPECIAL = re.compile(r"(?<!\\)[.*+?\[\]{}|^$]")
_SLOT = re.compile(r"(?P<path>[^\[\]]+)(?:\[(?P<index>[^\[\]]+)\])?")
_DIGITS = 9


@dataclasses.dataclass(frozen=True)
class Slot:
    """A leaf (``index`` is ``None``) or one index of the leading axis of a stacked leaf."""

    path: str
    index: int | None

    def __str__(self) -> str:
        return self.path if self.index is None else f"{self.path}[{self.index}]"


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of a table: PyTorch name (regex), path in our tree (template), name in `TRANSFORMS`."""

    source: str
    target: str
    transform: str = "identity"

    def __post_init__(self) -> None:
        literals = _GROUP.split(self.source)[::2]
        if any(_SPECIAL.search(text) for text in literals):
            raise ValueError(f"{self.source}: outside groups only escaped text can be inverted")
        if self.transform not in TRANSFORMS:
            raise ValueError(f"{self.source}: transform {self.transform!r}, expected one of {sorted(TRANSFORMS)}")
        used = {int(i) for i in re.findall(r"\{(\d+)\}", self.target)}
        if used != set(range(len(self._groups))):
            raise ValueError(f"{self.source} -> {self.target}: every group must appear in the target")

    @functools.cached_property
    def _groups(self) -> list[str]:
        return _GROUP.split(self.source)[1::2]

    @functools.cached_property
    def _source(self) -> re.Pattern[str]:
        return re.compile(self.source, re.ASCII)

    @functools.cached_property
    def _target(self) -> re.Pattern[str]:
        # the template as a pattern: the first {i} becomes group i of the source, later ones refer back to it
        pieces = re.split(r"\{(\d+)\}", self.target)
        seen: set[str] = set()
        for at in range(1, len(pieces), 2):
            number = pieces[at]
            pieces[at] = f"(?P=g{number})" if number in seen else f"(?P<g{number}>{self._groups[int(number)][1:-1]})"
            seen.add(number)
        pieces[::2] = [re.escape(text) for text in pieces[::2]]
        return re.compile("".join(pieces))

    def place(self, key: str) -> Slot | None:
        """Slot of tensor ``key``; ``None`` if the rule is not about it."""
        match = self._source.fullmatch(key)
        return _read_slot(self.target.format(*match.groups())) if match else None

    def name(self, slot: Slot) -> str | None:
        """Inverse of `place`."""
        match = self._target.fullmatch(str(slot))
        if not match:
            return None
        pieces = _GROUP.split(self.source)
        pieces[1::2] = [match[f"g{i}"] for i in range(len(self._groups))]
        pieces[::2] = [re.sub(r"\\(.)", r"\1", text) for text in pieces[::2]]
        return "".join(pieces)


def _read_slot(text: str) -> Slot:
    match = _SLOT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text}: expected path or path[index]")
    index = match["index"]
    if index is not None and len(index) > _DIGITS:
        return Slot(text, None)  # no model has such a layer: the name is reported as it is
    return Slot(match["path"], None if index is None else int(index))


def _slots(rules: Sequence[Rule], path: str, shape: Shape) -> list[Slot]:
    """All slots of a leaf: one per index of its leading axis if a rule speaks of its index 0, else the leaf itself."""
    stacked = any(rule.name(Slot(path, 0)) for rule in rules)
    return [Slot(path, index) for index in range(shape[0] if shape else 0)] if stacked else [Slot(path, None)]


class Move(NamedTuple):
    """One tensor on its way to one slot."""

    key: str
    slot: Slot
    transform: str


class Leaf(NamedTuple):
    """A leaf to be, and the tensors that fill it completely."""

    shape: Shape
    dtype: np.dtype
    moves: tuple[Move, ...]

    def fill(self, source: Mapping[str, Any], out: np.ndarray) -> np.ndarray:
        """Fill ``out`` (preallocated) one tensor at a time; layouts and types change on the way in."""
        with np.errstate(over="ignore", invalid="ignore"):  # `faults` reports what does not fit into the type
            for key, slot, transform in self.moves:
                out[... if slot.index is None else slot.index] = TRANSFORMS[transform].forward(np.asarray(source[key]))
        return out

    def faults(self, source: Mapping[str, Any], out: np.ndarray) -> list[str]:
        """Tensors whose values in ``out``, after `fill`, are not all finite."""
        faults = []
        for key, slot, _ in self.moves:
            written = out if slot.index is None else out[slot.index]
            if any(count_non_finite(written)):
                faults.append(fault_of(key, np.asarray(source[key]), written))
        return faults


class Plan(NamedTuple):
    """A ledger without faults: every leaf by path, and the tensors knowingly not used."""

    leaves: dict[str, Leaf]
    ignored: tuple[str, ...]


def _forward_shape(transform: str, shape: Shape) -> Shape | None:
    # a zero-strided dummy of one value: layouts are worked out without allocating; None: another rank is needed
    try:
        return TRANSFORMS[transform].forward(np.broadcast_to(np.int8(0), shape)).shape
    except (ValueError, IndexError):
        return None


def _raise(what: str, faults: Iterable[str]) -> None:
    faults = sorted(faults)
    if faults:
        raise UserError(
            f"{what}: {len(faults)} faults (- unknown tensor, + nothing fills it, ! shape or type): "
            f"{by_pattern(faults)}"
        )


def kept_type(stored: Any) -> np.dtype:
    """The type in which a tensor is kept: its own, but float32 for float64, the widest floats that JAX has."""
    return np.dtype(np.float32 if stored == np.float64 else stored)


def _names(rules: Sequence[Rule], slot: Slot) -> str:
    """What a file may call the tensor of a slot."""
    return " or ".join(name for rule in rules if (name := rule.name(slot))) or "no rule fills it"


def plan(
    source: Mapping[str, Any],
    rules: Sequence[Rule],
    ignored: Sequence[str],
    abstract_tree: trees.Tree,
    dtype: Any = None,
) -> Plan:
    """Decide where every tensor goes, reading shapes alone.

    Args:
      source: name -> anything with ``shape`` and ``dtype``.
      rules: the table.
      ignored: regexes of the tensors that are left out on purpose.
      abstract_tree: nested dict of `jax.ShapeDtypeStruct`: the model.
      dtype: type of the floating leaves; ``None`` keeps the stored one.

    Raises:
      UserError: every fault of the ledger, in one message.
    """
    shapes = {path: tuple(leaf.shape) for path, leaf in trees.flatten(abstract_tree).items()}
    empty = {slot: None for path, shape in shapes.items() for slot in _slots(rules, path, shape)}
    faults: list[str] = []
    moves: dict[str, list[Move]] = {path: [] for path in shapes}
    unused: list[str] = []
    filled: dict[Slot, str] = {}
    types: dict[str, np.dtype] = {}
    for key, tensor in source.items():
        found = [(rule, slot) for rule in rules if (slot := rule.place(key))]
        skip = any(re.fullmatch(pattern, key) for pattern in ignored)
        if skip and not found:
            unused.append(key)
            continue
        if len(found) != 1 or skip:
            reason = "used and ignored" if skip else f"{len(found)} rules match" if found else "no rule matches"
            faults.append(f"- {key}: {reason}")
            continue
        rule, slot = found[0]
        if slot in filled:
            faults.append(f"- {key}: {slot} is already filled by {filled[slot]}")
            continue
        if slot not in empty:
            faults.append(f"- {key}: the model has no {slot}")
            continue
        filled[slot] = key
        want = shapes[slot.path] if slot.index is None else shapes[slot.path][1:]
        got = _forward_shape(rule.transform, tuple(tensor.shape))
        if got != want:
            faults.append(f"! {key}: {tuple(tensor.shape)} by {rule.transform!r} gives {got}, the model has {want}")
            continue
        kind = kept_type(tensor.dtype)
        if dtype is not None and jnp.issubdtype(kind, jnp.floating):
            kind = np.dtype(dtype)
        if types.setdefault(slot.path, kind) != kind:
            faults.append(f"! {key}: type {kind}, other layers of {slot.path} have {types[slot.path]}")
        moves[slot.path].append(Move(key, slot, rule.transform))
    faults += [f"+ {slot} ({_names(rules, slot)})" for slot in empty if slot not in filled]
    _raise("the checkpoint does not fit the model", faults)
    return Plan({path: Leaf(shape, types[path], tuple(moves[path])) for path, shape in shapes.items()}, tuple(unused))


def to_ours(
    source: Mapping[str, Any],
    rules: Sequence[Rule],
    ignored: Sequence[str],
    abstract_tree: trees.Tree,
    dtype: Any = None,
) -> trees.Tree:
    """PyTorch tensors -> our tree, in memory (`plan`, then `Leaf.fill`).

    Raises:
      UserError: every fault of the ledger, in one message.
    """
    leaves = plan(source, rules, ignored, abstract_tree, dtype).leaves
    return trees.unflatten({path: leaf.fill(source, np.empty(leaf.shape, leaf.dtype)) for path, leaf in leaves.items()})


def to_torch(
    tree: trees.Tree, rules: Sequence[Rule], shapes: Mapping[str, Shape] | None = None
) -> dict[str, np.ndarray]:
    """Our tree -> PyTorch tensors (views where the layout allows), by the same table.

    Args:
      tree: nested dict of arrays.
      rules: the table.
      shapes: PyTorch shapes; required for the tensors whose layout loses its shape (`Transform.keeps_shape`).

    Raises:
      UserError: a slot without a rule, two tensors of one name, a shape that does not fit.
    """
    shapes = shapes or {}
    faults: list[str] = []
    tensors: dict[str, np.ndarray] = {}
    for path, leaf in trees.flatten(tree).items():
        leaf = np.asarray(leaf)
        for slot in _slots(rules, path, leaf.shape):
            found = [(rule, name) for rule in rules if (name := rule.name(slot))]
            if len(found) != 1 or found[0][1] in tensors:
                faults.append(f"- {slot}: {len(found)} rules" if len(found) != 1 else f"- {slot}: name used twice")
                continue
            rule, name = found[0]
            transform = TRANSFORMS[rule.transform]
            if name not in shapes and not transform.keeps_shape:
                faults.append(f"! {slot}: the PyTorch shape of {name} is needed by {rule.transform!r}")
                continue
            value = leaf if slot.index is None else leaf[slot.index]
            try:
                tensors[name] = transform.inverse(value, tuple(shapes.get(name, ())))
            except ValueError:
                faults.append(f"! {slot}: {value.shape} cannot become {name} {tuple(shapes.get(name, ()))}")
                continue
            if name in shapes and tensors[name].shape != tuple(shapes[name]):
                faults.append(f"! {slot}: gives {name} {tensors[name].shape}, expected {tuple(shapes[name])}")
    _raise("the tree does not fit the table", faults)
    return tensors
