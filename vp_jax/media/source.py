"""What a source's video says of itself, so that a result can say the same.

`read_source` reads the first frame. Frame times and the other streams of the file are not part of this record.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av

from vp_jax.errors import UserError
from vp_jax.media.decoded_frame import DecodedFrame
from vp_jax.media.film import film_frames
from vp_jax.media.images import has_usual_colours, image_files, image_info
from vp_jax.media.inputs import is_folder
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.pixels.colour import FULL, UNTAGGED, Colours, Signal, known_matrix
from vp_jax.media.pixels.frame_properties import frame_properties
from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay, content_light_of, mastering_of
from vp_jax.media.pixels.light import DisplayLight, light_of
from vp_jax.media.pixels.pixel_format import PixelFormat, pixel_format
from vp_jax.media.stamps import check_stamps, stamps_of
from vp_jax.reading import show


@dataclasses.dataclass(frozen=True)
class SourceVideo:
    """The video of a source, upright.

    Attributes:
      path: file, or folder of images.
      height, width: in pixels, upright.
      layout: planes of a frame, upright; None where only 8-bit RGB can be read from it.
      colours: its tags.
      site: place of the first chroma sample in luma rows and columns, upright; the usual one where none is stated.
      states_site: the source states one.
      pixel_shape: width to height of a pixel, upright; None if not stated.
      orientation: how stored frames are turned, see `vp_jax.media.decoded_frame.DecodedFrame`.
      top_first: of interlaced video, whether the upper field comes first; None for progressive video.
      mastering, content_light: HDR metadata, if there is some.
      images: a folder, which the model sees as it is, whatever its tags say of HDR.
      notes: what cannot be read of it, one line each.
      stamp: size and time of the files; it changes when they do.
      kept: frames that need not be decoded again.
    """

    path: Path
    height: int
    width: int
    layout: PixelFormat | None
    colours: Colours = UNTAGGED
    site: tuple[float, float] = (0.0, 0.0)
    states_site: bool = False
    pixel_shape: Fraction | None = None
    orientation: tuple[bool, bool, bool] = (False, False, False)
    top_first: bool | None = None
    mastering: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    images: bool = False
    notes: tuple[str, ...] = ()
    stamp: tuple[tuple[int, int], ...] = ()
    kept: KeptFilm | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def matrix(self) -> int:
        """The matrix code, by size where none is stated."""
        return self.colours.matrix_for(self.height, self.width)

    @property
    def signal(self) -> Signal:
        """How the samples of the upright planes stand for colours."""
        full = self.colours.range == FULL
        return Signal(self.matrix, full, self.site, self.light, self.interlaced)

    @property
    def peak(self) -> float | None:
        """Peak of the mastering display in cd/m2."""
        return self.mastering.luminance[1] if self.mastering else None

    @property
    def light(self) -> DisplayLight | None:
        """How the video is shown; None for SDR."""
        return None if self.images else light_of(self.colours.transfer, self.colours.primaries, self.peak)

    @property
    def interlaced(self) -> bool:
        """Even and odd rows are of different times."""
        return self.top_first is not None

    def check_unchanged(self) -> None:
        """Raises:
        UserError: the file is another one than when it was first read.
        """
        check_stamps(self.path, self.stamp)


def read_source(path: str | Path, first: DecodedFrame | None = None) -> SourceVideo:
    """What the video of a file or folder says of itself.

    Args:
      path: of the file or folder.
      first: its first frame, if a film was decoded for that already.

    Raises:
      UserError: it cannot be read.
    """
    path = Path(path)
    stamp, images = stamps_of(path), is_folder(path)
    image = image_info(image_files(path)[0] if images else path)
    if image is None:
        first = first or first_frame(path)
    else:
        first = image_frame(image_files(path)[0] if images else path) if image.frames == 1 else None
    if first is not None:
        described = _described(path, first)
    else:  # APNG, animated WebP, CMYK: read with Pillow, in 8 bits
        assert image is not None
        described = SourceVideo(path, image.height, image.width, PixelFormat("rgb", 8))
    return dataclasses.replace(described, images=images, stamp=stamp)


def image_frame(path: Path) -> DecodedFrame | None:
    """An image as FFmpeg decodes it; None if only Pillow reads its format or its colours."""
    try:
        frame = first_frame(path) if has_usual_colours(path) else None
    except UserError:
        return None
    return frame if frame and pixel_format(frame.frame.format.name) else None


def first_frame(path: Path) -> DecodedFrame:
    """The first frame of a video or image file, as it is decoded. `UserError` if there is none."""
    first = next(film_frames(path, {0}, threads=1), None)
    if first is None:
        raise UserError(f"{show(path)}: no frame in it, expected a video of at least one")
    return first


def _described(path: Path, first: DecodedFrame) -> SourceVideo:
    frame, (exchanged, _, flipped) = first.frame, first.orientation
    height, width = (frame.width, frame.height) if exchanged else (frame.height, frame.width)
    layout, notes = pixel_format(frame.format.name), []
    colours = Colours(frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
    if frame.format.name.startswith("yuvj"):
        colours = colours._replace(range=FULL)
    if layout is None or (layout.family == "yuv" and not known_matrix(colours.matrix)):
        named = frame.format.name if layout is None else f"colour matrix {colours.matrix}"
        return SourceVideo(
            path, height, width, None, notes=(f"format {named} of the source cannot be kept: 8-bit RGB",)
        )
    if frame.format.has_palette:
        layout = layout._replace(alpha=_transparent(frame))
    shown = frame_properties(frame)
    shape = first.pixel_shape or shown.shape
    if shown.interlaced and exchanged:
        notes.append("fields of the interlaced source stand in columns, as it is turned: they are not marked")
    turned, site, repeated = upright_layout(layout, shown.site, first.orientation, (frame.height, frame.width))
    if repeated:
        notes.append(f"format {layout} has no turned twin: chroma is repeated, {turned}")
    return SourceVideo(
        path,
        height,
        width,
        turned,
        colours,
        site,
        shown.states_site,
        1 / shape if shape and exchanged else shape,
        first.orientation,
        None if exchanged or not shown.interlaced else shown.top_first != flipped,
        mastering_of(frame),
        content_light_of(frame),
        notes=tuple(notes),
    )


def upright_layout(
    layout: PixelFormat, site: tuple[float, float], orientation: tuple[bool, bool, bool], size: tuple[int, int]
) -> tuple[PixelFormat, tuple[float, float], bool]:
    """Planes and chroma site of a frame once it is upright, and whether chroma must be repeated to 4:4:4 before.

    Args:
      layout: as stored.
      site: as stored.
      orientation: see `vp_jax.media.decoded_frame.DecodedFrame`.
      size: height and width as stored.
    """
    exchanged, *mirrored = orientation
    step, size = (layout.step[::-1], size[::-1]) if exchanged else (layout.step, size)
    site = site[::-1] if exchanged else site
    cut = any(flip and side % pace for flip, side, pace in zip(reversed(mirrored), size, step))
    if cut or (step == (4, 1)) or (step == (2, 1) and (layout.depth not in (8, 10, 12) or layout.alpha)):
        return layout._replace(step=(1, 1)), (0.0, 0.0), True
    places = [pace - 1 - place if flip else place for flip, pace, place in zip(reversed(mirrored), step, site)]
    return layout._replace(step=step), (places[0], places[1]), False


def _transparent(frame: av.VideoFrame) -> bool:
    return bool((frame.to_ndarray(format="rgba")[..., 3] != 255).any())
