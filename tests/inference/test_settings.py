"""Settings refuse what cannot work, and windows keep time."""

import pytest

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings, default_overlap


def test_defaults_are_the_published_ones():
    settings = Settings()
    assert (settings.steps, settings.guidance, settings.dynamic_guidance, settings.window) == (50, 6.0, True, 49)
    assert (settings.overlap, settings.stride) == (9, 40)
    assert settings.overlap == default_overlap(49)


@pytest.mark.parametrize("window", range(1, 130, 4))
def test_default_strides_keep_time(window):
    overlap = default_overlap(window)
    assert 0 <= overlap < window
    assert window == 1 or (window - overlap) % 4 == 0


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("steps", 0, "steps 0: expected 1 to 1000"),
        ("guidance", -1.0, "guidance -1.0: expected 0 to 100"),
        ("guidance", float("nan"), "guidance nan"),
        ("sampler", "euler", "sampler euler: expected dpm or ddim"),
        ("mode", "fast", "mode fast: expected default or reference"),
        ("window", 48, "window 48: expected 1, 5, 9"),
        ("window", 0, "window 0"),
        ("overlap", 49, r"overlap 49: expected 0 to 48"),
        ("overlap", -1, "overlap -1"),
        ("overlap", 8, r"overlap 8 of window 49.*try overlap 9"),
        ("overlap", 0, "try overlap 1"),
        ("overlap", 48, "try overlap 45"),
        ("clip_weight", 1.5, "clip_weight 1.5: expected 0 to 1"),
        ("hole_fill", "white", "hole_fill white: expected smooth or mean or black"),
        ("steps", 2.5, "steps 2.5: expected 1 to 1000"),
        ("steps", True, "steps True"),
        ("steps", "50", "steps 50"),
        ("guidance", "6", "guidance 6"),
        ("dynamic_guidance", "no", "dynamic_guidance no: expected True or False"),
        ("replace_background", 1, "replace_background 1: expected True or False"),
        ("injection", 0.5, "injection 0.5: expected an Injection"),
        ("overlap", 1.5, "overlap 1.5"),
        ("seed", -1, "seed -1"),
        ("seed", 2**32, "seed 4294967296"),
    ],
)
def test_values_out_of_range(field, value, message):
    with pytest.raises(UserError, match=message):
        Settings(**{field: value})


def test_reference_mode_may_slip():
    assert Settings(mode="reference", overlap=8).stride == 41
    assert Settings(mode="reference").overlap == 0
    assert Settings(window=81).overlap == 17


def test_changes_are_checked_and_a_near_miss_is_named():
    settings = Settings(window=17, overlap=9)
    assert settings.changed(steps=3) == Settings(steps=3, window=17, overlap=9)
    assert settings.changed(window=49).overlap == 9 == default_overlap(49)
    assert settings.changed(window=33).overlap == default_overlap(33)
    assert settings.changed(mode="reference").overlap == 0
    assert settings.changed(window=33, overlap=1).overlap == 1
    with pytest.raises(UserError, match="unknown setting 'step': did you mean steps"):
        settings.changed(step=3)
    with pytest.raises(UserError, match=r"unknown setting 'colour': expected one of steps, guidance, .*, seed"):
        settings.changed(colour=3)
    with pytest.raises(UserError, match="steps 0"):
        settings.changed(steps=0)


def test_derived_numbers():
    assert Settings().overlap_latents == 2 and Settings(window=17).overlap_latents == 1
    assert Settings(mode="reference").overlap_latents == 0
    assert [Settings(guidance=g).guided for g in (0.0, 1.0, 1.5)] == [False, False, True]


def test_reference_mode_encodes_black_holes_and_no_others():
    assert Settings().hole_fill == "smooth"
    assert Settings(mode="reference").hole_fill == Settings().changed(mode="reference").hole_fill == "black"
    with pytest.raises(UserError, match="hole_fill mean: expected black in reference mode"):
        Settings(mode="reference", hole_fill="mean")


def test_guidance_is_on_in_its_part_of_the_steps():
    def guided(**changes):
        settings = Settings(steps=10, **changes)
        return [step for step in range(10) if settings.guided_at(step)]

    assert guided() == list(range(10)) and guided(guidance=1.0) == []
    assert guided(guidance_start=0.2, guidance_stop=0.6) == [2, 3, 4, 5]
    assert guided(guidance_start=0.55) == [6, 7, 8, 9] and guided(guidance_stop=0) == []
    with pytest.raises(UserError, match=r"guidance_stop 1.5: expected 0 to 1"):
        Settings(guidance_stop=1.5)
