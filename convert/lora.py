"""LoRA files for the CogVideoX transformer, in every common spelling, to our adapters, and back.

One module's two factors, as different programs name them (``to_q`` of block 0):

=============  ====================================================================================
PEFT           ``base_model.model.transformer_blocks.0.attn1.to_q.lora_A[.NAME].weight``, ``lora_B``
diffusers      ``transformer.transformer_blocks.0.attn1.to_q.lora_A.weight``, ``lora_B``
diffusers, old ``transformer.transformer_blocks.0.attn1.to_q.lora.down.weight``, ``up``, ``alpha``
older          ``transformer_blocks.0.attn1.processor.to_q_lora.down.weight``, ``up``
ComfyUI        ``diffusion_model.transformer_blocks.0.attn1.to_q.lora_down.weight``, ``lora_up``
kohya          ``lora_unet_transformer_blocks_0_attn1_to_q.lora_down.weight``, ``lora_up``, ``alpha``
=============  ====================================================================================

Also the published VideoPainter ID adapter (336 tensors, diffusers spelling, no alpha): the same with
``extra_keys=True``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vp_jax import trees
from vp_jax.convert.lora_scale import NOT_STORED, Stored, alpha_scale, check_equal, to_header
from vp_jax.convert.names import by_pattern, unwrap
from vp_jax.errors import UserError
from vp_jax.models.config import LoRAConfig

TARGETS = {
    "blocks/attn/to_q": "transformer_blocks.{}.attn1.to_q",
    "blocks/attn/to_k": "transformer_blocks.{}.attn1.to_k",
    "blocks/attn/to_v": "transformer_blocks.{}.attn1.to_v",
    "blocks/attn/to_out": "transformer_blocks.{}.attn1.to_out.0",
    "blocks/ff/up": "transformer_blocks.{}.ff.net.0.proj",
    "blocks/ff/down": "transformer_blocks.{}.ff.net.2",
    "blocks/norm1/linear": "transformer_blocks.{}.norm1.linear",
    "blocks/norm2/linear": "transformer_blocks.{}.norm2.linear",
    "patch_embed/proj": "patch_embed.proj",
    "patch_embed/text_proj": "patch_embed.text_proj",
    "time_embed/linear_1": "time_embedding.linear_1",
    "time_embed/linear_2": "time_embedding.linear_2",
    "ofs_embed/linear_1": "ofs_embedding.linear_1",
    "ofs_embed/linear_2": "ofs_embedding.linear_2",
    "norm_out/linear": "norm_out.linear",
    "proj_out": "proj_out",
}
"""Our module path -> the original's name; ``{}`` is the layer."""

_SPELLINGS = [
    re.compile(pattern)
    for pattern in (
        r"(?P<module>.+)\.lora_(?P<role>A|B)(?:\.[^.]+)?\.weight",
        r"(?P<module>.+)\.lora(?:_linear_layer)?[._](?P<role>down|up)\.weight",
        r"(?P<module>.+?)(?:\.processor)?\.(?P<projection>to_q|to_k|to_v|to_out)_lora\.(?P<role>down|up)\.weight",
        r"(?P<module>.+?)(?:\.processor)?\.(?P<projection>to_q|to_k|to_v|to_out)_lora\.(?P<role>alpha)",
        r"(?P<module>.+)\.lora(?:_linear_layer)?\.(?P<role>alpha)",
        r"(?P<module>.+)\.(?P<role>alpha)",
    )
]
_ROLES = {"A": "a", "down": "a", "B": "b", "up": "b", "alpha": "alpha"}
# dots and underscores cannot be told apart in kohya's names, so modules of all spellings are compared with underscores
_PREFIX = "(?:lora_transformer_|lora_unet_|base_model_model_)?(?:transformer_|diffusion_model_)?"
_MODULES = [
    (re.compile(_PREFIX + name.replace(".", "_").replace("{}", r"(?P<layer>[0-9]{1,6})")), path)
    for path, name in TARGETS.items()
]


