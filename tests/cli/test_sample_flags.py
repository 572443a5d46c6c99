"""The flags of ``vp-jax sample``."""

import dataclasses

from vp_jax.cli.main import parser_of
from vp_jax.cli.sample import SETTINGS
from vp_jax.inference.settings import Settings


def test_help_has_four_groups_and_every_flag_says_what_it_does():
    parser = parser_of("sample")
    groups = {group.title: group._group_actions for group in parser._action_groups if group._group_actions}
    assert list(groups) == ["options", "input", "output", "look", "machine"]
    assert all(action.help for actions in groups.values() for action in actions)


def test_flags_of_the_sampler_are_its_settings_and_leave_the_model_its_defaults():
    parser = parser_of("sample")
    assert set(SETTINGS) <= {field.name for field in dataclasses.fields(Settings)}
    assert {name: parser.get_default(name) for name in SETTINGS} == dict.fromkeys(SETTINGS)
