"""Failures of Orbax in one line, and files whose owner has no name."""

import pwd

import pytest
from etils import epath

from vp_jax.checkpoint.failures import in_one_line, nameless_owners
from vp_jax.errors import UserError


@pytest.mark.parametrize(
    "error", [FileNotFoundError("gone"), ValueError("first\nsecond"), OSError(28, "No space left")]
)
def test_whatever_is_raised_is_one_line_with_what_to_do(error):
    with pytest.raises(UserError) as raised, in_one_line("weights cannot be read", "convert them again"):
        raise error
    text = str(raised.value)
    assert text.startswith("weights cannot be read (") and text.endswith("): convert them again") and "\n" not in text
    assert raised.value.__cause__ is error


def test_a_message_of_ours_stays_as_it_is():
    with pytest.raises(UserError, match=r"^mine$"), in_one_line("weights cannot be read", "convert them again"):
        raise UserError("mine")


def test_files_whose_owner_has_no_name_have_a_size_all_the_same(tmp_path, monkeypatch):
    """As in ``docker run --user 12345``."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    (tmp_path / "file").write_text("four")
    nameless_owners()
    named = epath.Path(tmp_path / "file").stat()
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    found, folder = epath.Path(tmp_path / "file").stat(), epath.Path(tmp_path).stat()
    assert (found.length, found.is_directory, folder.is_directory, found.owner) == (4, False, True, None)
    assert (found.mode, found.mtime) == (named.mode, named.mtime)
