"""The stages of a run, from its settings (``configs/curate.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vp_jax.curate.fetch import FetchRules
from vp_jax.curate.record import CurationStage
from vp_jax.curate.stages.box import ProposeBoxes
from vp_jax.curate.stages.caption import CaptionClips
from vp_jax.curate.stages.collect import Collect
from vp_jax.curate.stages.cuts import FindCuts
from vp_jax.curate.stages.mask import TrackMasks
from vp_jax.curate.stages.mask_filter import FilterMasks
from vp_jax.curate.stages.measure import MeasureClips
from vp_jax.curate.stages.pack import PackMasks
from vp_jax.curate.stages.select import SelectClips
from vp_jax.curate.stages.split import SplitClips
from vp_jax.curate.stages.tag import Tag
from vp_jax.errors import UserError

CURATION_STAGES: Mapping[str, type] = {
    stage.name: stage
    for stage in (
        *(Collect, FindCuts, Tag, ProposeBoxes, TrackMasks, FilterMasks),
        *(SplitClips, MeasureClips, SelectClips, CaptionClips, PackMasks),
    )
}
"""All stages in the paper's order: collection, annotation, splitting, selection, captioning."""


class CurationSettings(NamedTuple):
    """A run.

    Attributes:
      stages: in order; the first collects.
      duplicate_bits: see `vp_jax.curate.near_duplicates`.
      validation: share of the sources that are kept for validation.
      shards: also write ArrayRecord shards.
      licence: of sources that state none.
      batch: records that go through a model together, where it can take several; no part of what results are stored
        under.
    """

    stages: Sequence[CurationStage]
    duplicate_bits: int = 12
    validation: float = 0.0
    shards: bool = True
    licence: str = ""
    batch: int = 4


def settings_from(config: Mapping[str, Any]) -> CurationSettings:
    """The run that settings describe.

    Raises:
      UserError: an unknown stage or setting.
    """
    values = {name: dict(part) for name, part in config.items() if hasattr(part, "items")}
    if unknown := sorted({*values} - {*CURATION_STAGES}):
        raise UserError(f"settings of an unknown stage {unknown[0]}: expected {', '.join(CURATION_STAGES)}")
    if "fetch" in values.get("collect", {}):
        values["collect"]["fetch"] = FetchRules(**dict(values["collect"]["fetch"]))
    stages: list[CurationStage] = []
    for name, kind in CURATION_STAGES.items():
        try:
            stages.append(kind(**values.get(name, {})))
        except TypeError as error:
            raise UserError(f"settings of stage {name}: {error}") from error
    rest = {name: value for name, value in config.items() if not hasattr(value, "items")}
    if rest.get("batch", 1) < 1:
        raise UserError(f"batch {rest['batch']}: expected 1 or more records")
    try:
        return CurationSettings(stages, **rest)
    except TypeError as error:
        raise UserError(f"settings of the run: {error}") from error
