"""Two hundred bad inputs of twenty-five kinds among sixty good ones: the loader runs on, and every one is named."""

import re

import av
import numpy as np
import pytest

from tests.data.make_vpdata_layout import LayoutWriter, caption_of, draw_clip
from vp_jax.data.journal import Journal
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.data.records import BadRecord, load_record
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError

EACH = 8


def encode(folder, frames_FHWC, faststart: bool) -> bytes:
    """mp4 with its index in front (a cut file opens and ends early) or at the end (a cut file does not open)."""
    file = folder / "encoded.mp4"
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(file), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "5", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames_FHWC.shape[1:3], "yuv420p"
        for image_HWC in frames_FHWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode())
    return file.read_bytes()


def video(damage):
    """A kind that rewrites the video's bytes."""
    return lambda row, video_file, mask_file, n: video_file.write_bytes(damage(video_file.read_bytes(), n))


def labels(damage, *keys):
    """A kind that rewrites the label map, under other names if there are any."""

    def apply(row, video_file, mask_file, n):
        with np.load(mask_file) as file:
            labels_FHW = file["arr_0"]
        np.savez_compressed(mask_file, **{key: damage(labels_FHW, n) for key in keys or ("arr_0",)})

    return apply


def mask_bytes(damage):
    return lambda row, video_file, mask_file, n: mask_file.write_bytes(damage(mask_file.read_bytes(), n))


def cell(name, *values):
    """A kind that rewrites a cell of the row."""
    return lambda row, video_file, mask_file, n: row.update({name: values[n % len(values)]})


