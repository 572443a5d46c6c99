"""Making the faults of `tests.mutants`, one at a time in a copy of the tree, and running the tests that notice them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests import mutants
from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", "runs", "out", "nano_out", "dist", "build"
)


def run_tests(tree: Path, tests: str) -> bool:
    """Whether the tests pass in a tree.

    Raises:
      RuntimeError: pytest could not run them.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest {tests}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def mutated(text: str, mutant: Mutant) -> str:
    """The text of a file with the fault.

    Raises:
      ValueError: the line that the fault changes is not there, or is there twice.
    """
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.name}: {mutant.file} has {text.count(mutant.old)} times {mutant.old!r}, expected one"
        )
    return text.replace(mutant.old, mutant.new)


def killed(tree: Path, mutant: Mutant) -> bool:
    """Whether the tests notice the fault; the tree is as before afterwards."""
    file = tree / mutant.file
    text = file.read_text()
    try:
        file.write_text(mutated(text, mutant))
        return not run_tests(tree, mutant.tests)
    finally:
        file.write_text(text)


def table() -> str:
    """Markdown table of the mutants."""
    rows = [f"| `{m.name}` | {m.fault} | `{m.file}` | `{m.tests}` |" for m in MUTANTS]
    return "\n".join(["| mutant | fault | in | noticed by |", "|---|---|---|---|", *rows])


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=mutants.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants to run; default: all")
    parser.add_argument("--list", action="store_true", help="print the table and run nothing")
    args = parser.parse_args(argv)
    known = {mutant.name: mutant for mutant in MUTANTS}
    if args.list:
        print(table())
        return 0
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"no mutant {', '.join(unknown)}: expected some of {', '.join(known)}")
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=LEFT_OUT)
        (ROOT / ".pytest_cache").mkdir(exist_ok=True)
        (tree / ".pytest_cache").symlink_to(ROOT / ".pytest_cache")  # compiled programs
        passing: set[str] = set()
        for mutant in [known[name] for name in args.names] or MUTANTS:
            begin = time.perf_counter()
            if mutant.tests not in passing and not run_tests(tree, mutant.tests):
                raise RuntimeError(f"{mutant.tests} fails without a fault: repair that first")
            passing.add(mutant.tests)
            noticed = killed(tree, mutant)
            survivors += [] if noticed else [mutant.name]
            word = "killed  " if noticed else "SURVIVED"
            print(f"{word} {mutant.name:18} {time.perf_counter() - begin:6.1f} s  {mutant.fault}", flush=True)
    print(f"{len(survivors)} survived{': ' if survivors else ''}{', '.join(survivors)}")
    return int(bool(survivors))
