"""Where arrays live on a mesh of devices. Models know only the names of a few activations.

    axis      what it divides                                    parameters                activations
    data      the batch                                          copies                    B
    fsdp      the batch, and every matrix                        one dimension             B
    context   the joint sequence outside attention, the heads    the same dimension        S, or K in attention
              inside (Ulysses, arXiv 2309.14509)
    tensor    widths inside a block (Megatron, 1909.08053)       the other dimension       K, hidden 4D

A matrix is divided by fsdp AND context, so devices that share a sequence do not each hold a copy of the weights. One
table of rules, matched on '/'-joined paths, covers parameters, optimizer moments and averages: the moments of
``blocks/attn/to_q/kernel`` end in the same path.
"""

from __future__ import annotations

import itertools
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
"""Names of the mesh axes, in this order."""

BATCH = ("data", "fsdp")
"""The axes that divide the batch."""

_SHARD, _TENSOR = ("fsdp", "context"), "tensor"


class ShardingRule(NamedTuple):
    """How to divide the leaves whose path, or its end after a '/', matches ``pattern``.

    ``spec`` has at most as many entries as the leaf has dimensions.
    """

    pattern: str
    spec: P


SHARDING_RULES: tuple[ShardingRule, ...] = (
    # row and column sums of a factored optimizer, and the three coefficients of Muon, are small
    ShardingRule(r"v_(row|col)/.*", P()),
    ShardingRule(r"ns_coeffs", P()),
    # transformer blocks, (L, in, out): the first matrix of a pair splits its outputs, the second its inputs
    ShardingRule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/kernel", P(None, _SHARD, _TENSOR)),
    ShardingRule(r"blocks/(attn/to_out|ff/down)/kernel", P(None, _TENSOR, _SHARD)),
    ShardingRule(r"blocks/norm[12]/linear/kernel", P(None, None, _SHARD)),
    ShardingRule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/(lora_\d+/)?lora_a", P(None, _SHARD, None)),
    ShardingRule(r"blocks/(attn/to_[qkv]|ff/(up|gate))/(lora_\d+/)?lora_b", P(None, _SHARD, _TENSOR)),
    ShardingRule(r"blocks/(attn/to_out|ff/down)/(lora_\d+/)?lora_a", P(None, _TENSOR, _SHARD)),
    ShardingRule(r"blocks/(attn/to_out|ff/down)/(lora_\d+/)?lora_b", P(None, _SHARD, None)),
    ShardingRule(r"blocks/norm[12]/linear/(lora_\d+/)?lora_[ab]", P(None, None, _SHARD)),
    # context encoder: its outputs D -> D
    ShardingRule(r"zero/kernel", P(None, None, _SHARD)),
    # embeddings and the head
    ShardingRule(r"patch_embed/(proj|text_proj)/kernel", P(None, _SHARD)),
    ShardingRule(r"patch_embed/pos_embedding", P(None, _SHARD)),
    ShardingRule(r"(time_embed|ofs_embed)/linear_[12]/kernel", P(_SHARD, None)),
    ShardingRule(r"norm_out/linear/kernel", P(None, _SHARD)),
    ShardingRule(r"proj_out/kernel", P(_SHARD, None)),
    ShardingRule(r"(time_embed|ofs_embed|norm_out|patch_embed|proj_out)/.*lora_[ab]", P()),
    # frozen encoders: T5 is divided like a backbone, the VAE (0.4 GB) is copied
    ShardingRule(r"embed/embedding", P(None, _SHARD)),
    ShardingRule(r"relative_bias/embedding", P()),
    ShardingRule(r"vae/.*", P()),
    # vectors are copied; a new matrix without a rule is an error
    ShardingRule(r"bias|scale", P()),
)

ACTIVATIONS: dict[str, P] = {
    "latents": P(BATCH),  # BThwC
    "vectors": P(BATCH),  # BE, one row per example
    "tokens": P(BATCH, "context"),  # BSD
    "hidden": P(BATCH, "context", _TENSOR),  # BS(4D)
    "hints": P(None, BATCH, "context"),  # GBSD
    "pixels": P(BATCH, None, "context"),  # BFHWC, rows: the compiler exchanges the edges between neighbours
}
"""Layout of each named activation, for `constrain`."""


