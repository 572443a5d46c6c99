"""Reading of videos: exact counts, rates, sizes; one line for every failure."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import vp_jax.media.film
from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import video
from vp_jax.media.canvas import resize_frames
from vp_jax.media.video_writer import write_video

CLIP = clip_files.moving()


def distance(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean()


@pytest.mark.parametrize(
    "fps, target, step",
    [(24, 8, 3), (25, 8, 3), (clip_files.FPS, 8, 3), (30, 8, 3), (60, 8, 7), (8, 8, 1), (5, 8, 1), (30, None, 1)],
)
def test_thinning_rule(fps, target, step):
    assert video.subsample_step(fps, target) == step


def test_thinning_follows_slicing_and_keeps_the_rate_exact(tmp_path):
    write_video(tmp_path / "in.mkv", clip_files.moving(20), clip_files.FPS)
    every, _ = video.read_video(tmp_path / "in.mkv")
    frames, fps = video.read_video(tmp_path / "in.mkv", start=2, stop=13, fps=8)
    np.testing.assert_array_equal(frames, every[2:13:3])
    assert fps == Fraction(10000, 1001)


def test_variable_rate_keeps_every_frame(tmp_path):
    path = clip_files.encode(tmp_path / "in.mp4", CLIP, fps=Fraction(30), pts=[0, 1, 2, 5, 9, 10, 20, 21])
    frames, fps = video.read_video(path)
    assert len(frames) == 8 and distance(frames, CLIP) < 5
    assert fps < 30
    assert video.probe(path).frames == 8


def test_titles_need_not_be_utf_8(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "bgr0"
        for image in CLIP:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    data = (tmp_path / "in.mkv").read_bytes()
    assert b"TITLE" in data
    (tmp_path / "in.mkv").write_bytes(data.replace(b"TITLE", "Caf\xe9s".encode("latin-1")))
    np.testing.assert_array_equal(video.read_video(tmp_path / "in.mkv")[0], CLIP)


def test_phone_video_comes_upright(tmp_path):
    clip = CLIP.copy()
    clip[:, :24, :32] = (255, 0, 0)  # top left, goes to the top right
    path = clip_files.rotate_header(clip_files.encode(tmp_path / "in.mp4", clip))
    frames, _ = video.read_video(path)
    assert frames.shape == (8, 64, 48, 3)
    assert distance(frames, np.rot90(clip, -1, axes=(1, 2))) < 6
    info = video.probe(path)
    assert (info.height, info.width) == (64, 48)


def test_alpha_is_dropped_over_black(tmp_path):
    rgba = np.concatenate([CLIP, np.full((8, 48, 64, 1), 255, np.uint8)], axis=-1)
    rgba[:, :, 32:, 3] = 0
    rgba[:, :24, :32, 3] = 128
    film = clip_files.encode(tmp_path / "in.mkv", rgba, codec="ffv1")
    stills = clip_files.folder(tmp_path / "frames", rgba)
    for path in (film, stills):
        frames, _ = video.read_video(path)
        np.testing.assert_array_equal(frames[:, 24:, :32], CLIP[:, 24:, :32])
        assert not frames[:, :, 32:].any()
        assert np.abs(frames[:, :24, :32].astype(float) - CLIP[:, :24, :32] * (128 / 255)).max() <= 1


def test_folders_are_read_in_natural_order_past_other_files(tmp_path):
    path = clip_files.folder(tmp_path / "frames", clip_files.moving(12), names="shot1_{}.png")
    (path / "notes.txt").write_text("x")
    (path / ".hidden.png").write_text("x")
    frames, _ = video.read_video(path)
    np.testing.assert_array_equal(frames, clip_files.moving(12))
    np.testing.assert_array_equal(video.read_video(path, start=9, stop=11)[0], clip_files.moving(12)[9:11])


def test_sixteen_bit_grey_is_scaled(tmp_path):
    Image.fromarray(np.full((4, 5), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert (video.read_image(tmp_path / "deep.png") == 40000 >> 8).all()


def missing(tmp_path):
    return tmp_path / "none.mp4"


def text(tmp_path):
    (tmp_path / "a.mp4").write_text("hello")
    return tmp_path / "a.mp4"


def empty_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    return tmp_path / "a.mp4"


def empty_folder(tmp_path):
    (tmp_path / "frames").mkdir()
    return tmp_path / "frames"


def without_picture(tmp_path):
    return clip_files.sound_only(tmp_path / "a.mp4")


def without_index(tmp_path):
    path = clip_files.encode(tmp_path / "a.mp4", clip_files.moving(40))
    path.write_bytes(path.read_bytes()[:-600])
    return path


def damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    path = clip_files.encode(tmp_path / "a.mp4", noise)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20000] = bytes(20000)
    path.write_bytes(data)
    return path


def cut_short(name):
    def make(tmp_path):
        noise = np.random.default_rng(0).integers(0, 255, (90, 48, 64, 3), np.uint8)
        path = clip_files.encode(
            tmp_path / name, noise, container={"movflags": "faststart"} if ".mp4" in name else None
        )
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    make.__name__ = f"cut_short_{name}"
    return make


def mixed_sizes(tmp_path):
    path = clip_files.folder(tmp_path / "frames", CLIP)
    Image.new("RGB", (10, 10)).save(path / "00003.png")
    return path


def changing_size(tmp_path):
    parts = [
        clip_files.encode(tmp_path / f"{n}.ts", clip_files.moving(6, *size)).read_bytes()
        for n, size in enumerate([(48, 64), (64, 96)])
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    return tmp_path / "a.ts"


def broken_image(tmp_path):
    path = clip_files.folder(tmp_path / "frames", CLIP)
    file = path / "00003.png"
    file.write_bytes(file.read_bytes()[:100])
    return path


BAD = [
    (missing, "no such file"),
    (text, "cannot be read as a video"),
    (empty_file, "cannot be read as a video"),
    (empty_folder, "no images in this folder"),
    (without_picture, "no video stream"),
    (without_index, "cannot be read as a video.*complete"),
    (damaged, r"decoding stopped at frame [1-5]\d"),
    (cut_short("a.mp4"), r"decoding stopped at frame [1-5]\d"),
    (cut_short("a.mkv"), r"cut short, decoding stopped at frame [1-5]\d"),
    (mixed_sizes, r"00003\.png: 10x10 pixels, but the frames before it are 64x48"),
    (changing_size, r"a\.ts, frame \d+: 96x64 pixels, but the frames before it are 64x48"),
    (broken_image, r"00003\.png: cannot be read as an image"),
]


@pytest.mark.parametrize("read", [video.read_video, video.stream_video])
@pytest.mark.parametrize("make, message", BAD, ids=[make.__name__ for make, _ in BAD])
def test_bad_videos_give_one_line(tmp_path, make, message, read):
    with pytest.raises(UserError, match=message) as caught:
        read(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return clip_files.encode(tmp_path_factory.mktemp("film") / "clip.mp4", clip_files.moving(40, 48, 66))


@pytest.mark.parametrize("chosen", [{}, {"start": 7}, {"start": 3, "stop": 21}, {"fps": 10, "start": 2, "stop": 33}])
def test_a_streamed_video_has_the_frames_of_a_read_one(film, tmp_path, chosen):
    folder = clip_files.folder(tmp_path / "frames", clip_files.moving(40, 48, 66))
    for source in (film, film.read_bytes(), folder):
        want_FHWC, rate = video.read_video(source, **chosen)
        frames_FHWC, same = video.stream_video(source, **chosen)
        assert frames_FHWC.shape == want_FHWC.shape and same == rate
        np.testing.assert_array_equal(np.stack(frames_FHWC), want_FHWC)
        np.testing.assert_array_equal(frames_FHWC[-2], want_FHWC[-2])


def test_a_film_that_is_reduced_while_it_is_read_looks_like_one_reduced_afterwards(tmp_path):
    large = clip_files.encode(tmp_path / "clip.mp4", clip_files.moving(6, 120, 180))
    frames_FHWC, _ = video.stream_video(large)
    small = frames_FHWC.reduced(64, 96)
    assert small.shape == (6, 64, 96, 3)
    for number in (0, 4):
        assert distance(small[number], resize_frames(frames_FHWC[number][None], 64, 96)[0]) < 2
    folder = clip_files.folder(tmp_path / "frames", clip_files.moving(6, 120, 180))
    assert video.stream_video(folder)[0].reduced(64, 96).shape == (6, 120, 180, 3)


def test_counting_a_film_converts_nothing_and_stops_behind_the_last_frame(film, monkeypatch):
    decoded, plain = [], video.film_frames

    def noted(*given, **options):
        for frame in plain(*given, **options):
            decoded.append(frame.number)
            yield frame

    monkeypatch.setattr(video, "film_frames", noted)
    monkeypatch.setattr("vp_jax.media.film.picture_of", lambda *_: pytest.fail("converted"))
    assert len(video.stream_video(film, stop=12)[0]) == 12 and decoded == list(range(12))


@pytest.mark.parametrize("threads", [0, 1])
def test_frames_by_number_are_those_of_the_film(film, threads):
    every_FHWC, _ = video.read_video(film)
    indices_F = np.array([0, 3, 4, 17, 39])
    for source in (film, film.read_bytes()):
        np.testing.assert_array_equal(video.read_frames(source, indices_F, threads=threads), every_FHWC[indices_F])


def test_frames_by_number_are_those_of_the_folder(tmp_path):
    path = clip_files.folder(tmp_path / "frames", CLIP)
    np.testing.assert_array_equal(video.read_frames(path, np.array([1, 6])), CLIP[[1, 6]])


def test_only_requested_frames_are_converted_and_decoding_stops_behind_the_last(film, monkeypatch):
    times, plain = [], vp_jax.media.film.picture_of
    monkeypatch.setattr(
        vp_jax.media.film, "picture_of", lambda frame, *rest: times.append(frame.pts) or plain(frame, *rest)
    )
    video.read_frames(film, np.array([2, 5]))
    assert len(times) == 2 and times == sorted(times)


def test_the_header_of_bytes_and_file_are_the_same(film):
    info = video.probe(film)
    assert (info.frames, info.height, info.width, info.fps) == (40, 48, 66, clip_files.FPS)
    assert video.probe(film.read_bytes()) == info


def test_films_without_a_frame_count_are_counted(tmp_path):
    assert video.probe(clip_files.encode(tmp_path / "clip.mkv", clip_files.moving(7))).frames == 7


def test_a_frame_behind_the_end_is_named(film, tmp_path):
    for source in (film, clip_files.folder(tmp_path / "frames", clip_files.moving(40, 8, 8))):
        with pytest.raises(UserError, match="ends before frame 41"):
            video.read_frames(source, np.array([0, 41]))


@pytest.mark.parametrize("start, stop", [(-1, None), (4, 4), (8, None), (0, 9)])
def test_ranges_outside_the_video(tmp_path, start, stop):
    path = clip_files.folder(tmp_path / "frames", CLIP)
    with pytest.raises(UserError, match=r"frames -?\d to|start -1: expected 0 to"):
        video.read_video(path, start=start, stop=stop)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_wished_rate_that_is_none(tmp_path, fps):
    with pytest.raises(UserError, match=f"fps {fps}: expected 0.001 to 100000"):
        video.read_video(clip_files.folder(tmp_path / "frames", CLIP), fps=fps)
