"""Settings and a run of curation that take seconds: tiny drawn videos, the tracker of tests."""

from vp_jax.cli import settings
from vp_jax.curate.run import curate
from vp_jax.curate.settings import settings_from
from vp_jax.curate.sources import list_sources

SMALL = (
    "duplicate_bits=30",
    "collect.least_rows=32",
    "mask.backend=tests.curate.salient_tracker:track",
    "mask_filter.most_lost=0.5",
    "mask_filter.least_area=0.005",
)


def small_settings(*changes):
    """Settings as the command reads them, with ``NAME=VALUE`` on top."""
    config = settings.config_from_file("curate:things")
    for change in (*SMALL, *changes):
        settings.change(config, f"--config.{change}")
    return settings_from(config)


def small_run(sources, root, *changes, beam_options=()):
    """Curate a folder."""
    return curate(list_sources([str(sources)]), root, small_settings(*changes), beam_options)


def output_of(root):
    """Bytes of all that a run gives, by name, without what depends on the time."""
    names = ["clips_train.csv", "provenance.jsonl", "journal.jsonl"]
    files = [root / name for name in names] + sorted((root / "vpdata").rglob("*.*"))
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files if file.is_file()}
