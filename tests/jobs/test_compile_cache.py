"""Where compiled programs are kept."""

import pytest

from vp_jax.errors import UserError
from vp_jax.jobs import compile_cache


def test_where_compiled_programs_are_kept(monkeypatch, tmp_path):
    kept = {}
    monkeypatch.setattr(compile_cache.jax.config, "update", kept.__setitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile_cache.default_folder() == tmp_path / "vp_jax" / "xla"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert compile_cache.default_folder() == tmp_path / "home" / ".cache" / "vp_jax" / "xla"
    assert compile_cache.keep(str(tmp_path / "mine")) == tmp_path / "mine" and (tmp_path / "mine").is_dir()
    assert kept["jax_compilation_cache_dir"] == str(tmp_path / "mine")
    assert compile_cache.keep("off") is None and kept["jax_enable_compilation_cache"] is False
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"compilation_cache .*: cannot be made"):
        compile_cache.keep(str(tmp_path / "file" / "below"))
