"""Settings: the packaged file holds the defaults of the stages, in the paper's order."""

import dataclasses

import pytest

from vp_jax.cli import settings
from vp_jax.curate.settings import CURATION_STAGES, CurationSettings, settings_from
from vp_jax.errors import UserError


def test_the_packaged_settings_are_the_defaults_of_the_stages():
    chosen = settings_from(settings.config_from_file("curate"))
    assert chosen == CurationSettings([kind() for kind in CURATION_STAGES.values()])
    flat = settings._flat(settings.config_from_file("curate"))
    fields = {f"{name}.{field.name}" for name, kind in CURATION_STAGES.items() for field in dataclasses.fields(kind)}
    assert {key for key in flat if "." in key and "fetch" not in key} == fields - {"collect.fetch"}


def test_stages_stand_in_the_order_of_the_paper():
    paper = ["collect", "tag", "box", "mask", "mask_filter", "split", "select", "caption"]
    assert [name for name in CURATION_STAGES if name in paper] == paper


def test_smaller_things_differ_in_one_limit():
    paper, things = (settings_from(settings.config_from_file(f"curate:{kind}")) for kind in ("paper", "things"))
    differing = [a.name for a, b in zip(paper.stages, things.stages) if a != b]
    assert differing == ["mask_filter"]


@pytest.mark.parametrize(
    "config, message",
    [
        ({"boxes": {}}, "unknown stage boxes: expected collect"),
        ({"box": {"size": 3}}, "settings of stage box: .*size"),
        ({"sharde": True}, "settings of the run: .*sharde"),
    ],
)
def test_mistakes_are_named(config, message):
    with pytest.raises(UserError, match=message):
        settings_from(config)


def test_a_batch_has_a_record_at_least():
    config = settings.config_from_file("curate")
    config.batch = 0
    with pytest.raises(UserError, match="batch 0: expected 1 or more records"):
        settings_from(config)
