"""What a worker process does: videos to pictures, marks to masks, dry runs and jobs.

Each task is a generator. What it yields are new values of fields of a state (`vp_jax.serve.schemas`); closing it
cancels the task.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.jobs import packaged
from vp_jax.media.frames import Frames, Streamed
from vp_jax.media.mask_check import check_masks
from vp_jax.media.masks import MaskFile, dilate, white_on_black
from vp_jax.media.video import VideoInfo, probe, video_pictures
from vp_jax.media.video_writer import write_video
from vp_jax.serve import places
from vp_jax.serve.schemas import Marks
from vp_jax.serve.shelf import ShelfWriter, read_shelf, shelf_length

Update = dict[str, Any]
"""New values of fields."""

MOST_FRAMES = 20_000
"""Frames of a video: eleven minutes at 30 a second. Each is kept as a picture for the page."""
LONGER_SIDE = 960
"""Pixels of the pictures that the page shows, where a video is larger."""
_COLOUR = (255, 122, 61)


def write_example(file: Path) -> str:
    """Write the packaged clip; its prompt."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        clip = Path(folder) / "example.mkv"
        packaged.write_clip(clip, Path(folder) / "mask.mkv")
        clip.rename(file)
    return str(packaged.demonstration(file)["prompt"])


def prepare_video(folder: Path) -> Generator[Update, None, None]:
    """Decode an upload once: its size and rate, and pictures of it for the page.

    Raises:
      UserError: it is no video, damaged or too long.
    """
    with names_hidden(folder):
        info = probe(folder / places.VIDEO)
        _check_length(info)
        yield {
            "state": "preparing",
            "frames": info.frames,
            "width": info.width,
            "height": info.height,
            "fps": float(info.fps),
            "has_sound": info.has_audio,
        }
        count = 0
        with ShelfWriter(folder / places.FRAMES) as shelf:
            for number, picture_HWC in enumerate(_frames(folder / places.VIDEO)):
                if number >= MOST_FRAMES:
                    raise UserError(f"video has more than {MOST_FRAMES} frames: cut it into parts")
                shelf.add(number, jpeg(picture_HWC))
                count = number + 1
                yield {"prepared": count}
        yield {"frames": count, "prepared": count, "state": "ready"}


def _check_length(info: VideoInfo) -> None:
    if info.frames > MOST_FRAMES:
        raise UserError(f"video has {info.frames} frames: expected at most {MOST_FRAMES}, cut it into parts")
    if not info.fps:
        raise UserError("video states no frame rate: write it to mp4 or mkv with one")


def track_mask(folder: Path, video: Path, marks: Marks, backend: str, **options: str) -> Generator[Update, None, None]:
    """Track what marks name through a video, and keep the mask.

    Args:
      folder: of the mask.
      video: folder of the video.
      marks: at least one.
      backend: see `vp_jax.segment.backends`.
      options: of the backend.

    Raises:
      UserError: marks outside of the picture, or words for a backend that knows none.
    """
    from vp_jax.segment.prompts import Box, Point, Words
    from vp_jax.segment.tracking import track

    prompts: list[Box | Point | Words] = [Box(**mark.model_dump()) for mark in marks.boxes]
    prompts += [Point(**mark.model_dump()) for mark in marks.points]
    prompts += [Words(marks.words)] if marks.words else []
    with names_hidden(video, folder):
        found = track(lambda: _frames(video / places.VIDEO), prompts, backend=backend, **options)
        lost: list[tuple[int, int]] = []
        with _MaskShelves(folder) as shelves:
            for tracked in found:
                hole_HW = tracked.labels_HW > 0
                shelves.add(tracked.frame, hole_HW)
                if tracked.lost:
                    lost = with_frame(lost, tracked.frame)
                yield {"state": "tracking", "tracked": tracked.frame + 1, "lost": lost}
        yield _finish_mask(folder, video)


