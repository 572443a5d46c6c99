"""The benchmark of a finished run, opened again, and the places of its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.vpbench.benchmarks import Benchmark, open_benchmark
from vp_jax.vpbench.drawn import DRAWN_GROUPS
from vp_jax.vpbench.methods import FolderMethod
from vp_jax.vpbench.rows import BenchRow, BenchStore


def reopened(description: Mapping[str, Any], data: Path | None = None) -> Benchmark:
    """The benchmark that a description is of.

    Args:
      description: see `BenchStore.description`.
      data: where its files are now; None: where they were.

    Raises:
      UserError: its files are gone.
    """
    settings = description["settings"]
    if data is None and description.get("data"):
        data = Path(description["data"])
    size = settings.get("size")
    return open_benchmark(
        settings["benchmark"],
        data,
        clips=settings.get("clips"),
        groups=settings.get("groups", DRAWN_GROUPS),
        size=(size[0], size[1]) if size else None,
        look=settings.get("look", "flat"),
    )


def result_places(
    stores: Sequence[BenchStore], benchmark: Benchmark, rows: Sequence[BenchRow]
) -> dict[tuple[str, str, int], Path]:
    """Files of results by clip, method and seed; those that are gone are left out."""
    clips = {clip.name: clip for clip in benchmark.clips}
    places: dict[tuple[str, str, int], Path] = {}
    for store in stores:
        folders = store.description().get("folders", {})
        for row in rows:
            if row.clip not in clips:
                continue
            place = store.result_file(row.key)
            if row.method in folders:
                method = FolderMethod(row.method, Path(folders[row.method]), benchmark.results)
                try:
                    place = method.place(clips[row.clip], row.seed, place)
                except UserError:
                    continue
            if place.exists():
                places.setdefault((row.clip, row.method, row.seed), place)
    return places