Module = tuple[str, int | None]
"""A target and its layer."""
Factors = dict[str, np.ndarray]
"""The tensors of a module: ``a``, ``b``, ``alpha``."""

_MOST_ZEROS = 4 << 30
"""Bytes up to which layers that a file leaves out are filled with zeros."""


class Place(NamedTuple):
    """What one tensor of a file is: ``role`` (a, b or alpha) of a target; ``layer`` if the target is stacked."""

    path: str
    layer: int | None
    role: str


def lora_target(key: str) -> Place | None:
    """Place of a file's tensor name; ``None`` if no spelling knows it."""
    for spelling in _SPELLINGS:
        if not (match := spelling.fullmatch(key)):
            continue
        parts = match.groupdict()
        module = parts["module"]
        if projection := parts.get("projection"):
            module += "." + projection.replace("to_out", "to_out.0")
        for pattern, path in _MODULES:
            if found := pattern.fullmatch(module.replace(".", "_")):
                layer = found.groupdict().get("layer")
                return Place(path, None if layer is None else int(layer), _ROLES[parts["role"]])
    return None


class Converted(NamedTuple):
    """An adapter, the place where its scale was found, and what wrappers had added to its names (may be empty)."""

    cfg: LoRAConfig
    params: trees.Tree
    source: str
    note: str


def from_torch(
    state: Mapping[str, np.ndarray],
    num_layers: int | None = None,
    *,
    scale: float | None = None,
    extra_keys: bool = False,
    stored: Stored | None = None,
) -> tuple[LoRAConfig, trees.Tree]:
    """A LoRA file as an adapter: the first two parts of `convert_lora`."""
    converted = convert_lora(state, num_layers, scale=scale, extra_keys=extra_keys, stored=stored)
    return converted.cfg, converted.params


def convert_lora(
    state: Mapping[str, np.ndarray],
    num_layers: int | None = None,
    *,
    scale: float | None = None,
    extra_keys: bool = False,
    stored: Stored | None = None,
) -> Converted:
    """A LoRA file as an adapter.

    Layers the file leaves out get zeros. If layers of one target have different ranks, the smaller ones are filled up
    with zeros. If the file's scales differ between modules, they are multiplied into ``lora_b`` and the scale is 1.

    Args:
      state: tensor name -> array.
      num_layers: L of the backbone; ``None``: the file has its last layer.
      scale: of the adapter, instead of the file's; ``None``: see `vp_jax.convert.lora_scale`.
      extra_keys: the file is VideoPainter's ID adapter.
      stored: settings that the trainer left beside the tensors.

    Returns:
      The description and its nested dict in the stored types, and where the scale is from.

    Raises:
      UserError: names that are no LoRA of a Linear of this model (DoRA, convolutions, other modules), layers
        beyond ``num_layers``, missing halves, shapes that do not agree, the first ten kinds of them in one message;
        scales that contradict each other.
    """
    names, note = unwrap(state, lambda key: lora_target(key) is not None)
    slots = {key: lora_target(names[key]) for key in state}
    if num_layers is None:
        num_layers = 1 + max((slot.layer for slot in slots.values() if slot and slot.layer is not None), default=0)
    found, faults = _collect(state, slots, num_layers)
    faults = faults or _incomplete(found) or _different_sizes(found) or _too_large(found, num_layers)
    if faults or not found:
        raise UserError(
            f"this file is not a LoRA of the model, {len(faults)} faults: "
            + (by_pattern(faults) or "it holds no tensors")
        )
    scales, source = _scales(found, stored) if scale is None else ({}, "as given")
    common = scale if scale is not None else scales[next(iter(scales))] if len(set(scales.values())) == 1 else None
    tree: dict[str, np.ndarray] = {}
    for path in _targets(found):
        layers = {layer: tensors for (where, layer), tensors in found.items() if where == path}
        if common is None:
            layers = {
                layer: {**tensors, "b": _scaled(tensors["b"], scales[path, layer])} for layer, tensors in layers.items()
            }
        tree[f"{path}/lora_a"], tree[f"{path}/lora_b"] = _stack(layers, num_layers)
    rank = max(tensors["a"].shape[0] for tensors in found.values())
    if common is None:
        source = f"{min(scales.values()):g} to {max(scales.values()):g} per module, multiplied into B: {source}"
    cfg = LoRAConfig(_targets(found), rank, 1.0 if common is None else common, extra_keys)
    return Converted(cfg, trees.unflatten(tree), source, note)


