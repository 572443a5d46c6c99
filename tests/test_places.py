"""Every source file of more than 60 lines has a test file of its name at its place."""

from pathlib import Path

import pytest

from tests import layout

TESTS = layout.ROOT / "tests"
LONG = 60
"""Lines up to which a file may be tested through its users."""


def place(source: str) -> Path:
    """``vp_jax/media/video.py`` -> ``tests/media/test_video.py``; ``convert/`` keeps its name."""
    if source == "vp_jax/__init__.py":
        return TESTS / "test_public_face.py"
    path = Path(source.removeprefix("vp_jax/"))
    return TESTS / path.parent / f"test_{path.name}"


def long_sources() -> list[str]:
    rooms = ("vp_jax/", "convert/")
    names = ((layout.relative(path), path) for path in layout.source_files())
    return [name for name, path in names if name.startswith(rooms) and layout.lines_of(path) > LONG]


@pytest.mark.parametrize("source", long_sources())
def test_a_long_file_has_its_tests_at_its_place(source):
    found = place(source)
    assert found.exists(), f"{source} has more than {LONG} lines: its tests belong into {layout.relative(found)}"
    assert "def test_" in found.read_text()


def test_places():
    assert place("vp_jax/media/video.py") == TESTS / "media" / "test_video.py"
    assert place("vp_jax/trees.py") == TESTS / "test_trees.py"
    assert place("convert/dit.py") == TESTS / "convert" / "test_dit.py"
    assert len(long_sources()) > 70