KINDS = {
    "cut video": (video(lambda b, n: b[: int(len(b) * (0.2 + 0.05 * n))]), "cannot be read|cut short|damaged|leave"),
    "garbage video": (video(lambda b, n: bytes(np.random.default_rng(n).integers(0, 256, 900, np.uint8))), "cannot be"),
    "empty video": (video(lambda b, n: b""), "cannot be read"),
    "text video": (video(lambda b, n: b"<html>404 not found</html>" * (n + 1)), "cannot be read"),
    "no video": (lambda row, video_file, mask_file, n: video_file.unlink(), "no such file"),
    "wrong key": (labels(lambda x, n: x, "a", "masks"), r"holds a, masks, expected arr_0"),
    "float labels": (
        labels(lambda x, n: x.astype([np.float32, np.float64][n % 2])),
        "float(32|64) of shape .* expected integers",
    ),
    "text labels": (labels(lambda x, n: x.astype(str)), "<U"),
    "object labels": (labels(lambda x, n: np.array([None] * (n + 1))), "holds object"),
    "flat labels": (
        labels(lambda x, n: x[0] if n % 2 else x[..., None]),
        r"shape \(.*expected integers \(frames, height, width\)",
    ),
    "other size": (labels(lambda x, n: x[:, : 20 + n]), "masks are .* the video is"),
    "transposed": (labels(lambda x, n: x.transpose(0, 2, 1)), "masks are .* the video is"),
    "few masks": (labels(lambda x, n: x[: 3 + n]), "leave . of the 9 needed"),
    "empty labels": (labels(lambda x, n: x[:0]), "past the end|leave"),
    "cut masks": (
        mask_bytes(lambda b, n: b[: len(b) * (n + 1) // 10]),
        "all_masks.npz: cannot be read as a NumPy file",
    ),
    "garbled masks": (mask_bytes(lambda b, n: b[:70] + bytes(40) + b[110:]), "all_masks.npz"),
    "no masks": (lambda row, video_file, mask_file, n: mask_file.unlink(), "all_masks.npz: no such file"),
    "absent id": (cell("mask_id", 3, 99, -1, 255), "mask_id -?[0-9]+ is not in frames"),
    "odd id": (cell("mask_id", 1.5, "dog", "nan", ""), "integers|not four numbers|not finite"),
    "bad fps": (cell("fps", "nan", "inf", -24, "fast"), "not finite|fps is -24|not four numbers"),
    "no caption": (cell("caption", "", "   "), "caption is empty"),
    "bad range": (cell("end_frame", 0, -5, "inf", 0.5), "not a range|not finite|integers"),
    "late range": (lambda row, *_: row.update(start_frame=500, end_frame=600), "past the end"),
    "bad path": (cell("path", "", "clip.avi", "a/b.0.mp4", "000000000999.0.mp4"), "path|no such file"),
    "short row": (lambda row, *_: [row.pop(name) for name in ("caption", "mask_id")], "not four numbers"),
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """The layout, and ``{origin: (kind, pattern of the reason)}`` of its bad rows."""
    data = tmp_path_factory.mktemp("damaged")
    writer, wanted = LayoutWriter(data), {}
    frames_FHWC, labels_FHW = draw_clip(30, 32, 48)
    videos = [encode(data, frames_FHWC, faststart) for faststart in (False, True)]
    for kind, (damage, pattern) in [*KINDS.items(), ("good", (None, ""))]:
        for n in range(EACH if damage else 60):
            _, video_file, mask_file = writer.files()
            row = writer.add(videos[n % 2], labels_FHW, 24, caption_of(kind))
            if damage:
                damage(row, video_file, mask_file, n)
                wanted[f"train.csv:{len(writer.rows) + 1}"] = (kind, pattern)
    writer.write("train.csv")
    return data, wanted


@pytest.mark.slow
def test_every_bad_input_is_named_and_the_loader_runs_on(damaged, tmp_path):
    data, wanted = damaged
    assert len(wanted) == 200
    source = VPData.from_csv(data / "train.csv", Layout.under(data), frames=9)
    assert len(source) == 260
    journal = tmp_path / "bad.jsonl"
    cfg = LoaderConfig(batch_size=4, frames=9, height=16, width=24, threads=0, journal=journal, max_bad_rate=1.0)
    loader = make_loader(source, cfg)
    for _ in range(260 // 4):
        assert next(loader)["pixels_BFHWC"].shape == (4, 9, 16, 24, 3)
    named: dict[str, str] = {}
    for line in journal.read_text().splitlines():
        origin, reason = re.search(r'"origin": "(.*?)", "reason": "(.*)"', line).groups()
        named.setdefault(origin, reason)
    assert set(named) == set(wanted)
    for origin, (kind, pattern) in wanted.items():
        assert re.search(pattern, named[origin]), f"{kind}: {named[origin]}"


def test_low_frame_rates_are_used_and_noted(damaged, tmp_path):
    data, _ = damaged
    lines = (data / "train.csv").read_text().splitlines()
    (data / "slow.csv").write_text("\n".join([lines[0], *(line.replace(",24,", ",5,") for line in lines[-8:])]))
    source = VPData.from_csv(data / "slow.csv", Layout.under(data), frames=9)
    journal = tmp_path / "bad.jsonl"
    cfg = LoaderConfig(batch_size=4, frames=9, height=16, width=24, threads=0, journal=journal)
    loader = make_loader(source, cfg)
    assert (next(loader)["fps"] == 5).all() and (next(loader)["fps"] == 5).all()
    assert journal.read_text().count('"kind": "used"') == 8 and "5 fps is below 8" in journal.read_text()


@pytest.mark.parametrize("target", ["video", "mask"])
def test_flipped_bytes_give_bad_records_and_nothing_worse(damaged, tmp_path, target):
    """Decoders may conceal damage; what they cannot conceal is a `BadRecord`, never another exception."""
    writer, rng = LayoutWriter(tmp_path), np.random.default_rng(0)
    frames_FHWC, labels_FHW = draw_clip(30, 32, 48)
    clean, bad = encode(tmp_path, frames_FHWC, True), 0
    for _ in range(40):
        _, video_file, mask_file = writer.files()
        writer.add(clean, labels_FHW, 24, caption_of("flipped"))
        file = video_file if target == "video" else mask_file
        content = np.frombuffer(file.read_bytes(), np.uint8).copy()
        content[rng.integers(0, len(content), size=12)] ^= rng.integers(1, 256, size=12, dtype=np.uint8)
        file.write_bytes(content.tobytes())
    for clip in VPData.from_csv(writer.write(), Layout.under(tmp_path), frames=9):
        try:
            load_record(clip, stride=3)
        except BadRecord:
            bad += 1
    assert bad >= 10


def test_the_journal_s_default_rate_would_have_ended_this_run(damaged):
    data, _ = damaged
    source = VPData.from_csv(data / "train.csv", Layout.under(data), frames=9)
    cfg = LoaderConfig(batch_size=4, frames=9, height=16, width=24, threads=0)
    assert Journal().max_rate == cfg.max_bad_rate == 0.05
    loader = make_loader(source, cfg)
    with pytest.raises(UserError, match=r"more than the 5\.0% that is allowed"):
        for _ in range(100):
            next(loader)
