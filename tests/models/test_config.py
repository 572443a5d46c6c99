"""Descriptions of models: the same after a round trip, and no odd value is accepted or ends in a traceback."""

import json
from pathlib import Path

import pytest

import vp_jax
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.models.attention import BACKENDS
from vp_jax.models.variants import VARIANTS

NANO = Path(next(iter(vp_jax.__path__))) / "nano"
DESCRIBED = {path.parent.name: json.loads(path.read_text()) for path in sorted(NANO.glob("*/config.json"))}
ODD = [None, -1, 0, 10**9, 10**30, 0.5, 3.5, 1e300, "x", "", [], [1], {}, {"a": 1}, True, False, float("nan"), "4"]


@pytest.mark.parametrize("part", DESCRIBED)
def test_round_trip_of_every_part_of_nano(part):
    described = config.from_json(DESCRIBED[part])
    again = json.loads(json.dumps(config.to_json(described)))
    assert config.from_json(again) == described
    stored, written = (values.get("dit", values) for values in (DESCRIBED[part], again))
    assert stored.items() <= written.items() and DESCRIBED[part].keys() <= again.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_published_models_are_within_the_ranges(name):
    models = VARIANTS[name]
    for described in (models.backbone, models.branch, models.vae, models.t5):
        if described is not None:
            assert config.from_json(json.loads(json.dumps(config.to_json(described)))) == described


def leaves():
    for part, values in DESCRIBED.items():
        inner = values.get("dit", values)
        for field in inner:
            if field != "kind":
                yield part, field


@pytest.mark.parametrize("part, field", list(leaves()))
def test_odd_values_of_every_field_are_named_or_of_the_same_type(part, field):
    """What is accepted has the type of the field's usual value; everything else is one line that names the field."""
    accepted = 0
    for odd in ODD:
        values = json.loads(json.dumps(DESCRIBED[part]))
        inner = values.get("dit", values)
        usual = inner[field]
        inner[field] = odd
        try:
            described = config.from_json(values)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
            assert field in str(error) or field in ("head_dim", "num_heads"), error
            continue
        accepted += 1
        got = getattr(getattr(described, "dit", described), field)
        assert type(got) in {type(usual), int, float, type(None)} - ({float} if type(usual) is int else set()) or (
            isinstance(got, tuple) and isinstance(usual, list)
        ), (field, odd, got)
        assert got == got and got not in (float("inf"), 10**9, 10**30), (field, odd)
    assert accepted < len(ODD) / 2


def test_faults_of_a_description_are_listed_together():
    values = {**DESCRIBED["transformer"], "num_layers": -3, "rope": "yes", "norm_eps": 0}
    with pytest.raises(
        UserError, match=r"dit: .*norm_eps 0: expected a number, above 0 to 1; num_layers -3.*; rope 'yes'"
    ):
        config.from_json(values)


def test_unknown_kinds_and_fields():
    for kind in (None, 3, [], {}, "unet"):
        with pytest.raises(UserError, match="expected one of dit, branch, vae, t5, lora, scheduler"):
            config.from_json({"kind": kind})
    with pytest.raises(UserError, match=r"vae: unknown fields \['chanels'\] for VAEConfig"):
        config.from_json({"kind": "vae", "chanels": [8]})
    with pytest.raises(UserError, match=r"fields \['num_heads', 'head_dim', 'num_layers'\] of DiTConfig are missing"):
        config.from_json({"kind": "dit"})
    with pytest.raises(UserError, match="of DiTConfig are missing"):
        config.from_json({"kind": "branch"})
    with pytest.raises(UserError, match="branch: expected one field dit"):
        config.from_json({"kind": "branch", "dit": [1]})


def test_sizes_that_do_not_go_together():
    transformer = DESCRIBED["transformer"]
    for changes, message in [
        ({"sample_height": 60000, "sample_width": 60000}, "tokens, expected at most"),
        ({"patch": 2, "sample_height": 1}, "at least one patch"),
        ({"head_dim": 24}, "head_dim 24: expected a multiple of 16"),
        ({"rope": False, "learned_positions": False, "head_dim": 4}, "width 28: expected a multiple of 16"),
        ({"patch_t": 2}, "learned positions with a temporal patch"),
    ]:
        with pytest.raises(UserError, match=message):
            config.from_json({**transformer, **changes})
    for changes, message in [({"groups": 7}, "multiples of the 7 norm groups"), ({"temporal_stride": 3}, "power of 2")]:
        with pytest.raises(UserError, match=message):
            config.from_json({**config.to_json(VARIANTS["tiny"].vae), **changes})
    with pytest.raises(UserError, match="max_distance 8: expected above 8"):
        config.from_json({**DESCRIBED["text_encoder"], "max_distance": 8})


def test_overrides_replace_fields_and_are_checked_like_them():
    described = config.from_json(DESCRIBED["branch"], dtype="bfloat16", attention="chunked")
    assert (described.dit.dtype, described.dit.attention) == ("bfloat16", "chunked")
    with pytest.raises(UserError, match="dtype 'int8'"):
        config.from_json(DESCRIBED["vae"], dtype="int8")


def test_names_that_need_no_jax_are_those_of_the_code():
    assert set(config.ATTENTION) >= set(BACKENDS)
    for policy in ("", *config.REMAT):
        assert config.from_json({**DESCRIBED["transformer"], "remat": policy}).remat == policy


def test_a_scheduler_is_a_schedule():
    described = config.from_json(DESCRIBED["scheduler"])
    plain = Schedule.from_json(DESCRIBED["scheduler"])
    assert isinstance(described, Schedule) and described.sampler == "dpm"
    assert (described.abar == plain.abar).all()
    with pytest.raises(UserError, match=r"scheduler: unknown fields \['snr_shif'\]"):
        Schedule.from_json({"kind": "scheduler", "snr_shif": 3.0})
    with pytest.raises(UserError, match="snr_shift 0: expected a number"):
        Schedule.from_json({"snr_shift": 0})
