"""Raw videos to training data: masks, captions, VPData's layout, shards, and a page to look at.

    vp-jax curate VIDEOS OUT                              the paper's thresholds: masks of 30 to 70 % of the picture
    vp-jax curate VIDEOS OUT --config curate:things       smaller things too
    vp-jax curate a/ films.csv addresses.txt OUT --sample 200
    vp-jax curate VIDEOS OUT -- --runner=DaskRunner --dask_client_address=tcp://...

A source is a folder, a video, a .csv (columns video or url; name, source, licence, sha256), a .txt of addresses, or an
address. What is done is not repeated: start the same command again after a crash, or after a change of settings. What
follows -- goes to Beam. The page is OUT/index.html, the journal OUT/journal.jsonl; the last line says how to train.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vp_jax.cli import settings
from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError
from vp_jax.jobs.progress import Progress

if TYPE_CHECKING:
    from vp_jax.curate.run import CurationRun

PAPER_VIDEOS = 450_000
"""Videos that the paper started from."""


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.passes_on = "beam_options"
    inputs = parser.add_argument_group("input")
    inputs.add_argument("sources", nargs="+", metavar="SOURCES", help="folders, videos, .csv, .txt, addresses")
    settings.add_arguments(parser, inputs)
    inputs.add_argument("--sample", type=int, metavar="N", help="a random sample of so many sources, to see what comes")
    outputs = parser.add_argument_group("output")
    outputs.add_argument("out", metavar="OUT", help="folder; what an earlier run did in it is not repeated")
    outputs.add_argument("--videos", type=int, help=f"to extrapolate to; default: {PAPER_VIDEOS:,}, sample: all")
    outputs.add_argument("--price", type=float, default=0.04, help="of a CPU core for an hour; default: 0.04")
    outputs.add_argument("--gpu_rates", metavar="STAGE=N,...", help="frames a GPU does in a second, by stage: mask=40")
    outputs.add_argument("--gpu_price", type=float, default=2.0, help="of a GPU for an hour; default: 2")


def run(args: argparse.Namespace) -> None:
    """Curate, and print the funnel, the costs, and how to train."""
    args.config = args.config or "curate"
    config = settings.read(args)
    assert config is not None
    if args.sample is not None and args.sample < 1:
        raise UserError(f"--sample {args.sample}: expected 1 or more")
    from vp_jax.curate.page import write_curation_page
    from vp_jax.curate.run import curate
    from vp_jax.curate.settings import settings_from
    from vp_jax.curate.sources import list_sources, sample_of
    from vp_jax.curate.speed import costs_of

    chosen = settings_from(config)
    rates = _rates(args.gpu_rates or "", [stage.name for stage in chosen.stages])
    sources = list_sources(args.sources, chosen.licence)
    total = len(sources)
    if args.sample is not None:
        sources = sample_of(sources, args.sample)
        print(f"{len(sources)} of {total} sources, chosen by the digest of their names")
    with Progress() as progress:
        done = curate(sources, args.out, chosen, args.beam_options, progress)
    costs = costs_of(
        done, args.videos or (PAPER_VIDEOS if args.sample is None else total), args.price, rates, args.gpu_price
    )
    write_curation_page(done, costs)
    print("\n".join([*done.funnel.lines(), "", *costs.lines()]))
    for line in _next_steps(done):
        print(line)


def _rates(given: str, stages: Sequence[str]) -> dict[str, float]:
    """Frames a second by the name of a stage. Raises `UserError` for another form, or an unknown stage."""
    rates: dict[str, float] = {}
    for part in filter(None, given.split(",")):
        name, _, value = part.partition("=")
        if name not in stages:
            raise UserError(f"--gpu_rates {part}: expected STAGE=FRAMES with a stage of {', '.join(stages)}")
        try:
            rates[name] = float(value)
        except ValueError:
            rates[name] = 0.0
        if not 0 < rates[name] < 1e9:
            raise UserError(f"--gpu_rates {part}: expected a number of frames above 0 after the =")
    return rates


def _next_steps(done: CurationRun) -> list[str]:
    root = done.root
    lines = [f"{len(done.clips)} clips: {root / 'index.html'} shows them, {root / 'journal.jsonl'} names the rest"]
    if done.shards is not None:
        return [*lines, f"python train.py --config tpu_v4 --config.data.path={done.shards}"]
    return [
        *lines,
        f"python train.py --config tpu_v4 --config.data.kind=csv --config.data.csv={root / 'clips_train.csv'}",
    ]
