"""Fuzz every door: seeded bad input, which must be read or refused in one line, soon and in little memory.

    python -m tests.fuzz --inputs 2000 --seed 0        all doors; a table, and how to repeat every fault
    python -m tests.fuzz --door video --inputs 100     one door
    python -m tests.fuzz --door video --only 17        one input

Exit status 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from collections.abc import Iterable, Sequence

from tests.fuzz.pool import BYTES, FAULTS, SECONDS, Case, Outcome, Worker, run_cases, shares

_ROW = "{:<20}{:>8}{:>9}{:>10}{:>12}{:>9}{:>8}{:>11}{:>11}{:>9}"


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """One row for each door, and the sum."""
    by_door: dict[str, list[Outcome]] = collections.defaultdict(list)
    for outcome in outcomes:
        by_door[outcome.case.door].append(outcome)
    titles = ("door", "inputs", "refused", "accepted", "tracebacks", "unclear", "dead")
    lines = [_ROW.format(*titles, f"over {SECONDS:g} s", f"over {BYTES >> 30} GB", "seconds")]
    everything = [outcome for found in by_door.values() for outcome in found]
    for name, found in [*sorted(by_door.items()), ("all", everything)]:
        count = collections.Counter(outcome.outcome for outcome in found)
        kinds = [count[kind] for kind in ("refused", "accepted", "traceback", "unclear", "crash", "slow", "large")]
        lines.append(_ROW.format(name, len(found), *kinds, f"{sum(outcome.seconds for outcome in found):.0f}"))
    return lines


def described(outcome: Outcome) -> str:
    """A fault: what, how to repeat it, and where it happened."""
    lines = [line for line in outcome.detail.splitlines() if line.strip()]
    places = [line.strip() for line in lines if line.startswith("  File") and ("vp_jax" in line or "convert/" in line)]
    shown = [*places[-2:], *[line[:300] for line in lines[-1:]]]
    return "\n    ".join([f"{outcome.outcome}: {outcome.case.command}", *shown])


def faults_of(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that must not be."""
    return [outcome for outcome in outcomes if outcome.outcome in FAULTS]


def run(cases: Sequence[Case], workers: int, verbose: bool = False) -> list[Outcome]:
    """Run cases and print faults as they come."""
    outcomes = []
    for outcome in run_cases(cases, workers):
        outcomes.append(outcome)
        if outcome.outcome in FAULTS:
            print(described(outcome), flush=True)
        if verbose:
            peak = f"{outcome.peak >> 20} MiB"
            print(f"{outcome.case.command}: {outcome.outcome} {outcome.seconds} s {peak}\n{outcome.detail}", flush=True)
    return outcomes


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=200, help="over all doors; default: 200")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--door", action="append", help="this door alone; may be repeated")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="of one door, this input alone")
    parser.add_argument("--workers", type=int, default=2, help="processes; default: 2")
    parser.add_argument("--verbose", action="store_true", help="print every outcome")
    args = parser.parse_args(argv)
    first = Worker()
    doors = {name: share for name, share in first.doors.items() if not args.door or name in args.door}
    first.close()
    if not doors:
        parser.error(f"no such door: expected among {', '.join(first.doors)}")
    cases = shares(args.inputs, doors, args.seed)
    if args.only:
        cases = [Case(next(iter(doors)), args.seed, number) for number in args.only]
    begin = time.monotonic()
    outcomes = run(cases, max(1, min(args.workers, len(cases))), args.verbose or bool(args.only))
    print("\n".join(table(outcomes)))
    faults = faults_of(outcomes)
    print(f"{len(outcomes)} inputs, {len(faults)} faults, {time.monotonic() - begin:.0f} s, seed {args.seed}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
