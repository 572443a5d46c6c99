"""Settings that come with a model: of the packaged one by name, of a folder by its file."""

import pytest

from vp_jax.errors import UserError
from vp_jax.inference.named import NAMED, SAMPLING_FILE, find_model
from vp_jax.inference.settings import Settings
from vp_jax.models.config import Injection


def test_a_folder_may_bring_its_own_settings(tmp_path):
    assert find_model(tmp_path).settings == {}
    (tmp_path / SAMPLING_FILE).write_text('{"steps": 4, "guidance": 1.0}')
    assert find_model(tmp_path).settings == {"steps": 4, "guidance": 1.0}
    assert find_model("nano").settings == NAMED["nano"].settings


def test_a_folder_says_which_tokens_get_hints(tmp_path):
    (tmp_path / SAMPLING_FILE).write_text('{"injection": {"tokens": "all"}}')
    assert Settings(**find_model(tmp_path).settings).injection == Injection(tokens="all")


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"steps": 0}', "steps 0: expected 1 to 1000"),
        ('{"pace": 4}', "unknown setting 'pace'"),
        ("[]", "expected settings of a model"),
        ('{"injection": {"tokens": "some"}}', "'some'.*background"),
        ('{"injection": 1}', "injection"),
    ],
)
def test_settings_that_no_model_has_are_refused_with_their_file(text, message, tmp_path):
    (tmp_path / SAMPLING_FILE).write_text(text)
    with pytest.raises(UserError, match=rf"{SAMPLING_FILE}.*{message}"):
        find_model(tmp_path)


def test_a_folder_that_is_not_there_is_named_with_the_models_that_are():
    with pytest.raises(UserError, match=r"absent: no such folder; expected .* or 'nano'"):
        find_model("absent")