def _collect(
    state: Mapping[str, np.ndarray], slots: Mapping[str, Place | None], num_layers: int
) -> tuple[dict[Module, Factors], list[str]]:
    """The tensors of every module, and the faults of those that have no place."""
    faults: list[str] = []
    found: dict[Module, Factors] = {}
    for key, slot in slots.items():
        tensor = np.asarray(state[key])
        if slot is None:
            faults.append(f"- {key}: not a LoRA tensor of a Linear of this model")
        elif slot.layer is not None and slot.layer >= num_layers:
            faults.append(f"- {key}: the model has {num_layers} layers")
        elif slot.role != "alpha" and (tensor.ndim != 2 or not tensor.size):
            faults.append(f"- {key}: shape {tensor.shape}, expected a matrix (no convolutions)")
        elif slot.role == "alpha" and tensor.size != 1:
            faults.append(f"- {key}: shape {tensor.shape}, expected one number")
        elif not jnp.issubdtype(tensor.dtype, jnp.number):
            faults.append(f"- {key}: type {tensor.dtype}, expected numbers")
        elif slot.role in (tensors := found.setdefault((slot.path, slot.layer), {})):
            faults.append(f"- {key}: a second tensor for {_original(slot.path, slot.layer)}")
        else:
            tensors[slot.role] = tensor
    if faults:  # halves whose other half has another fault would be named for nothing
        return found, faults + _incomplete(found)
    return found, faults


def _incomplete(found: Mapping[Module, Factors]) -> list[str]:
    """Faults of modules that lack a factor, or whose factors do not belong together."""
    faults = []
    for module, tensors in found.items():
        if not {"a", "b"} <= tensors.keys():
            faults.append(f"+ {_original(*module)}: has {sorted(tensors)}, expected both factors a and b")
        elif tensors["a"].shape[0] != tensors["b"].shape[1]:
            faults.append(
                f"! {_original(*module)}: A {tensors['a'].shape} and B {tensors['b'].shape} have different ranks"
            )
    return faults


def _too_large(found: Mapping[Module, Factors], num_layers: int) -> list[str]:
    """A few tensors of a very high layer would be stacked on gigabytes of zeros."""
    stored = stacked = 0
    for path in _targets(found):
        layers = [tensors for (where, _), tensors in found.items() if where == path]
        sizes = [tensors["a"].nbytes + tensors["b"].nbytes for tensors in layers]
        stored += sum(sizes)
        stacked += max(sizes) * num_layers if (path, None) not in found else sum(sizes)
    if stacked <= max(_MOST_ZEROS, 8 * stored):
        return []
    return [
        f"- its highest layer is {num_layers - 1}: {stored / 1e6:.3g} MB would become {stacked / 1e9:.3g} GB, most of "
        f"it zeros; give the number of layers of the backbone (num_layers)"
    ]


def _scales(found: Mapping[Module, Factors], stored: Stored | None) -> tuple[dict[Module, float], str]:
    """Scale of every module, and where it is from."""
    own = {
        module: alpha_scale(_original(*module), float(tensors["alpha"].item()), tensors["a"].shape[0])
        for module, tensors in found.items()
        if "alpha" in tensors
    }
    if stored is None:
        rest = len(found) - len(own)
        without = f" ({rest} of {len(found)} modules have none: 1)" if rest else ""
        return {module: own.get(module, 1.0) for module in found}, f"alpha tensors{without}" if own else NOT_STORED
    scales = {module: stored.scale_of(_original(*module), tensors["a"].shape[0]) for module, tensors in found.items()}
    for module in own:
        check_equal(_original(*module), own[module], "its alpha tensor", scales[module], stored.source)
    return {**scales, **own}, f"alpha tensors, {stored.source}" if own else stored.source


