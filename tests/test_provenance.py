"""Where a result comes from: the commit, in a checkout, a changed one and none; versions of what shapes a result."""

import os
import subprocess

import numpy as np
import pytest

from vp_jax import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one file, in which the module seems to lie."""

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "provenance.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert provenance.commit() == head.stdout.strip() and len(provenance.commit()) == 40
    (checkout / "untracked.txt").write_text("results of a run")
    assert provenance.commit() == head.stdout.strip()


def test_changed_files_add_a_plus(checkout):
    (checkout / "provenance.py").write_text("2")
    assert provenance.commit().endswith("+") and len(provenance.commit()) == 41


def test_outside_of_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == ""


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert provenance.commit() == ""


def test_versions_are_those_that_run():
    found = provenance.versions()
    assert found["numpy"] == np.__version__ and found["device"] == "cpu"
    assert {"python", "jax", "jaxlib", "flax", "av", "pillow"} < set(found)
