"""Where arrays live on a mesh of devices. Models know nothing of it but the names of a few activations.

    axis      what is divided                                    parameters                activations
    data      the batch                                          copies                    B
    fsdp      the batch, and every matrix                        one dimension             B
    context   the joint sequence outside attention, the heads    the same dimension        S, or K in attention
              inside (Ulysses, arXiv 2309.14509)
    tensor    widths inside a block (Megatron, 1909.08053)       the other dimension       K, hidden 4D

A matrix is divided by fsdp AND context: devices that share a sequence need no copy of the weights each. One table of
rules, matched on '/'-joined paths, places parameters, optimizer moments and averages alike, because the moments of
``blocks/attn/to_q/kernel`` end in the same path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vp_jax.errors import UserError

AXES = ("data", "fsdp", "context", "tensor")

BATCH = ("data", "fsdp")
"""The axes that divide the batch."""

_SHARD, _TENSOR = ("fsdp", "context"), "tensor"


class Rule(NamedTuple):
    """``pattern`` matches the whole path or its end after a '/'; ``spec`` has at most the leaf's rank."""

    pattern: str
    spec: P


RULES: tuple[Rule, ...] = (
    # row and column sums of a factored optimizer are small
    Rule(r"v_(row|col)/.*", P()),
    # transformer blocks, (L, in, out): the first matrix of a pair splits its outputs, the second its inputs
    Rule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/kernel", P(None, _SHARD, _TENSOR)),
    Rule(r"blocks/(attn/to_out|ff/down)/kernel", P(None, _TENSOR, _SHARD)),
    Rule(r"blocks/norm[12]/linear/kernel", P(None, None, _SHARD)),
    Rule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/(lora_\d+/)?lora_a", P(None, _SHARD, None)),
    Rule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/(lora_\d+/)?lora_b", P(None, _SHARD, _TENSOR)),
    Rule(r"blocks/(attn/to_out|ff/down)/(lora_\d+/)?lora_a", P(None, _TENSOR, _SHARD)),
    Rule(r"blocks/(attn/to_out|ff/down)/(lora_\d+/)?lora_b", P(None, _SHARD, None)),
    Rule(r"blocks/norm[12]/linear/(lora_\d+/)?lora_[ab]", P(None, None, _SHARD)),
    # context encoder: its outputs D -> D
    Rule(r"zero/kernel", P(None, None, _SHARD)),
    # embeddings and the head
    Rule(r"patch_embed/(proj|text_proj)/kernel", P(None, _SHARD)),
    Rule(r"patch_embed/pos_embedding", P(None, _SHARD)),
    Rule(r"(time_embed|ofs_embed)/linear_[12]/kernel", P(_SHARD, None)),
    Rule(r"norm_out/linear/kernel", P(None, _SHARD)),
    Rule(r"proj_out/kernel", P(_SHARD, None)),
    Rule(r"(time_embed|ofs_embed|norm_out|patch_embed|proj_out)/.*lora_[ab]", P()),
    # frozen encoders: T5 like a backbone, the VAE (0.4 GB) as copies
    Rule(r"embed/embedding", P(None, _SHARD)),
    Rule(r"relative_bias/embedding", P()),
    Rule(r"vae/.*", P()),
    # the last rule: vectors as copies; a new matrix without a rule is an error
    Rule(r"bias|scale", P()),
)

ACTIVATIONS: dict[str, P] = {
    "latents": P(BATCH),  # BThwC
    "vectors": P(BATCH),  # BE, one row per example
    "tokens": P(BATCH, "context"),  # BSD
    "hidden": P(BATCH, "context", _TENSOR),  # BS(4D)
    "hints": P(None, BATCH, "context"),  # GBSD
    "pixels": P(BATCH, None, "context"),  # BFHWC, rows: the compiler exchanges the edges between neighbours
}
"""Layout of each named activation, see `constrain`."""