def with_frame(spans: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """Spans of frames, first and last, with one more frame at their end."""
    if spans and spans[-1][1] == number - 1:
        return [*spans[:-1], (spans[-1][0], number)]
    return [*spans, (number, number)]


def read_mask_file(folder: Path, video: Path) -> Generator[Update, None, None]:
    """Take an uploaded mask: a video, or one picture for all frames.

    Raises:
      UserError: it cannot be read, has another size or length, or marks nothing.
    """
    with names_hidden(folder, video):
        file, info = MaskFile(folder / places.UPLOAD), probe(video / places.VIDEO)
        if (file.height, file.width) != (info.height, info.width):
            raise UserError(
                f"mask of {file.width}x{file.height} pixels, the video has {info.width}x{info.height}: "
                "expected one size"
            )
        if not file.still and file.frames != info.frames:
            raise UserError(f"mask of {file.frames} frames, the video has {info.frames}: expected as many, or one")
        file.check()
        holes = file.holes(range(1)) if file.still else file.streamed(range(file.frames))
        with _MaskShelves(folder) as shelves:
            for number in range(info.frames):
                shelves.add(number, holes[0 if file.still else number])
                yield {"state": "tracking", "tracked": number + 1}
        yield _finish_mask(folder, video)


class _MaskShelves:
    """The holes of a mask, and what the page draws of them over the video."""

    def __init__(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = folder

    def __enter__(self) -> _MaskShelves:
        self._holes = self._stack.enter_context(ShelfWriter(self._folder / places.HOLES))
        self._overlays = self._stack.enter_context(ShelfWriter(self._folder / places.OVERLAY))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, number: int, hole_HW: np.ndarray) -> None:
        self._holes.add(number, _png(Image.fromarray(hole_HW)))
        self._overlays.add(number, overlay(hole_HW))


def _finish_mask(folder: Path, video: Path) -> Update:
    """Write the mask as a job reads it, and look for what is odd about it."""
    info = probe(video / places.VIDEO)
    holes = _shelved_holes(folder, info)
    check = check_masks(holes)
    if not check.area_F.any():
        raise UserError("the mask is empty in every frame: mark the thing again, with a box around it")
    write_video(folder / places.MASK, map(white_on_black, holes), Fraction(info.fps))
    from vp_jax.jobs.preview import write_preview

    write_preview(folder / places.SHEET, _shelved_pictures(video, info), holes, check)
    share, odd = float(check.area_F.mean()), list(check.frames)
    notes = [note.replace("`", "").replace("invert_mask", "“mask marks what is kept”") for note in check.notes]
    return {"share": share, "notes": notes, "odd_frames": odd, "state": "ready"}


def overlay(hole_HW: np.ndarray) -> bytes:
    """A PNG of a hole, half transparent with an opaque rim, of the size that the page shows."""
    height, width = hole_HW.shape
    scale = min(1.0, LONGER_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small_HW = np.asarray(Image.fromarray(hole_HW).resize(size, Image.Resampling.NEAREST))
    rim_HW = small_HW & dilate(~small_HW[None], 1 if max(size) < 400 else 2)[0]
    image = Image.fromarray(small_HW.astype(np.uint8) + rim_HW)
    image.putpalette([0, 0, 0, *_COLOUR, *_COLOUR])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes([0, 105, 255]))
    return file.getvalue()


def jpeg(picture_HWC: np.ndarray) -> bytes:
    """A JPEG of a picture, of the size that the page shows; small pictures stay exact enough to be enlarged."""
    image = Image.fromarray(picture_HWC)
    image.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.BILINEAR)
    small = max(image.size) < 400
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95 if small else 85, subsampling=0 if small else 2)
    return file.getvalue()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _frames(path: Path) -> Iterator[np.ndarray]:
    with contextlib.closing(video_pictures(path)) as found:
        for _, _, picture in found:
            yield picture.over_black()


class _Shelved(Streamed):
    """Pictures of a shelf."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        super().__init__((shelf_length(path), *shape))
        self._path = path

    def picture(self, place: int) -> np.ndarray:
        content = read_shelf(self._path, place)
        assert content is not None
        return np.asarray(Image.open(io.BytesIO(content)))


def _shelved_holes(folder: Path, info: VideoInfo) -> Frames:
    return _Shelved(folder / places.HOLES, (info.height, info.width))


def _shelved_pictures(video: Path, info: VideoInfo) -> Frames:
    return _Shelved(video / places.FRAMES, (info.height, info.width, 3))


@contextlib.contextmanager
def names_hidden(*folders: Path) -> Iterator[None]:
    """Context whose errors do not name the server's folders."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for folder in folders:
            text = text.replace(f"{folder}/", "")
        raise UserError(text) from error
