"""Imports flow one way: a room may import only from rooms to its left, and nobody imports ``convert``."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
GROUND = {"shapes", "errors", "trees", "sharding", "checkpoint", "metrics"}
ORDER = ["data", "models", "diffusion", "training", "inference", "eval"]
SIDE_BY_SIDE = {"training", "inference"}


def imported(path: Path) -> set[str]:
    """Modules of this project that a file imports, dotted."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in ("vp_jax", "convert", "configs")}


def room(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def faults_of(path: Path) -> list[str]:
    own, faults = path.relative_to(ROOT / "vp_jax").parts[0].removesuffix(".py"), []
    for name in imported(path):
        there = room(name)
        if name.startswith(("convert", "configs")):
            faults.append(f"{path}: imports {name}")
        elif there == own or there in GROUND or not there:
            continue
        elif own in GROUND or ORDER.index(there) > ORDER.index(own) or {there, own} == SIDE_BY_SIDE:
            faults.append(f"{path}: {own} may not import {name}")
    return faults


def test_imports_flow_one_way():
    files = [p for p in (ROOT / "vp_jax").rglob("*.py") if p.name != "__init__.py"]
    assert len(files) > 20
    assert [fault for path in files for fault in faults_of(path)] == []


def test_only_the_checkpoint_room_and_training_import_orbax():
    users = {p.relative_to(ROOT).as_posix() for p in (ROOT / "vp_jax").rglob("*.py") if "import orbax" in p.read_text()}
    assert users == {"vp_jax/checkpoint.py"}


def test_diffusion_knows_no_model():
    for path in (ROOT / "vp_jax" / "diffusion").glob("*.py"):
        assert not {name for name in imported(path) if room(name) == "models"}, path


def test_torch_is_imported_only_by_converters_and_tests():
    for path in (ROOT / "vp_jax").rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & {"torch", "diffusers", "transformers", "peft"}, path