def make_mesh(sizes: Mapping[str, int], devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Mesh with the axes `AXES`, partitioned by the compiler (``AxisType.Auto``).

    Args:
      sizes: size per axis, 1 where left out; one may be -1 and takes what the others leave.
      devices: default all devices of all processes; also devices of a topology that is not there.

    Raises:
      UserError: unknown axis, or sizes that do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    unknown = sorted(set(sizes) - set(AXES))
    if unknown:
        raise UserError(f"mesh axes {unknown}: expected among {list(AXES)}")
    shape = [int(sizes.get(axis, 1)) for axis in AXES]
    asked = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, shape))
    rest = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or any(size < 1 and size != -1 for size in shape):
        raise UserError(f"mesh {asked}: expected sizes of at least 1, one of them may be -1")
    if (-1 in shape and len(devices) % rest) or (-1 not in shape and rest != len(devices)):
        raise UserError(
            f"mesh {asked} is for {rest} devices, there are {len(devices)}: change the sizes, or set one of them to -1"
        )
    shape = [len(devices) // rest if size == -1 else size for size in shape]
    grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


class Placement(NamedTuple):
    """Where every leaf of a tree goes.

    Attributes:
      shardings: the tree with a `NamedSharding` per leaf.
      unused: patterns that matched no leaf.
      undivided: ``path shape dimension axes`` of each dimension that its axes do not divide; it is copied instead.
    """

    shardings: Any
    unused: list[str]
    undivided: list[str]


def path_name(path: Sequence[Any]) -> str:
    """'/'-joined name of a key path of `jax.tree_util`, whatever its containers."""
    return "/".join(
        str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name))) for key in path
    )


