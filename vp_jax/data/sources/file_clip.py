"""A clip of a video and a mask that lie anywhere, as files of any kind that `vp_jax.media` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vp_jax.data.records import BadRecord, ClipInfo, bad_record
from vp_jax.data.sources.scan import Unusable
from vp_jax.errors import UserError
from vp_jax.media.masks import MaskFile
from vp_jax.media.video import VideoInfo, probe, read_frames


@dataclass(frozen=True)
class FileClip:
    """A video file or folder of images with its mask, as a `records.Clip`.

    Attributes:
      video, mask: files or folders; the mask has one frame for each of the video's, or is one image. Without a mask
        there is no hole.
      caption: text; "" trains without one.
      fps: rate of pictures, which state none.
      mask_id: the label that is the hole, None if there is only one.
      start, stop: frames [start, stop) of the video and of the mask; ``stop`` None is the end.
      source: the table and its line, "" for a clip that its files alone describe.
    """

    video: Path
    mask: Path | None
    caption: str
    fps: float = 8
    mask_id: int | None = None
    start: int = 0
    stop: int | None = None
    source: str = ""

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        if not self.source:
            return self.video.name
        label = "" if self.mask_id is None else f"#{self.mask_id}"
        return f"{self.video.name}{label}[{self.start}:{'' if self.stop is None else self.stop}]@{self.source}"

    @property
    def origin(self) -> str:
        """The table or the file that it comes from."""
        return self.source or f"{self.video.parent.name}/{self.video.name}"

    def open(self) -> ClipInfo:
        """Length and rate, from the headers. Raises `BadRecord`."""
        video, _ = self._headers()
        frames = video.frames if self.stop is None else min(self.stop, video.frames)
        if frames <= self.start:
            raise Unusable("too short", f"frames [{self.start}:{self.stop}) are past the end: {video.frames} frames")
        pictures = self.video.is_dir() or video.still
        return ClipInfo(frames - self.start, self.fps if pictures else float(video.fps))

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 FHWC and masks uint8 FHW of these frame numbers. Raises `BadRecord`."""
        at_F = np.asarray(indices_F) + self.start
        with bad_record():
            frames_FHWC = read_frames(self.video, at_F)
            if self.mask is None:
                return frames_FHWC, np.zeros(frames_FHWC.shape[:3], np.uint8)
            masks_FHW = MaskFile(self.mask, self.mask_id).holes(at_F, threads=1).view(np.uint8)
        if masks_FHW.shape[1:] != frames_FHWC.shape[1:3]:
            raise BadRecord(f"masks are {masks_FHW.shape[1:]}, frames {frames_FHWC.shape[1:3]}")
        if not masks_FHW.any():
            raise BadRecord(f"the mask is empty in frames {at_F[0]} to {at_F[-1]}")
        return frames_FHWC, masks_FHW

    def check(self, frames: int = 1, fps: float = 8) -> str:
        """Check all that is known without reading the clip.

        Args:
          frames: of a window; the clip must hold one, see `clips.ChooseWindow`.
          fps: of a window.

        Returns:
          A remark on how video and mask are read, "" if there is none.

        Raises:
          Unusable: no window of it can be used.
        """
        info = self.open()
        kept = len(range(0, info.frames, max(1, int(info.fps // fps))))
        if kept < frames:
            raise Unusable("too short", f"{info.frames} frames at {info.fps:g} fps leave {kept} of the {frames} needed")
        if self.mask is None:
            return self._headers()[0].note or ""
        try:
            remarks = (self._headers()[0].note, MaskFile(self.mask, self.mask_id).check(threads=1))
        except UserError as error:
            raise Unusable("mask not recognised", str(error)) from error
        return "; ".join(remark for remark in remarks if remark)

    def _headers(self) -> tuple[VideoInfo, MaskFile | None]:
        try:
            video = probe(self.video)
        except UserError as error:
            raise Unusable("video not readable", str(error)) from error
        if not video.fps:
            raise Unusable("without frame rate", "the video does not state its frame rate; re-encode it")
        if self.mask is None:
            return video, None
        try:
            mask = MaskFile(self.mask, self.mask_id)
        except UserError as error:
            raise Unusable("mask not recognised", str(error)) from error
        if (mask.height, mask.width) != (video.height, video.width):
            sizes = f"the mask is {mask.width}x{mask.height}, the video {video.width}x{video.height}"
            raise Unusable("mask of another size", f"{sizes}: they need one size")
        if not mask.still and mask.frames != video.frames:
            counts = f"the mask has {mask.frames} frames, the video {video.frames}"
            raise Unusable("mask of another length", f"{counts}: they need one mask per frame, or one image for all")
        return video, mask
