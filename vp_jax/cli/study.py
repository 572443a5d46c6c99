"""A blind preference study of the methods of a benchmark: its page, a server for it, its report.

    vp-jax study build runs/davis --preset paper --out study     50 cases, 30 raters, 5 repeats; from results of bench
    vp-jax study serve study                                     on this machine, until Ctrl-C; answers in study/answers
    vp-jax study report study [answers_7.json ...]               shares, Bradley-Terry strengths, agreement

The page works from the disk too: raters save a file and send it. study/key.json says which video is of which method;
keep it from raters.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError

PRESET_NAMES = ("paper", "small")


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    kinds = parser.add_subparsers(dest="step", required=True, metavar="build | serve | report")
    build = kinds.add_parser("build", help="write the page and its videos")
    build.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of bench run or bench score")
    build.add_argument("--out", type=Path, required=True, help="folder of the study")
    build.add_argument("--methods", help="with commas; default: all with results")
    build.add_argument("--preset", choices=PRESET_NAMES, default="paper", help="default: paper, 50 cases x 30 raters")
    build.add_argument("--cases", type=int, help="default: the preset's")
    build.add_argument("--raters", type=int, help="default: the preset's")
    build.add_argument("--repeats", type=int, help="cases shown twice, to see who looks; default: the preset's")
    build.add_argument("--seed", type=int, default=0, help="of the results, and of all that is random; default: 0")
    build.add_argument("--data", type=Path, help="of the benchmark; default: where it was when it was run")
    serve = kinds.add_parser("serve", help="serve the page on this machine, and store answers")
    serve.add_argument("study", type=Path, metavar="STUDY", help="folder of study build")
    serve.add_argument("--port", type=int, default=8765, help="of 127.0.0.1; default: 8765")
    report = kinds.add_parser("report", help="what the answers say")
    report.add_argument("study", type=Path, metavar="STUDY", help="folder of study build")
    report.add_argument("answers", type=Path, nargs="*", help="files that raters saved, beside those in STUDY/answers")
    report.add_argument("--least_consistency", type=float, default=0.5, help="of raters who count; default: 0.5")


def run(args: argparse.Namespace) -> None:
    """Build, serve or report."""
    {"build": _build, "serve": _serve, "report": _report}[args.step](args)


def _build(args: argparse.Namespace) -> None:
    from vp_jax.vpbench.reopened import reopened, result_places
    from vp_jax.vpbench.rows import BenchStore, merged_rows
    from vp_jax.vpbench.study.built import complete_clips, write_study
    from vp_jax.vpbench.study.design import STUDY_PRESETS, study_plan

    given = {name: getattr(args, name) for name in ("cases", "raters", "repeats")}
    size = dataclasses.replace(STUDY_PRESETS[args.preset], **{k: v for k, v in given.items() if v is not None})
    stores = [BenchStore(path) for path in args.runs]
    rows = merged_rows(stores)
    benchmark = reopened(stores[0].description(), args.data)
    places = result_places(stores, benchmark, rows)
    known = sorted({method for _, method, _ in places})
    methods = [word for word in (args.methods or "").split(",") if word] or known
    for method in methods:
        if method not in known:
            raise UserError(f"--methods {method}: no results of it, expected among {', '.join(known)}")
    plan = study_plan(complete_clips(benchmark, places, methods, args.seed), methods, size, args.seed)
    write_study(args.out, plan, benchmark, places, args.seed)
    print(f"wrote    {args.out / 'index.html'}: {size.cases} cases, {len(methods)} methods, {size.raters} raters")


def _serve(args: argparse.Namespace) -> None:
    from vp_jax.vpbench.study.server import StudyServer

    with StudyServer(args.study, args.port) as server:
        print(f"serving  {server.address} until Ctrl-C; answers go to {args.study / 'answers'}", flush=True)
        server.serve_forever()


def _report(args: argparse.Namespace) -> None:
    from vp_jax.vpbench.study.answers import read_answers
    from vp_jax.vpbench.study.report import report_markdown, study_report, write_report

    answers = read_answers(args.study, args.answers)
    report = study_report(args.study, answers, least=args.least_consistency)
    files = write_report(args.study, report)
    print(report_markdown(report))
    print("wrote    " + ", ".join(map(str, files)))
