"""Benchmarks: run the embedded methods, score results of any method, tables beside the paper's numbers, a page.

    vp-jax bench run --benchmark world --methods all --steps 8 --seeds 0,1 --out runs/world     needs no files
    vp-jax bench run --benchmark vpbench-s --data VPBench --checkpoint DIR --methods model --out runs/s --shard 0/4
    vp-jax bench inputs --benchmark davis --data VPBench --out inputs      frames, masks and prompts for other programs
    vp-jax bench score --benchmark davis --data VPBench --method ProPainter --results FOLDER --out runs/davis
    vp-jax bench table runs/s runs/s_of_another_host --out tables          merges shards
    vp-jax bench page runs/davis

One row for each clip, method and seed lies in OUT/rows. The same command continues where it stopped; bad clips are
recorded, and the rest goes on. docs/benchmark.md says what a folder of results must hold.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError, escaped

BENCH_NAMES = ("world", "vpbench-s", "vpbench-l", "vpbench-edit", "vpbench-edit-l", "davis", "table")


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    kinds = parser.add_subparsers(dest="step", required=True, metavar="run | inputs | score | table | page")
    run_ = kinds.add_parser("run", help="make results with the embedded methods, score them, write table and page")
    _benchmark_flags(run_)
    run_.add_argument(
        "--methods", default="all", help="mean,telea,ns,diffusion,stretched,stretched_frame,flow,backbone,model, or all"
    )
    run_.add_argument("--checkpoint", type=Path, help="of model and backbone; default: the packaged nano model")
    run_.add_argument("--steps", type=int, help="denoising steps; default: the model's")
    run_.add_argument("--guidance", type=float, help="default: the model's")
    run_.add_argument("--truth_first", action="store_true", help="give every method frame 0 of the truth, if known")
    run_.add_argument("--seeds", default="0", help="with commas, of the methods that have seeds; default: 0")
    run_.add_argument("--shard", default="0/1", metavar="I/N", help="the I-th of N parts of the clips, from 0")
    run_.add_argument("--no_page", action="store_true", help="leave table and page to the commands of these names")
    _score_flags(run_)
    inputs = kinds.add_parser("inputs", help="write the clips for other programs: frames, masks, prompts.csv")
    _benchmark_flags(inputs)
    score = kinds.add_parser("score", help="score results that any program has written")
    _benchmark_flags(score)
    score.add_argument("--method", required=True, help="name of the method in tables")
    score.add_argument("--results", type=Path, help="folder with a video, or a folder of frames, for each clip")
    score.add_argument("--seed", type=int, default=0, help="of these results; default: 0")
    score.add_argument("--cut", action="store_true", help="accept fewer frames than a clip has, and score those")
    score.add_argument("--paste", action="store_true", help="score the result pasted into the source by the mask")
    _score_flags(score)
    table = kinds.add_parser("table", help="CSV, JSON, Markdown and LaTeX of one run, or of several shards")
    table.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of bench run or bench score")
    table.add_argument("--out", type=Path, help="folder of the tables; default: the first RUN")
    _look_flags(table)
    page = kinds.add_parser("page", help="the page: side-by-side videos, worst cases first")
    page.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of bench run or bench score")
    page.add_argument("--out", type=Path, help="the page; default: page.html in the first RUN")
    page.add_argument("--data", type=Path, help="of the benchmark; default: where it was when it was run")
    page.add_argument("--most", type=int, help="show so many clips, the worst ones; default: all")
    _look_flags(page)


def _benchmark_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", choices=BENCH_NAMES, default="world", help="default: world, the drawn one")
    parser.add_argument("--data", type=Path, help="the downloaded folder, or the .csv of a table")
    parser.add_argument("--clips", type=int, help="the first so many; of the drawn world, so many of each group")
    parser.add_argument("--groups", help="of the drawn world: fill,change,shape,add,remove,swap,long")
    parser.add_argument("--size", metavar="HxW", help="at which clips are scored; default: see docs/benchmark.md")
    parser.add_argument("--look", default="lit", help="of the drawn world: lit (default) or flat")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")


def _score_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", help="with commas; default: all of the protocol whose weights are there")
    parser.add_argument("--weights", type=Path, help="folder of converted networks, for the scores that need one")
    parser.add_argument(
        "--vlm", help="model that marks edits: http://HOST:PORT/v1 or local:FOLDER_OR_ID; default: none"
    )
    parser.add_argument("--protocol", default="correct", help="correct (default), or reference: the released columns")


def _look_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", help="method that differences are from; default: the first by name")
    parser.add_argument("--scores", help="columns, with commas; default: all")


def run(args: argparse.Namespace) -> int:
    """Run, write inputs, score, or write tables or the page; 1 if a row failed."""
    return {"run": _run, "inputs": _inputs, "score": _score, "table": _table, "page": _page}[args.step](args)


def _benchmark(args: argparse.Namespace) -> Any:
    from vp_jax.vpbench.benchmarks import open_benchmark
    from vp_jax.vpbench.drawn import DRAWN_GROUPS

    groups = _words(args.groups) or DRAWN_GROUPS
    return open_benchmark(
        args.benchmark, args.data, clips=args.clips, groups=groups, size=_size(args.size), look=args.look
    )


def _run(args: argparse.Namespace) -> int:
    from vp_jax.vpbench.methods import methods_of

    shard, seeds = _shard(args.shard), _seeds(args.seeds)
    settings = {name: getattr(args, name) for name in ("steps", "guidance") if getattr(args, name) is not None}
    checkpoint = args.checkpoint or "nano"
    methods = methods_of(args.methods, args.out, checkpoint, settings, truth_first=args.truth_first)
    bad = _rows(args, methods, seeds, shard)
    if shard[1] == 1 and not args.no_page:
        looks = argparse.Namespace(runs=[args.out], out=None, base=None, scores=None, data=args.data, most=None)
        _table(looks)
        _page(looks)
    return bad


def _score(args: argparse.Namespace) -> int:
    from vp_jax.vpbench.methods import FolderMethod
    from vp_jax.vpbench.rows import check_method_name

    given = _benchmark(args).results if args.results is None else {}
    if args.results is None and not given:
        raise UserError("bench score needs --results, or a table with a column result")
    if args.results is not None and not args.results.is_dir():
        raise UserError(f"--results {args.results}: no such folder")
    folder = args.results or args.data.parent
    return _rows(args, [FolderMethod(check_method_name(args.method), folder, given)], [args.seed], (0, 1))


def _rows(args: argparse.Namespace, methods: list[Any], seeds: list[int], shard: tuple[int, int]) -> int:
    from vp_jax.eval.scores import left_out
    from vp_jax.eval.weights import how_to_get, load_networks
    from vp_jax.vlm import connect
    from vp_jax.vpbench.rows import BenchStore
    from vp_jax.vpbench.runner import BenchRun
    from vp_jax.vpbench.scoring import chosen_scores

    networks: dict[str, Any] = {**load_networks(args.weights)} if args.weights else {}
    if args.vlm:
        networks["vlm"] = connect(args.vlm)
    scores = chosen_scores(_words(args.scores), args.protocol, [*networks])
    for weights, names in left_out(args.protocol, [*networks]).items() if not args.scores else ():
        flag = "" if weights == "vlm" else ", and --weights WEIGHTS"
        print(f"no       {', '.join(names)}: they need {how_to_get(weights)}{flag}")
    options = {"cut": getattr(args, "cut", False), "paste": getattr(args, "paste", False), "data": args.data}
    store = BenchStore(args.out)
    work = BenchRun(_benchmark(args), methods, seeds, scores, store, networks, **options)
    kept = bad = 0
    for done in work.rows(shard):
        kept, bad = kept + done.kept, bad + bool(done.row.error)
        if not done.kept:
            row = done.row
            line = f"{done.number}/{done.total} {row.clip}, {row.method}, seed {row.seed}: {row.error or row.state}"
            print(escaped(line), flush=True)
    print(f"rows     {kept} were finished before, {bad} failed; in {args.out}")
    return int(bad > 0)


def _inputs(args: argparse.Namespace) -> int:
    from vp_jax.vpbench.exported import write_inputs

    bad = 0
    for name, fault in write_inputs(_benchmark(args), args.out):
        bad += bool(fault)
        print(escaped(f"{name}: {fault or 'written'}"), flush=True)
    return int(bad > 0)


def _table(args: argparse.Namespace) -> int:
    from vp_jax.vpbench.results_table import group_tables
    from vp_jax.vpbench.rows import BenchStore, merged_rows
    from vp_jax.vpbench.written_tables import write_tables

    stores = [BenchStore(path) for path in args.runs]
    rows, description = merged_rows(stores), stores[0].description()
    tables = group_tables(rows, description, base=args.base, scores=_words(args.scores))
    for file in write_tables(args.out or args.runs[0], tables, rows, description):
        print(f"wrote    {file}")
    return 0


def _page(args: argparse.Namespace) -> int:
    from vp_jax.vpbench.bench_page import write_page
    from vp_jax.vpbench.reopened import reopened, result_places
    from vp_jax.vpbench.results_table import group_tables
    from vp_jax.vpbench.rows import BenchStore, merged_rows

    stores = [BenchStore(path) for path in args.runs]
    rows, description = merged_rows(stores), stores[0].description()
    tables = group_tables(rows, description, base=args.base, scores=_words(args.scores))
    benchmark = reopened(description, args.data)
    places = result_places(stores, benchmark, rows)
    page = write_page(args.out or args.runs[0] / "page.html", benchmark, rows, tables, places, most=args.most)
    print(f"wrote    {page}")
    return 0


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split(",") if word]


def _seeds(text: str) -> list[int]:
    try:
        found = [int(word) for word in _words(text)]
    except ValueError as error:
        raise UserError(f"--seeds {text}: expected numbers with commas between, such as 0,1,2") from error
    if not found or min(found) < 0:
        raise UserError(f"--seeds {text}: expected numbers of 0 or more, such as 0,1,2")
    return list(dict.fromkeys(found))


def _shard(text: str) -> tuple[int, int]:
    number, sign, count = text.partition("/")
    if not (sign and number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise UserError(f"--shard {text}: expected I/N with I from 0 to N - 1, such as 0/4")
    return int(number), int(count)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, sign, width = text.partition("x")
    if not (sign and height.isdigit() and width.isdigit() and int(height) > 15 and int(width) > 15):
        raise UserError(f"--size {text}: expected HxW in pixels, such as 480x720")
    return int(height), int(width)
