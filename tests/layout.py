"""Figures of the layout: rooms and their share of the lines, long files and functions, import circles, imports upward.

    python -m tests.layout

Exit status 1 if a limit is exceeded. A room is one package directory (`data` and `data/shards` are two) or one module
of the ground floor.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

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
    ("serve",),
    ("cli",),
    ("__main__",),
]
"""Rooms of ``vp_jax`` from the ground up; a room imports only from earlier rows (docs/architecture.md)."""

ROW = {room: number for number, row in enumerate(ROWS) for room in row}
GROUND = frozenset(ROWS[0])

ALONE: dict[str, set[str]] = {"convert": {"cli"}, "configs": set(), "serve": {"cli"}}
"""Rooms that only these rooms import: the converter's users call the command, settings are read from files."""

LINKED = ("convert", "configs")
"""Rooms at the top of the repository; ``vp_jax/NAME`` is a link to each."""

LARGEST_SHARE, FILE_LINES, FUNCTION_LINES = 0.15, 400, 60
OUTSIDE = ("convert", "configs", "bench", "tests", "sample", "train")
"""Top-level names that the package may not import."""


class Long(NamedTuple):
    """A file, or a function of a file, and its number of lines."""

    name: str
    lines: int


def package_files() -> list[Path]:
    """Modules of ``vp_jax`` without the ``__init__.py`` files, named as they are imported: through the links."""
    package = ROOT / "vp_jax"
    found = {path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in LINKED}
    found |= {path for name in LINKED for path in (package / name).rglob("*.py")}
    return sorted(path for path in found if path.name != "__init__.py")


def source_files() -> list[Path]:
    """Every Python file outside ``tests/``, once."""
    package = ROOT / "vp_jax"
    found = {path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in LINKED}
    found |= {path for name in (*LINKED, "bench", "examples") for path in (ROOT / name).rglob("*.py")}
    return sorted({*ROOT.glob("*.py"), *found})


def relative(path: Path) -> str:
    """Name of a file in the repository."""
    return path.relative_to(ROOT).as_posix()


def lines_of(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text().splitlines())


def rooms() -> dict[str, tuple[int, int]]:
    """Files and lines of every room of the product: ``vp_jax``, ``convert``, ``configs`` and the programs."""
    sizes: dict[str, tuple[int, int]] = {}
    for path in source_files():
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("bench", "examples"):
            continue
        module = "/".join(parts[:2]).removesuffix(".py")
        room = module if parts[0] == "vp_jax" and len(parts) == 2 else "/".join(parts[:-1]) or "programs"
        files, lines = sizes.get(room, (0, 0))
        sizes[room] = (files + 1, lines + lines_of(path))
    return dict(sorted(sizes.items(), key=lambda item: -item[1][1]))


def long_files() -> list[Long]:
    """Files outside ``tests/`` of more than `FILE_LINES` lines."""
    found = (Long(relative(path), lines_of(path)) for path in source_files())
    return [file for file in found if file.lines > FILE_LINES]


def functions(path: Path) -> Iterator[Long]:
    """Functions and methods of a file, ``file:Class.name``, with all of their lines."""

    def visit(node: ast.AST, prefix: str) -> Iterator[Long]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield Long(f"{relative(path)}:{name}", (child.end_lineno or child.lineno) - child.lineno + 1)
                yield from visit(child, f"{name}.")
            else:
                yield from visit(child, prefix)

    yield from visit(ast.parse(path.read_text()), "")


def long_functions() -> list[Long]:
    """Functions outside ``tests/`` of more than `FUNCTION_LINES` lines."""
    return [found for path in source_files() for found in functions(path) if found.lines > FUNCTION_LINES]


def imported(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    """Room of a file of ``vp_jax`` in the table `ROWS`; a ``__main__.py`` is a door above all rooms."""
    if path.name == "__main__.py":
        return "__main__"
    return path.relative_to(ROOT / "vp_jax").parts[0].removesuffix(".py")


def imported_room(dotted: str) -> str:
    """Room of an imported module, ``""`` outside of ``vp_jax``."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "vp_jax" and len(parts) > 1 else ""


def upward_imports() -> list[str]:
    """Imports of ``vp_jax`` that do not lead to an earlier row of the table."""
    faults = []
    for path in package_files():
        own = room_of(path)
        for name in sorted(imported(path)):
            there = imported_room(name)
            if name.split(".")[0] in OUTSIDE:
                faults.append(f"{relative(path)} imports {name}")
            elif there not in ROW or there == own or {there, own} <= GROUND:
                continue
            elif ROW[there] >= ROW[own] or (there in ALONE and own not in ALONE[there]):
                faults.append(f"{relative(path)} imports {name}: {own} may not import {there}")
    return faults


def circles() -> list[str]:
    """Modules of ``vp_jax`` that import each other in a circle."""
    modules = {relative(path).removesuffix(".py").replace("/", "."): path for path in package_files()}
    arrows = {name: (imported(path) & set(modules)) - {name} for name, path in modules.items()}
    return _left_in_circles(arrows)


def _left_in_circles(arrows: Mapping[str, set[str]]) -> list[str]:
    """Names that remain when names without arrows to remaining ones are removed again and again, from both ends."""
    left = set(arrows)
    while True:
        ends = {name for name in left if not arrows[name] & left}
        ends |= {name for name in left if not any(name in arrows[other] for other in left)}
        if not ends:
            return sorted(left)
        left -= ends


def main() -> int:
    """Print the figures; 1 if one of them is beyond its limit."""
    sizes = rooms()
    files, total = (sum(column) for column in zip(*sizes.values()))
    print(f"{total} lines in {files} files of vp_jax, convert, configs and the programs\n")
    print(f"{'room':24} {'files':>5} {'lines':>6} {'share':>6}")
    for room, (count, lines) in sizes.items():
        print(f"{room:24} {count:5} {lines:6} {lines / total:6.1%}")
    too_large = [room for room, (_, lines) in sizes.items() if lines / total >= LARGEST_SHARE]
    groups = {
        f"rooms of {LARGEST_SHARE:.0%} or more": too_large,
        f"files over {FILE_LINES} lines": [f"{name} ({lines})" for name, lines in long_files()],
        f"functions over {FUNCTION_LINES} lines": [f"{name} ({lines})" for name, lines in long_functions()],
        "modules in import circles": circles(),
        "imports upward": upward_imports(),
    }
    print()
    for title, found in groups.items():
        print(f"{title}: {', '.join(found) or 'none'}")
    return int(any(groups.values()))


if __name__ == "__main__":
    sys.exit(main())
