"""The difference outside of the hole is that of the written file."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from tests import source_formats
from tests.drawn_planes import generated
from tests.source_formats import Row, holes, write_source
from vp_jax.errors import UserError
from vp_jax.media.fidelity import Fidelity, outside
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.source import read_source


def made(tmp_path, row):
    source = read_source(write_source(row, tmp_path))
    pasting = Pasting(source, range(source_formats.F), lambda _: generated(row.size), holes(row.size))
    write_pasted(tmp_path / f"out{row.out}", pasting, Fraction(24), warn=lambda line: None)
    return tmp_path / f"out{row.out}", pasting


@pytest.mark.parametrize(
    "row, kind",
    [
        (Row("yuv420p10le"), ""),
        (Row("yuva420p"), ""),
        (Row("yuv420p", order=2), ""),
        (Row("rgb48be", "png", "png", ""), " as 16-bit RGB"),
        (Row("yuv420p10le", out=""), " as 16-bit RGB"),
        (Row("yuv420p10le", out="", tags=source_formats.PQ), " as 16-bit RGB"),
    ],
    ids=str,
)
def test_lossless_results_are_unchanged(tmp_path, row, kind):
    assert outside(*made(tmp_path, row)) == Fidelity(3, 0.0, math.inf, kind)


def test_a_difference_is_found_and_counted(tmp_path):
    """One luma sample outside of the hole is changed by 3, one inside by 100."""
    path, pasting = made(tmp_path, Row("yuv420p"))
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    luma = np.frombuffer(frames[0].planes[0], np.uint8).reshape(frames[0].planes[0].height, -1)
    luma[0, 0] += 3
    luma[20, 30] ^= 64
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in frames:
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = outside(path, pasting)
    assert (found.frames, found.largest) == (3, 3.0)
    count = sum(
        (~hole).sum() + 2 * source_formats.shared(hole, (24, 32), Row("yuv420p")).sum() for hole in pasting.holes_FHW
    )
    assert found.psnr == pytest.approx(10 * math.log10(255**2 * count / 9))
    assert found.line.startswith(
        f"outside of the hole {found.psnr:.1f} dB from the source, largest difference 3 of 255"
    )


def test_depth_is_counted_in_levels_of_8_bits(tmp_path):
    path, pasting = made(tmp_path, Row("yuv420p10le", out=".mp4"))
    found = outside(path, pasting)
    assert 0 < found.largest < 30 and found.largest * 4 == round(found.largest * 4) and 35 < found.psnr < 60


def test_another_format_is_compared_as_it_is_shown(tmp_path):
    path, pasting = made(tmp_path, Row("bgr0", out=".mp4"))
    found = outside(path, pasting)
    assert found.kind == " as 8-bit RGB" and 25 < found.psnr < 50


def test_a_result_with_other_frames_is_an_error(tmp_path):
    path, pasting = made(tmp_path, Row("yuv420p"))
    with pytest.raises(UserError, match=r"out\.mkv: has 3 frames when it is read again, expected 4"):
        outside(path, pasting._replace(numbers=range(4), holes_FHW=np.zeros((4, 48, 64), bool)))
