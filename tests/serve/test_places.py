"""Where the server keeps its files."""

import pytest

from vp_jax.errors import UserError
from vp_jax.serve.places import check_home, default_home, result_files


def test_the_default_is_the_users_data_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_home() == tmp_path / "vp_jax" / "serve"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".local" / "share" / "vp_jax" / "serve"


def test_a_folder_of_somebody_elses_files_is_refused(tmp_path):
    check_home(tmp_path / "new")
    check_home(tmp_path)
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="holds files that no server wrote"):
        check_home(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        check_home(tmp_path / "thesis.txt")
    (tmp_path / "lock").write_text("")
    check_home(tmp_path)


def test_results_have_fixed_names(tmp_path):
    found = result_files(tmp_path, "mkv")
    assert found["result"] == tmp_path / "result.mkv" and found["report"] == tmp_path / "report.html"
    assert set(found) == {"result", "comparison", "contact", "record", "report"}
