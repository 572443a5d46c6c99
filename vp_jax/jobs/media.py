"""A job's files, opened: each frame is decoded once to count and check it, and none is kept; holes are, packed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.digests import of_file, of_json
from vp_jax.inference.inputs import Mask, Video, fit_frames
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.request import Look, check_open_frames, holes_of, keeps_first, with_holes
from vp_jax.inference.task import growth_of
from vp_jax.jobs import packaged
from vp_jax.jobs.events import MediaRead, Note
from vp_jax.jobs.job import Job
from vp_jax.media import masks
from vp_jax.media.cuts import AUTO, CutFinder, check_cuts, cuts_text, parsed_cuts
from vp_jax.media.extend import Border
from vp_jax.media.frames import Frames
from vp_jax.media.images import read_image
from vp_jax.media.mask_check import MaskCheck, check_masks
from vp_jax.media.packed_holes import PackedHoles, equal_holes
from vp_jax.media.stamps import source_files


class Media(NamedTuple):
    """A job's files, whose frames are read when they are asked for.

    Attributes:
      video: the source.
      holes_FHW: bool, True = generated, at the source's size.
      note: how the mask was read, "" if there is nothing to know.
      prompt: embeddings or prompts out of a file.
      first_frame: the image to start from, or `vp_jax.inference.request.ORIGINAL`.
      check: what is odd about the holes.
      digests: of what the model reads of ``video`` and of ``mask``.
      cuts: frames that begin a shot.
      grown: source pixels by which the hole was grown on each side.
      affected_FHW: bool, True = may change because of what is removed; ``None``: not given.
    """

    video: Video
    holes_FHW: Frames
    note: str
    prompt: Prompt | Prompts | None
    first_frame: np.ndarray | str | None
    check: MaskCheck
    digests: dict[str, str]
    cuts: tuple[int, ...] = ()
    grown: int = 0
    affected_FHW: Frames | None = None

    def event(self) -> MediaRead:
        """What is reported of it."""
        area_F, video = self.check.area_F, self.video
        return MediaRead(
            len(video), video.size, video.fps, float(area_F.mean()), int(np.count_nonzero(area_F)), self.note
        )


def cuts_note(media: Media) -> Note:
    """The scene cuts of a job, for people."""
    return Note(
        "cuts", f"a shot begins at frame {cuts_text(media.cuts)}: no window reaches across, nothing is remembered"
    )


def read_media(job: Job) -> Media:
    """Open the files of a job.

    Raises:
      UserError: one of them cannot be used.
    """
    if job.demonstration:
        assert job.mask is not None
        packaged.write_clip(job.video, job.mask)
    prompt: Prompt | Prompts | None = None
    if job.prompt_embeds is not None:
        prompt = Prompt.read(job.prompt_embeds)
    elif job.prompts is not None and job.redo is None:
        prompt = Prompts.read(job.prompts, job.prompt)
    first_frame: Any = job.first_frame
    if job.picture is not None:
        first_frame = read_image(job.picture)
    cuts = parsed_cuts(job.cuts) if job.settings.get("mode") != "reference" or job.cuts != AUTO else ()
    finder = CutFinder() if cuts is None else None
    frames: dict[str, Any] = {"start": job.start, "stop": job.stop, "fps": job.fps, "folder_fps": job.folder_fps}
    video = Video.open(job.video, **frames, seen=finder.add if finder else None)
    mask = None
    if job.mask is not None:
        mask = _opened(job, job.mask, video, job.mask_dilate)
        video, mask = fit_frames(video, mask, job.mask_fit)
    affected_FHW, affected_digest = _affected(job, video)
    extended, holes_FHW = with_holes(video, mask, Look(first_frame=first_frame, task=job.task, extend=job.extend))
    seen = _Seen(extended.border, closed=keeps_first(first_frame))
    packed = PackedHoles(holes_FHW.shape)
    check = check_masks(seen.holes(holes_of(video, mask, task=job.task), packed.add))
    if mask is not None:
        masks.check_extent(empty=not seen.some, full=seen.full)
        check_open_frames(open_frames=int(np.count_nonzero(check.area_F)), first_frame=first_frame)
    digests = {"video": _digest(extended, first_frame), "mask": seen.digest}
    digests |= {} if affected_FHW is None else {"affected": affected_digest}
    grown = 0 if mask is None else growth_of(job.task, video.size) if mask.grow is None else mask.grow
    cuts = (
        check_cuts(cuts or (), len(video)) if finder is None else tuple(cut for cut in finder.cuts if cut < len(video))
    )
    note = mask.note if mask else ""
    return Media(extended, packed, note, prompt, first_frame, check, digests, cuts, grown, affected_FHW)


def _opened(job: Job, path: Path, video: Video, grow: int | None) -> Mask:
    """A mask that is read as the job says."""
    return Mask.open(path, like=video, grow=grow, mask_id=job.mask_id, invert=job.invert_mask, resize=job.mask_resize)


def _affected(job: Job, video: Video) -> tuple[PackedHoles | None, str]:
    """What a removal may change besides its hole, packed, and its digest."""
    if job.affected is None:
        return None, ""
    mask = _opened(job, job.affected, video, 0)
    holes_FHW = fit_frames(video, mask, job.mask_fit)[1].fitted(video)
    packed, seen = PackedHoles(holes_FHW.shape), _Seen(None, closed=False)
    for _ in seen.holes(holes_FHW, packed.add):
        pass
    masks.check_extent(empty=not seen.some, full=False)
    return packed, seen.digest


class _Seen:
    """What a pass over the holes of a mask finds.

    Args:
      border: see `vp_jax.inference.inputs.Video`.
      closed: frame 0 has no hole, because the original is kept there.

    Attributes:
      some, full: a pixel of the mask is hole; every pixel is.
    """

    def __init__(self, border: Border | None, *, closed: bool) -> None:
        self.some, self.full, self._total = False, True, hashlib.sha256()
        self._border, self._closed = border, closed

    def holes(self, holes_FHW: Frames, keep: Callable[[np.ndarray], object]) -> Iterator[np.ndarray]:
        """Pass on the holes of a mask, bool HW, with the border and with frame 0's closed where that is due; and keep
        them."""
        previous_HW: np.ndarray | None = None
        for number, hole_HW in enumerate(holes_FHW):
            self.some, self.full = self.some or bool(hole_HW.any()), self.full and bool(hole_HW.all())
            hole_HW = hole_HW & (number > 0) if self._closed else hole_HW
            hole_HW = hole_HW if self._border is None else self._border.holes(hole_HW[None])[0]
            if previous_HW is None or not equal_holes(hole_HW, previous_HW):
                self._total.update(f"{number} {hole_HW.shape}".encode())
                self._total.update(np.packbits(hole_HW).data)
                previous_HW = hole_HW
            keep(previous_HW)  # the same array again: nobody compares it once more
            yield previous_HW

    @property
    def digest(self) -> str:
        """SHA-256 of the frames at which the holes change, and of their holes."""
        return self._total.hexdigest()


def _digest(video: Video, first_frame: np.ndarray | str | None) -> str:
    """SHA-256 of the source's files, the numbers of its frames, their border and the image to start from."""
    assert video.path is not None
    start = hashlib.sha256(first_frame.data).hexdigest() if isinstance(first_frame, np.ndarray) else first_frame
    numbers = [video.numbers.start, video.numbers.stop, video.numbers.step]
    return of_json([[of_file(Path(file)) for file in source_files(video.path)], numbers, video.border, start])
