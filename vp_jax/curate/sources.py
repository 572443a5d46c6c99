"""What is to be curated: folders of videos, tables, and lists of addresses, as records that nobody has opened yet.

    a folder     every video below it, folders of images among them
    .csv         a column video (a path, relative to the table) or url; also name, source, licence, sha256
    .txt         one address per line; lines that start with # are remarks
    a video      itself

``NAME_mask`` is the mask of a video, by the rule of folders of training data, and no source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from vp_jax.curate.record import ClipRecord
from vp_jax.data.sources.folders import MASK, VIDEO_SUFFIXES
from vp_jax.data.sources.tables import TableRow, read_table
from vp_jax.errors import UserError
from vp_jax.media.images import IMAGE_SUFFIXES
from vp_jax.media.inputs import read_text
from vp_jax.reading import show

ADDRESSES = ("http://", "https://")


def list_sources(sources: Sequence[str], licence: str = "") -> list[ClipRecord]:
    """Records of all sources, in their order, those of a folder by name.

    Args:
      sources: see the module.
      licence: of what states none.

    Raises:
      UserError: a source that is not there or holds no video, or two clips of one name.
    """
    records: dict[str, ClipRecord] = {}
    for source in sources:
        found = list(_records(source, licence))
        if not found:
            raise UserError(f"{show(source)}: no video in it, expected files such as {', '.join(_suffixes())}")
        for record in found:
            if record.name in records:
                other = records[record.name].source
                raise UserError(f"{show(record.source)} and {show(other)} are both called {show(record.name)}: rename")
            records[record.name] = record
    return list(records.values())


def _records(source: str, licence: str) -> Iterator[ClipRecord]:
    if source.startswith(ADDRESSES):
        yield _addressed(source, licence)
        return
    path = Path(source)
    if not path.exists():
        raise UserError(f"{show(source)}: no such file or folder; expected a folder of videos, a .csv or a .txt")
    if path.is_dir():
        for file in [path, *sorted(path.rglob("*"))]:
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if not hidden and not file.stem.lower().endswith(MASK) and (_is_video(file) or _holds_images(file)):
                name = file.relative_to(path).as_posix() if file != path else path.name
                yield ClipRecord(name, str(file.absolute()), source=name, licence=licence)
    elif path.suffix.lower() == ".csv":
        table = read_table(path)
        if "url" not in table.header:
            table.require("video")
        for row in table.rows:
            yield _row(row, path.parent, licence)
    elif path.suffix.lower() == ".txt":
        lines = (line.strip() for line in read_text(path).splitlines())
        for line in lines:
            if line and not line.startswith("#"):
                if not line.startswith(ADDRESSES):
                    raise UserError(f"{show(path)}: {show(line)} is no address, expected http:// or https://")
                yield _addressed(line, licence)
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        yield ClipRecord(path.name, str(path.absolute()), source=path.name, licence=licence)
    else:
        raise UserError(f"{show(source)}: expected a folder of videos, a video, a .csv or a .txt of addresses")


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.iterdir())


def _addressed(address: str, licence: str) -> ClipRecord:
    return ClipRecord(address, address, source=address, licence=licence)


def _row(row: TableRow, folder: Path, licence: str) -> ClipRecord:
    cells = {name: cell.strip() for name, cell in row.cells.items()}
    video = cells.get("video") or cells.get("url", "")
    if row.fault or not video:
        raise UserError(f"{row.origin}: {row.fault or 'neither video nor url is given'}")
    file = video if video.startswith(ADDRESSES) else str((folder / video).absolute())
    return ClipRecord(
        cells.get("name") or video,
        file,
        source=cells.get("source") or cells.get("url") or video,
        licence=cells.get("licence") or licence,
        sha256=cells.get("sha256", "").lower(),
    )


def _suffixes() -> list[str]:
    return sorted(VIDEO_SUFFIXES)[:6]


def sample_of(records: Sequence[ClipRecord], count: int) -> list[ClipRecord]:
    """At most ``count`` records, the same ones in every run: those whose names have the lowest digests."""
    chosen = sorted(records, key=lambda record: hashlib.sha256(record.name.encode()).digest())[:count]
    names = {record.name for record in chosen}
    return [record for record in records if record.name in names]