def lora_to_torch(cfg: LoRAConfig, params: trees.Tree) -> dict[str, np.ndarray]:
    """An adapter in the diffusers spelling, inverse of `from_torch`; zeros that it filled in are left out.

    The scale is no tensor: `scale_header` makes it a part of the file.

    Raises:
      UserError: a target that the original model has not.
    """
    unknown = sorted(set(cfg.targets) - set(TARGETS))
    if unknown:
        raise UserError(f"adapter targets {unknown} have no name in the original: expected among {sorted(TARGETS)}")
    flat, state = trees.flatten(params), {}
    for path in cfg.targets:
        a, b = np.asarray(flat[f"{path}/lora_a"]), np.asarray(flat[f"{path}/lora_b"])
        for layer in range(len(a)) if a.ndim == 3 else [None]:
            a_IR, b_RO = (a, b) if layer is None else (a[layer], b[layer])
            used = np.flatnonzero(np.any(a_IR != 0, axis=0) | np.any(b_RO != 0, axis=1))
            if used.size:
                rank = int(used[-1]) + 1
                name = f"transformer.{_original(path, layer)}"
                state[f"{name}.lora_A.weight"] = np.ascontiguousarray(a_IR[:, :rank].T)
                state[f"{name}.lora_B.weight"] = np.ascontiguousarray(b_RO[:rank].T)
    return state


def scale_header(cfg: LoRAConfig, state: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Header of the file of `to_torch` tensors, by which diffusers, PEFT's way, finds the scale."""
    end = ".lora_A.weight"
    ranks = {
        key.removeprefix("transformer.").removesuffix(end): len(value) for key, value in state.items() if end in key
    }
    return to_header(ranks, cfg.scale)


def _original(path: str, layer: int | None) -> str:
    return TARGETS[path].format(layer)


def _targets(found: Mapping[Module, object]) -> tuple[str, ...]:
    present = {path for path, _ in found}
    return tuple(path for path in TARGETS if path in present)


def _different_sizes(found: Mapping[Module, Factors]) -> list[str]:
    """Faults of layers whose Linear has another size than in the first layer."""
    first: dict[str, tuple[int, int]] = {}
    faults = []
    for (path, layer), tensors in found.items():
        size = (tensors["a"].shape[1], tensors["b"].shape[0])
        if first.setdefault(path, size) != size:
            faults.append(
                f"! {_original(path, layer)}: {size[0]} -> {size[1]}, other layers {first[path][0]} -> {first[path][1]}"
            )
    return faults


def _scaled(b: np.ndarray, scale: float) -> np.ndarray:
    return (b.astype(np.float32) * np.float32(scale)).astype(b.dtype)


def _stack(layers: Mapping[int | None, Mapping[str, np.ndarray]], num_layers: int) -> tuple[np.ndarray, np.ndarray]:
    """``lora_a`` and ``lora_b`` of one target, from its layers (or from the only one, ``None``)."""
    if None in layers:
        return np.ascontiguousarray(layers[None]["a"].T), np.ascontiguousarray(layers[None]["b"].T)
    rank = max(tensors["a"].shape[0] for tensors in layers.values())
    one = next(iter(layers.values()))
    a = np.zeros((num_layers, one["a"].shape[1], rank), np.result_type(*{t["a"].dtype for t in layers.values()}))
    b = np.zeros((num_layers, rank, one["b"].shape[0]), np.result_type(*{t["b"].dtype for t in layers.values()}))
    for layer, tensors in layers.items():
        r = tensors["a"].shape[0]
        a[layer, :, :r] = tensors["a"].T
        b[layer, :r] = tensors["b"].T
    return a, b