def place(tree: Any, mesh: Mesh, rules: Sequence[Rule] = RULES) -> Placement:
    """Sharding of every leaf by the first rule that matches its path. Leaves of one value need no rule: copies.

    Args:
      tree: any pytree of arrays or `jax.ShapeDtypeStruct`s: parameters, a whole training state.
      mesh: from `make_mesh`.
      rules: table, first match wins.

    Raises:
      UserError: leaves that no rule matches, or of a smaller rank than their rule (all of them in one message).
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(tree)
    compiled = [re.compile(rf"(?:.*/)?(?:{rule.pattern})") for rule in rules]
    used: set[int] = set()
    faults, undivided, shardings = [], [], []
    for path, leaf in leaves:
        name, shape = path_name(path), tuple(leaf.shape)
        match = next((i for i, pattern in enumerate(compiled) if pattern.fullmatch(name)), None)
        if math.prod(shape) == 1:
            shardings.append(replicated(mesh))
        elif match is None:
            faults.append(f"{name} {shape}: no rule")
        elif len(rules[match].spec) > len(shape):
            faults.append(f"{name} {shape}: rule {rules[match].pattern!r} is for {len(rules[match].spec)} dimensions")
        else:
            used.add(match)
            spec, lost = _divide(shape, rules[match].spec, mesh)
            undivided += [f"{name} {shape} {text}" for text in lost]
            shardings.append(NamedSharding(mesh, spec))
    if faults:
        raise UserError("arrays without a place on the mesh: " + "; ".join(faults))
    unused = [rule.pattern for i, rule in enumerate(rules) if i not in used]
    return Placement(jax.tree_util.tree_unflatten(treedef, shardings), unused, undivided)


def shapes_at(tree: Any, shardings: Any) -> Any:
    """Shapes of ``tree`` that carry ``shardings``: what to restore, or to compile for."""
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), tree, shardings
    )


def placed(tree: Any, mesh: Mesh) -> Any:
    """Shapes of ``tree`` in the places of the rule table; raises like `place`."""
    return shapes_at(tree, place(tree, mesh).shardings)


def _size(mesh: Mesh | AbstractMesh, axes: Sequence[str]) -> int:
    return math.prod(mesh.shape[axis] for axis in axes)


def _divide(shape: tuple[int, ...], spec: P, mesh: Mesh | AbstractMesh) -> tuple[P, list[str]]:
    """``spec`` without the axes whose product does not divide their dimension."""
    entries: list[Any] = []
    lost = []
    for dimension, entry in enumerate(spec):
        axes = (entry,) if isinstance(entry, str) else tuple(entry or ())
        size = _size(mesh, axes)
        if shape[dimension] % size:
            lost.append(f"dimension {dimension} by {'*'.join(axes)}={size}")
            axes = ()
        entries.append(axes if len(axes) != 1 else axes[0])
    return P(*(entry or None for entry in entries)), lost


def batch_shardings(batch: Any, mesh: Mesh, axis: int = 0) -> Any:
    """Sharding of every leaf of a batch: dimension ``axis`` over `BATCH`.

    Raises:
      UserError: a batch that the devices do not divide.
    """
    parts = _size(mesh, BATCH)

    def leaf_sharding(path: Any, leaf: Any) -> NamedSharding:
        if leaf.shape[axis] % parts:
            raise UserError(
                f"batch of {leaf.shape[axis]} ({path_name(path)}) over data={mesh.shape['data']} x "
                f"fsdp={mesh.shape['fsdp']}: expected a multiple of {parts}; divide the sequence instead "
                f"(context) or take a larger batch"
            )
        return NamedSharding(mesh, P(*([None] * axis), BATCH))

    return jax.tree_util.tree_map_with_path(leaf_sharding, batch)


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, P())


def current_mesh() -> AbstractMesh | None:
    """Mesh of the surrounding ``jax.set_mesh``, ``None`` without one or on a single device."""
    mesh = jax.sharding.get_abstract_mesh()
    return None if mesh.empty or mesh.size == 1 else mesh


def constrain(x: jax.Array, kind: str) -> jax.Array:
    """``x`` in the layout of the activation named ``kind``; ``x`` itself without a mesh."""
    spec, mesh = ACTIVATIONS[kind], current_mesh()
    if mesh is None:
        return x
    # the compiler pads a sequence that does not divide, but a batch of 1 is better copied
    return jax.lax.with_sharding_constraint(
        x, P(*(None if entry == BATCH and x.shape[i] % _size(mesh, BATCH) else entry for i, entry in enumerate(spec)))
    )


def device_kind() -> str:
    """Kind of the devices that the program is for: the mesh's, which need not be here, or this machine's."""
    mesh = current_mesh()
    device = None if mesh is None else mesh.abstract_device
    return jax.devices()[0].device_kind if device is None else device.device_kind


def with_whole_sequences(attend: Callable[..., jax.Array], *arrays_BSKA: jax.Array) -> jax.Array:
    """``attend(*arrays)`` where every device sees whole sequences of a share of the heads.

    Outside, S is divided over ``context``; one all-to-all of all arrays together divides K instead, a second one brings
    the result back. A length that ``context`` does not divide is padded outside the exchange only.

    Args:
      attend: takes the arrays, gives one like the first; runs per device, so kernels need no partitioning rule.
      arrays_BSKA: first queries, then keys and values; all of one length on a mesh with ``context`` above 1.

    Raises:
      UserError: heads that context x tensor do not divide.
    """
    mesh = current_mesh()
    if mesh is None:
        return attend(*arrays_BSKA)
    context, tensor = mesh.shape["context"], mesh.shape["tensor"]
    batch, length, heads, size = arrays_BSKA[0].shape
    if heads % (context * tensor):
        raise UserError(
            f"{heads} attention heads over context={context} x tensor={tensor}: expected a divisor of {heads}"
        )
    tail = -length % context
    spec = _divide((batch,), P(BATCH), mesh)[0]
    spec = P(*spec, "context", _TENSOR)

    def per_device(*parts: jax.Array) -> jax.Array:
        if context == 1:
            return attend(*parts)
        # heads and their values as one dimension: chips store narrow last dimensions with padding
        rows = jnp.stack([part.reshape(*part.shape[:2], -1) for part in parts])
        rows = jax.lax.all_to_all(rows, "context", split_axis=3, concat_axis=2, tiled=True)[:, :, :length]
        out = attend(*rows.reshape(*rows.shape[:3], -1, size))
        out = jnp.pad(out.reshape(*out.shape[:2], -1), ((0, 0), (0, tail), (0, 0)))
        out = jax.lax.all_to_all(out, "context", split_axis=1, concat_axis=2, tiled=True)
        return out.reshape(*out.shape[:2], -1, size)

    padded = [jnp.pad(x, ((0, 0), (0, tail), (0, 0), (0, 0))) for x in arrays_BSKA]
    exchanged = jax.shard_map(per_device, mesh=mesh, in_specs=(spec,) * len(padded), out_specs=spec, check_vma=False)
    return exchanged(*padded)[:, :length]


def bytes_per_device(tree: Any, shardings: Any) -> int:
    """Bytes of ``tree`` on one device, when its leaves lie as ``shardings`` say; none for those in host memory."""

    def size(leaf: Any, sharding: NamedSharding) -> int:
        part = math.prod(sharding.shard_shape(tuple(leaf.shape)))
        return 0 if sharding.memory_kind == "pinned_host" else part * leaf.dtype.itemsize

    sizes = jax.tree.map(size, tree, shardings)
    return sum(jax.tree.leaves(sizes))