def make_mesh(sizes: Mapping[str, int], devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Mesh with the axes `AXES`, partitioned by the compiler (``AxisType.Auto``).

    Args:
      sizes: size of each axis, 1 by default; one of them may be -1 to take the remaining devices.
      devices: all devices of all processes by default; may be those of a topology that you only compile for.

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


def mesh_of(text: str) -> Mesh:
    """Mesh for sampling one video, from text: ``data=2,context=4`` on the first 8 devices, or ``auto`` on all of them.

    ``auto`` gives the two halves of guidance to two groups of devices and divides the sequence in each.

    Raises:
      UserError: another form, unknown axes, or more devices than there are.
    """
    devices = jax.devices()
    sizes = sampling_sizes(len(devices)) if text == "auto" else sizes_of(text)
    count = math.prod(sizes.values())
    return make_mesh(sizes, devices if count < 0 else devices[:count])


def sampling_sizes(devices: int) -> dict[str, int]:
    """The halves of guidance on two groups of devices, the sequence over those of a group."""
    return {"data": 2 if devices % 2 == 0 else 1, "context": -1}


def sizes_of(text: str) -> dict[str, int]:
    """``data=2,context=4`` as sizes by axis.

    Raises:
      UserError: another form.
    """
    try:
        return {axis: int(size) for axis, size in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise UserError(f"mesh {text!r}: expected AXIS=SIZE,AXIS=SIZE such as data=2,context=4") from error


class Placement(NamedTuple):
    """Shardings of the leaves of a tree.

    Attributes:
      shardings: the tree with one `NamedSharding` per leaf.
      unused: patterns that matched no leaf.
      undivided: ``path shape dimension axes`` of each dimension that its axes do not divide; it is copied instead.
    """

    shardings: Any
    unused: list[str]
    undivided: list[str]


def path_name(path: Sequence[Any]) -> str:
    """'/'-joined name of a key path of `jax.tree_util`, for dicts, sequences and dataclasses alike."""
    return "/".join(
        str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name))) for key in path
    )


def place(tree: Any, mesh: Mesh, rules: Sequence[ShardingRule] = SHARDING_RULES) -> Placement:
    """Sharding of every leaf by the first rule that matches its path. Leaves of one value are copied without a rule.

    Args:
      tree: pytree of arrays or `jax.ShapeDtypeStruct`s, such as parameters or a training state.
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
    """Shapes of ``tree`` with ``shardings`` attached, to restore or to compile for."""
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), tree, shardings
    )


def placed(tree: Any, mesh: Mesh) -> Any:
    """Shapes of ``tree`` with the shardings of the rule table attached; raises as `place` does."""
    return shapes_at(tree, place(tree, mesh).shardings)


HOST = "pinned_host"
"""Memory of the host from which a device fetches arrays by itself."""


def blocks_in_host_memory(shardings: dict[str, Any]) -> dict[str, Any]:
    """Shardings of a backbone whose blocks wait in the host's memory until they run.

    Devices of a description (`vp_jax.planning.devices`) know of no host: there, nothing changes.
    """
    return {**shardings, "blocks": jax.tree.map(lambda x: x.with_memory_kind(HOST), shardings["blocks"])}


def _size(mesh: Mesh | AbstractMesh, axes: Sequence[str]) -> int:
    return math.prod(mesh.shape[axis] for axis in axes)


def _divide(shape: tuple[int, ...], spec: P, mesh: Mesh | AbstractMesh) -> tuple[P, list[str]]:
    """``spec`` without the axes whose product does not divide their dimension, and a line for each of those."""
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
    """Sharding of every leaf of a batch: dimension ``axis`` over the axes `BATCH`.

    Raises:
      UserError: the devices do not divide the batch.
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
    """Sharding that copies an array to every device."""
    return NamedSharding(mesh, P())


def current_mesh() -> AbstractMesh | None:
    """Mesh of the surrounding ``jax.set_mesh``; ``None`` without one, or if it has a single device."""
    mesh = jax.sharding.get_abstract_mesh()
    return None if mesh.empty or mesh.size == 1 else mesh


