"""Pack: the masks of a clip in the forms of the output, without the things that were filtered out.

all_masks.npz     arr_0, labels (F, H, W), as VPData has them; deflated, so that it is no terabyte
labels.mkv        the same as a lossless video
thing_1.mkv       one thing, white on black, as our own tables of files take masks
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vp_jax.curate.labels_video import read_labels, write_labels
from vp_jax.curate.record import ClipRecord, StagePlace

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of files in archives: equal masks give equal bytes."""


@dataclass(frozen=True)
class PackMasks:
    """The stage.

    Attributes:
      npz: also write ``all_masks.npz``, which the original reads.
    """

    npz: bool = True

    name: ClassVar[str] = "pack"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        things = [int(thing) for thing in clip.things]
        source = place.path(clip.masks)
        write_labels(place.folder / "labels.mkv", _only(source, things), clip.rate)
        for thing in things:
            white = ((labels_HW == thing).astype(np.uint8) * 255 for labels_HW in _only(source, things))
            write_labels(place.folder / f"thing_{thing}.mkv", white, clip.rate)
        if self.npz:
            _write_npz(place.folder / "all_masks.npz", _only(source, things), (clip.frames, clip.height, clip.width))
        return [clip.but(masks=place.called("labels.mkv"))]


def _only(source: Path, things: list[int]) -> Iterator[np.ndarray]:
    for labels_HW in read_labels(source):
        yield np.where(np.isin(labels_HW, things), labels_HW, 0).astype(np.uint8)


def _write_npz(file: Path, labels: Iterator[np.ndarray], shape: tuple[int, int, int]) -> None:
    """What ``np.savez_compressed(file, labels_FHW)`` writes, frame by frame and without the time of day."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("arr_0.npy", _EPOCH)
        member.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(member, "w", force_zip64=True) as stream:
            stream.write(header.getvalue())
            for labels_HW in labels:
                stream.write(labels_HW.tobytes())
