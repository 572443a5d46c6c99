"""Records and keys: what a result depends on, and nothing else."""

import json
from dataclasses import asdict, replace

from vp_jax.curate.record import ClipRecord, key_of, settings_of
from vp_jax.curate.stages.mask_filter import FilterMasks
from vp_jax.curate.stages.select import SelectClips

CLIP = ClipRecord("a.mp4", "/videos/a.mp4", sha256="ab", frames=49, fps="24000/1001", scores={"motion": 0.1})


def test_a_record_comes_back_from_json_with_the_same_key():
    again = ClipRecord(**json.loads(json.dumps(asdict(CLIP))))
    assert key_of(SelectClips(), again) == key_of(SelectClips(), CLIP)
    assert again.rate == CLIP.rate and round(again.seconds, 3) == 2.044


def test_a_key_depends_on_record_stage_and_its_own_settings():
    keys = {
        key_of(SelectClips(), CLIP),
        key_of(SelectClips(least_motion=0.2), CLIP),
        key_of(FilterMasks(), CLIP),
        key_of(SelectClips(), replace(CLIP, sha256="ac")),
    }
    assert len(keys) == 4


def test_settings_name_stage_and_version():
    assert settings_of(FilterMasks(least_area=0.01)).items() >= {"stage": "mask_filter", "least_area": 0.01}.items()


def test_who_made_it_is_added_and_not_changed_in_place():
    assert CLIP.made_by("tag", "model") == {"tag": "model"} and CLIP.models == {}