def constrain(x: jax.Array, kind: str) -> jax.Array:
    """Constrain ``x`` to the layout of the activation named ``kind``; without a mesh, return ``x``."""
    spec, mesh = ACTIVATIONS[kind], current_mesh()
    if mesh is None:
        return x
    # the compiler pads a sequence that does not divide, but a batch of 1 is better copied
    result: jax.Array = jax.lax.with_sharding_constraint(
        x, P(*(None if entry == BATCH and x.shape[i] % _size(mesh, BATCH) else entry for i, entry in enumerate(spec)))
    )
    return result


def device_kind() -> str:
    """Kind of the devices that the program runs on: those of the mesh, or else of this machine."""
    mesh = current_mesh()
    device = None if mesh is None else mesh.abstract_device
    result: str = jax.devices()[0].device_kind if device is None else device.device_kind
    return result


def with_whole_sequences(
    attend: Callable[..., jax.Array], *arrays_BSKA: jax.Array, shared: Sequence[jax.Array] = ()
) -> jax.Array:
    """Run ``attend(*arrays, *shared)`` so that every device has complete sequences, for a part of the heads.

    Outside, S is divided over ``context``. One all-to-all of all arrays of a length divides K instead, one more
    restores the layout of the result. A length that ``context`` does not divide is padded for the exchange only.

    Args:
      attend: returns an array of the shape of its first argument. It runs per device, so kernels need no partitioning
        rule.
      *arrays_BSKA: queries, then keys and values; those of one length stand next to each other.
      shared: arrays without heads, each device has those of its part of the batch, their first axis.

    Raises:
      UserError: context x tensor do not divide the number of heads.
    """
    mesh = current_mesh()
    if mesh is None:
        return attend(*arrays_BSKA, *shared)
    context, tensor = mesh.shape["context"], mesh.shape["tensor"]
    batch, length, heads, size = arrays_BSKA[0].shape
    if heads % (context * tensor):
        raise UserError(
            f"{heads} attention heads over context={context} x tensor={tensor}: expected a divisor of {heads}"
        )
    tail = -length % context
    examples = _divide((batch,), P(BATCH), mesh)[0]
    spec = P(*examples, "context", _TENSOR)
    groups = [list(group) for _, group in itertools.groupby(arrays_BSKA, lambda array: array.shape[1])]

    def exchange(parts: Sequence[jax.Array], length: int) -> jax.Array:
        # heads and their channels as one dimension: TPUs pad narrow last dimensions in memory
        rows = jnp.stack([part.reshape(*part.shape[:2], -1) for part in parts])
        rows = jax.lax.all_to_all(rows, "context", split_axis=3, concat_axis=2, tiled=True)[:, :, :length]
        result: jax.Array = rows.reshape(*rows.shape[:3], -1, size)
        return result

    def per_device(*parts: jax.Array) -> jax.Array:
        if context == 1:
            return attend(*parts)
        rest, whole = list(parts), []
        for group in groups:
            whole += list(exchange(rest[: len(group)], group[0].shape[1]))
            rest = rest[len(group) :]
        out = attend(*whole, *rest)
        out = jnp.pad(out.reshape(*out.shape[:2], -1), ((0, 0), (0, tail), (0, 0)))
        out = jax.lax.all_to_all(out, "context", split_axis=1, concat_axis=2, tiled=True)
        result: jax.Array = out.reshape(*out.shape[:2], -1, size)
        return result

    padded = [jnp.pad(x, ((0, 0), (0, -x.shape[1] % context), (0, 0), (0, 0))) for x in arrays_BSKA]
    specs = (spec,) * len(padded) + (P(*examples),) * len(shared)
    exchanged = jax.shard_map(per_device, mesh=mesh, in_specs=specs, out_specs=spec, check_vma=False)
    return exchanged(*padded, *shared)[:, :length]


def bytes_per_device(tree: Any, shardings: Any) -> int:
    """Bytes of ``tree`` on one device under ``shardings``; leaves in host memory count as zero."""

    def size(leaf: Any, sharding: NamedSharding) -> int:
        part = math.prod(sharding.shard_shape(tuple(leaf.shape)))
        return 0 if sharding.memory_kind == "pinned_host" else part * leaf.dtype.itemsize

    sizes = jax.tree.map(size, tree, shardings)
    return sum(jax.tree.leaves(sizes))
