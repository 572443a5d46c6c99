"""Imports flow one way: a room imports only from rooms in rows below its own (docs/architecture.md has the table)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    ("errors", "interrupts", "shapes", "trees", "files", "reading", "schema", "digests", "provenance", "scalars"),
    ("sharding",),
    ("media", "diffusion", "checkpoint", "vlm"),
    ("models", "segment"),
    ("data", "inference", "eval", "convert", "configs"),
    ("world", "training"),
    ("runs", "jobs", "curate"),
    ("edit", "vpbench", "planning"),
    ("cli", "serve"),
    ("__main__",),
]
ROW = {room: number for number, row in enumerate(ROWS) for room in row}
GROUND = set(ROWS[0])
ALONE = {"convert": {"cli"}, "configs": set()}
"""Rooms that only these rooms import: the converter's users call the command, settings are read from files."""


LINKED = ("convert", "configs")
"""Rooms that stand at the top of the repository; ``vp_jax/NAME`` is a link to each."""


def files() -> list[Path]:
    """Every module of ``vp_jax``, named as it is imported: through the links."""
    package = ROOT / "vp_jax"
    found = {path for path in package.rglob("*.py") if not set(path.relative_to(package).parts[:1]) & set(LINKED)}
    found |= {path for name in LINKED for path in (package / name).glob("*.py")}
    return sorted(path for path in found if path.name != "__init__.py")


def imported(path: Path) -> set[str]:
    """Modules that a file imports, dotted, wherever in the file the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def own_room(path: Path) -> str:
    if path.name == "__main__.py":
        return "__main__"  # a door, of the package or of a room
    return path.relative_to(ROOT / "vp_jax").parts[0].removesuffix(".py")


def faults_of(path: Path) -> list[str]:
    own, faults = own_room(path), []
    for name in imported(path):
        top, there = name.split(".")[0], room(name)
        if top in ("convert", "configs", "bench", "tests", "sample", "train"):
            faults.append(f"{path}: imports {name}")
        if top != "vp_jax" or there in ("", own):
            continue
        if there in ALONE and own not in ALONE[there]:
            faults.append(f"{path}: {own} may not import {name}")
        if there in GROUND and own in GROUND:
            continue  # a few words that speak of each other; circles are excluded below
        if ROW[there] >= ROW[own]:
            faults.append(f"{path}: {own} may not import {name}")
    return faults


def test_every_room_stands_in_the_table():
    assert {own_room(path) for path in files()} <= set(ROW)


def test_imports_flow_one_way():
    assert len(files()) > 90
    assert [fault for path in files() for fault in faults_of(path)] == []


@pytest.mark.parametrize("name", LINKED)
def test_a_module_has_one_name(name):
    """``convert.dit`` and ``vp_jax.convert.dit`` would be two modules with two sets of classes."""
    assert (ROOT / "vp_jax" / name).is_symlink() and (ROOT / "vp_jax" / name).samefile(ROOT / name)
    places = [*files(), *ROOT.glob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in places for module in imported(path) if module.split(".")[0] == name] == []


def test_no_circle_on_the_ground_floor():
    arrows = {name: {room(i) for i in imported(ROOT / "vp_jax" / f"{name}.py")} & GROUND for name in GROUND}
    while free := [name for name, below in arrows.items() if not below & set(arrows)]:
        for name in free:
            del arrows[name]
    assert arrows == {}


@pytest.mark.parametrize(
    "library, rooms",
    [
        ("orbax", {"checkpoint"}),
        ("torch", {"convert"}),
        ("diffusers", set()),
        ("peft", set()),
        ("transformers", {"segment", "vlm"}),
    ],
)
def test_a_library_is_imported_only_by_its_room(library, rooms):
    users = {own_room(path) for path in files() for name in imported(path) if name.split(".")[0] == library}
    assert users <= rooms


@pytest.mark.parametrize("own", ["media", "vlm"])
def test_media_and_vlm_import_no_jax(own):
    users = {path.name: imported(path) for path in files() if own_room(path) == own}
    for name, modules in users.items():
        assert not {m for m in modules if m.split(".")[0] in ("jax", "jaxlib", "flax")}, name


def test_diffusion_knows_no_model():
    for path in (ROOT / "vp_jax" / "diffusion").glob("*.py"):
        assert not {name for name in imported(path) if room(name) == "models"}, path


def test_the_server_knows_jobs_and_no_model():
    for path in (ROOT / "vp_jax" / "serve").glob("*.py"):
        assert not {name for name in imported(path) if room(name) in ("inference", "models")}, path
