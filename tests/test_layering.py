"""Imports flow one way: a room imports only from rooms in rows above its own (docs/architecture.md has the table)."""

import re

import pytest

from tests import layout
from tests.layout import GROUND, LINKED, ROOT, ROW, ROWS, imported, imported_room, package_files, room_of


def test_every_room_stands_in_the_table():
    assert {room_of(path) for path in package_files()} <= set(ROW)


def test_the_page_shows_the_same_table():
    lines = (ROOT / "docs" / "architecture.md").read_text().splitlines()
    shown = [re.findall(r"`(\w+)/?`", line.split("|")[2]) for line in lines if re.match(r"\| \d+ \|", line)]
    assert [set(row) for row in shown] == [set(row) for row in ROWS if row != ("__main__",)]


def test_imports_flow_one_way():
    assert len(package_files()) > 90
    assert layout.upward_imports() == []


def test_no_module_imports_itself_in_a_circle():
    assert layout.circles() == []


def test_a_circle_is_found_and_what_hangs_on_it_is_not():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "below"}, "below": set(), "above": {"a"}}
    assert layout._left_in_circles(arrows) == ["a", "b", "c"]


@pytest.mark.parametrize("name", LINKED)
def test_a_module_has_one_name(name):
    """``convert.dit`` and ``vp_jax.convert.dit`` would be two modules with two sets of classes."""
    assert (ROOT / "vp_jax" / name).is_symlink() and (ROOT / "vp_jax" / name).samefile(ROOT / name)
    places = [*package_files(), *ROOT.glob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in places for module in imported(path) if module.split(".")[0] == name] == []


def test_no_circle_on_the_ground_floor():
    arrows = {name: {imported_room(i) for i in imported(ROOT / "vp_jax" / f"{name}.py")} & GROUND for name in GROUND}
    while free := [name for name, below in arrows.items() if not below & set(arrows)]:
        for name in free:
            del arrows[name]
    assert arrows == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "library, rooms",
    [
        ("orbax", {"checkpoint"}),
        ("torch", {"convert", "segment", "vlm", "edit"}),
        ("diffusers", {"edit"}),
        ("peft", set()),
        ("transformers", {"segment", "vlm"}),
    ],
)
def test_a_library_is_imported_only_by_its_room(library, rooms):
    users = {room_of(path) for path in package_files() for name in imported(path) if name.split(".")[0] == library}
    assert users <= rooms


@pytest.mark.parametrize("own", ["media", "vlm"])
def test_media_and_vlm_import_no_jax(own):
    users = {path.name: imported(path) for path in package_files() if room_of(path) == own}
    for name, modules in users.items():
        assert not {m for m in modules if m.split(".")[0] in ("jax", "jaxlib", "flax")}, name


def test_diffusion_knows_no_model():
    for path in (ROOT / "vp_jax" / "diffusion").glob("*.py"):
        assert not {name for name in imported(path) if imported_room(name) == "models"}, path


def test_the_server_knows_jobs_and_no_model():
    for path in (ROOT / "vp_jax" / "serve").glob("*.py"):
        assert not {name for name in imported(path) if imported_room(name) in ("inference", "models")}, path
