"""Names of the package: what is defined twice, and suffixes that are not in the dimension key (vp_jax/shapes.py).

    python -m tests.names

Exit status 1 if a name is defined in two files without a reason, or a suffix has an unknown letter.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.layout import package_files, relative
from vp_jax.shapes import DIMENSIONS

ALLOWED: dict[str, str] = {
    "main": "the entry of a program",
    "run": "every command of vp_jax/cli has one",
    "add_arguments": "every command of vp_jax/cli has one",
    "get_config": "every file of settings has one",
    "attend": "every attention backend has one",
    "RULES": "every table of convert/ has one, looked up by the kind of model",
    "IGNORED": "every table of convert/ has one, looked up by the kind of model",
    "config_from_torch": "every table of convert/ has one, looked up by the kind of model",
    "config_to_torch": "every table of convert/ has one, looked up by the kind of model",
    "torch_shapes": "every table of convert/ may have one, looked up by the kind of model",
    "log": "the logger of a module",
    "T": "a type variable",
}
"""Names that several files may define, with the reason: a protocol that modules share."""

SUFFIX = re.compile(r"_([0-9]*[A-Za-z0-9]+)$")


class Array(NamedTuple):
    """A name with a shape suffix, and its file."""

    file: str
    name: str
    suffix: str


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines at its top level."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def duplicates() -> dict[str, list[str]]:
    """Public names of classes, functions and constants that two files or more define, with the files."""
    files: dict[str, list[str]] = defaultdict(list)
    for path in package_files():
        for name in dict.fromkeys(_defined(ast.parse(path.read_text()))):
            if not name.startswith("_"):
                files[name].append(relative(path))
    return {name: found for name, found in sorted(files.items()) if len(found) > 1 and name not in ALLOWED}


def arrays() -> list[Array]:
    """Parameters and assigned names that carry a shape suffix: lower-case words, then letters with a capital."""
    found: set[Array] = set()
    for path in package_files():
        for node in ast.walk(ast.parse(path.read_text())):
            name = ""
            if isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                name = node.attr
            match = SUFFIX.search(name)
            if match and re.search("[A-Z]", match[1]) and re.search("[a-z]", name[: match.start()]):
                found.add(Array(relative(path), name, match[1]))
    return sorted(found)


def unknown_letters() -> list[str]:
    """Suffixes with a letter that is not in the dimension key."""
    return [
        f"{array.file}: {array.name}"
        for array in arrays()
        if any(letter not in DIMENSIONS and not letter.isdigit() for letter in array.suffix)
    ]


def text_embeddings() -> set[str]:
    """Last letters of the suffixes of arrays of text embeddings: per token (M), named text, empty or negative."""
    texts = [array for array in arrays() if re.match(r"(empty_)?(text|negative|empty|prompt)\w*_", array.name)]
    return {array.suffix[array.suffix.index("M") :] for array in texts if "M" in array.suffix}


def main() -> int:
    """Print what is defined twice and what has an unknown suffix; 1 if there is anything."""
    double, unknown = duplicates(), unknown_letters()
    print(f"{len(arrays())} names with a shape suffix; names defined in two files or more: {len(double)}")
    for name, files in double.items():
        print(f"  {name:20} {' '.join(files)}")
    print(f"suffixes with an unknown letter: {', '.join(unknown) or 'none'}")
    return int(bool(double or unknown))


if __name__ == "__main__":
    sys.exit(main())
