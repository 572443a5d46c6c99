"""Where compiled programs are kept."""

import os
import pwd
import types

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


def test_no_home_or_one_that_cannot_be_written_to_is_no_reason_to_fail(monkeypatch, tmp_path):
    config = types.SimpleNamespace(values={"jax_compilation_cache_dir": None})  # without `update`: nothing is changed
    monkeypatch.setattr(compile_cache, "jax", types.SimpleNamespace(config=config))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert compile_cache.keep(None) is None
    monkeypatch.setenv("HOME", "/proc")
    assert compile_cache.keep(None) is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert compile_cache.keep(None) is None
    with pytest.raises(UserError, match=r"compilation_cache .*: cannot be made \(Permission denied\)"):
        compile_cache.keep(str(tmp_path / "mine"))


def test_an_address_is_refused_and_makes_no_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="gs://bucket/cache is an address"):
        compile_cache.keep("gs://bucket/cache")
    assert list(tmp_path.iterdir()) == []
