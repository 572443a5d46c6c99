"""What a LoRA is multiplied by, from every place where trainers keep it.

========================================  =====================================================================
``MODULE.alpha`` tensors                  kohya, ComfyUI, older diffusers: alpha / rank, per module
``lora_adapter_metadata`` in the header   diffusers: the settings of PEFT, names with the component before them
``adapter_config.json`` beside the file   PEFT
``ss_network_alpha`` in the header        kohya's scripts, when the tensors were lost on the way
nowhere                                   1, as diffusers loads such files
========================================  =====================================================================

PEFT's settings are ``r`` and ``lora_alpha``, both overruled per module by ``rank_pattern`` and ``alpha_pattern``
(a name's end, or a regular expression for it); with ``use_rslora`` the scale is alpha / sqrt(rank) (arXiv 2312.03732).
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from vp_jax.errors import UserError
from vp_jax.models.config import Size
from vp_jax.reading import is_regular, parse_json, read_json, show
from vp_jax.schema import Between, from_values

PEFT_FILE = "adapter_config.json"
DIFFUSERS_KEY = "lora_adapter_metadata"
KOHYA_KEY = "ss_network_alpha"
NOT_STORED = "not stored in the file, 1 as in diffusers"
_COMPONENT = "transformer"
_OF_THE_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
"""Initialisations that change the weights of the base model as well."""
_MOST_QUANTIFIERS = 4
"""In one pattern of a file: more could take for ever to match."""

Alpha = Annotated[float, Between(-1e6, 1e6)]


@dataclasses.dataclass(frozen=True)
class PeftSettings:
    """The settings of PEFT that decide about the scale (defaults are PEFT's)."""

    r: Size = 8
    lora_alpha: Alpha = 8.0
    use_rslora: bool = False
    use_dora: bool = False


class Stored(NamedTuple):
    """Settings that a trainer stored beside the tensors.

    Attributes:
      scale_of: scale of a module (its original name) of this rank.
      source: where that is from, for people.
    """

    scale_of: Callable[[str, int], float]
    source: str


def read_stored(weights: Path, header: Mapping[str, str]) -> Stored | None:
    """The settings of a LoRA file, ``None`` if its trainer left none.

    Args:
      weights: the file.
      header: texts in it, if it is a safetensors file.

    Raises:
      UserError: settings that cannot be read, contradict each other, or of a method that is not a plain LoRA.
    """
    found = []
    if DIFFUSERS_KEY in header:
        name = f"{DIFFUSERS_KEY} in the header of {weights.name}"
        values = parse_json(header[DIFFUSERS_KEY].encode(errors="replace"), name, "the settings of an adapter")
        values = _of_component(values)
        if values:
            found.append(_peft(values, name))
    file = weights.parent / PEFT_FILE
    if is_regular(file):
        found.append(_peft(read_json(file, "the settings of a PEFT adapter"), PEFT_FILE))
    if not found and KOHYA_KEY in header:
        found.append(_kohya(header[KOHYA_KEY]))
    if len(found) > 1:
        return Stored(_agreeing(found), f"{found[0].source}, {found[1].source}")
    return found[0] if found else None


def _of_component(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the transformer: diffusers puts the component before every name, unless there is only one."""
    prefix = f"{_COMPONENT}."
    own = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    return own or {key: value for key, value in values.items() if "." not in key}


def _peft(values: Mapping[str, Any], source: str) -> Stored:
    kind = values.get("peft_type", "LORA")
    if kind is not None and str(kind).rpartition(".")[2].upper() != "LORA":
        raise UserError(f"{source}: peft_type {show(kind)[:40]}: expected LORA")
    start = values.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_OF_THE_BASE):
        raise UserError(
            f"{source}: init_lora_weights {show(start)[:40]} changed the weights of the base model: save the adapter "
            f"with path_initial_model_for_weight_conversion, which makes it a plain LoRA"
        )
    names = [field.name for field in dataclasses.fields(PeftSettings)]
    settings = from_values(PeftSettings, {k: values[k] for k in names if values.get(k) is not None}, source)
    if settings.use_dora:
        raise UserError(f"{source}: use_dora: DoRA is not supported, expected a plain LoRA")
    ranks = _patterns(values, "rank_pattern", source)
    alphas = _patterns(values, "alpha_pattern", source)

    def scale_of(module: str, rank: int) -> float:
        wanted = ranks(module, settings.r)
        if wanted != rank:
            raise UserError(
                f"{source}: rank {wanted:g} for {module}, its tensors have {rank}: they do not belong together"
            )
        return alphas(module, settings.lora_alpha) / (math.sqrt(rank) if settings.use_rslora else rank)

    return Stored(scale_of, source + (", rank-stabilised" if settings.use_rslora else ""))


def _patterns(values: Mapping[str, Any], name: str, source: str) -> Callable[[str, float], float]:
    """The table ``name`` as a function of a module's name and the usual value; the first pattern that fits counts."""
    table = values.get(name) or {}
    if not isinstance(table, dict):
        raise UserError(f"{source}: {name} {show(repr(table))[:60]}: expected a JSON object")
    compiled = []
    for text, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e6:
            raise UserError(f"{source}: {name} of {show(text)[:60]} is {show(repr(value))[:40]}: expected a number")
        if len(text) > 300 or len(re.findall(r"[*+?{]", text)) > _MOST_QUANTIFIERS:
            raise UserError(f"{source}: {name} has {show(text)[:60]}: expected the end of a module's name")
        try:
            compiled.append((re.compile(rf"(?:.*\.)?(?:{text})$"), float(value)))
        except (re.error, RecursionError, OverflowError) as error:
            raise UserError(f"{source}: {name} has {show(text)[:60]}: no regular expression ({error})") from error
    return lambda module, usual: next((value for fits, value in compiled if fits.match(module)), usual)


def _kohya(text: str) -> Stored:
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not math.isfinite(alpha):
        raise UserError(f"{KOHYA_KEY} in the header is {show(text)[:40]!r}: expected a number")
    return Stored(lambda module, rank: alpha / rank, f"{KOHYA_KEY} in the header")


def _agreeing(found: list[Stored]) -> Callable[[str, int], float]:
    def scale_of(module: str, rank: int) -> float:
        first, second = (stored.scale_of(module, rank) for stored in found[:2])
        check_equal(module, first, found[0].source, second, found[1].source)
        return first

    return scale_of


def check_equal(module: str, first: float, source: str, second: float, other: str) -> None:
    """Two places agree about the scale of a module.

    Raises:
      UserError: they do not.
    """
    if not math.isclose(first, second, rel_tol=1e-5):
        raise UserError(
            f"{module}: scale {first:g} by {source}, {second:g} by {other}: give the right one (scale of the converter)"
        )


def alpha_scale(module: str, alpha: float, rank: int) -> float:
    """alpha / rank of an ``alpha`` tensor.

    Raises:
      UserError: no usable number: programs differ about an alpha of 0.
    """
    if not math.isfinite(alpha) or abs(alpha) > 1e6 or alpha == 0:
        raise UserError(f"{module}: alpha {alpha:g}: expected a number other than 0; give the scale instead")
    return alpha / rank


def to_header(modules: Mapping[str, int], scale: float) -> dict[str, str]:
    """Header entries that make diffusers load an adapter with ``scale``.

    Args:
      modules: original name -> rank.
      scale: of all of them.
    """
    usual = max(modules.values(), default=1)
    others = {name: rank for name, rank in modules.items() if rank != usual}
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "r": usual,
        "lora_alpha": scale * usual,
        "rank_pattern": {f"^{re.escape(name)}": rank for name, rank in others.items()},
        "alpha_pattern": {f"^{re.escape(name)}": scale * rank for name, rank in others.items()},
        "target_modules": sorted(modules),
    }
    values = {f"{_COMPONENT}.{name}": value for name, value in settings.items()}
    return {DIFFUSERS_KEY: json.dumps(values, indent=2, sort_keys=True)}
