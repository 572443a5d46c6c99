"""The report on the data of a run: ranges in one line, every clip by number, a picture of what the model gets."""

import dataclasses
import json

import numpy as np
from PIL import Image

from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.records import BadRecord, ClipInfo
from vp_jax.data.sources.scan import Finding, ScanReport
from vp_jax.runs.data_report import PICTURE, REPORT, ClipLook, report_line, report_on_data

CFG = LoaderConfig(frames=5, height=16, width=24, augment=MaskAugment(probability=0))


@dataclasses.dataclass(frozen=True)
class Drawn:
    number: int
    origin = "drawn"

    @property
    def id(self):
        return f"clip {self.number}"

    @property
    def caption(self):
        return "word " * (self.number + 2)

    def open(self):
        if self.number == 3:
            raise BadRecord("damaged on purpose")
        return ClipInfo(20 + self.number, 8.0)

    def read(self, indices_F):
        height = 20 + 20 * (self.number % 2)
        masks_FHW = np.zeros((len(indices_F), height, 30), np.uint8)
        masks_FHW[:, : height // 2] = 1
        return np.full((*masks_FHW.shape, 3), 90, np.uint8), masks_FHW


class Source:
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return Drawn(index)


class Words:
    def __call__(self, caption):
        return np.zeros(4, np.int32)

    def unused(self, caption):
        return "too long" if len(caption.split()) > 30 else ""


def test_clips_are_spread_over_the_source_and_described_one_by_one(tmp_path):
    line = report_on_data(tmp_path, Source(), CFG, Words())
    found = json.loads((tmp_path / REPORT).read_text())
    looks = {look["id"]: look for look in found["looked_at"]}
    assert found["clips"] == 40 and len(looks) == 16 and {"clip 0", "clip 39"} <= set(looks)
    assert looks["clip 3"]["error"] == "damaged on purpose"
    assert looks["clip 39"] == {
        **{"id": "clip 39", "frames": 59, "fps": 8.0, "height": 40, "width": 30, "hole": 0.4},
        **{"words": 41, "unread": "too long", "error": ""},
    }, "half of four frames of five: the first one is shown"
    assert line.startswith("16 of 40 clips looked at, 20 to 59 frames of 20 x 30 to 40 x 30, 8 fps, holes 40.0%")
    assert "captions of 2 to 41 words, 5 captions not read completely, 1 cannot be used" in line
    assert found["summary"] in line and str(tmp_path / PICTURE) in line
    with Image.open(tmp_path / PICTURE) as picture:
        assert len({tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}) > 2


def test_no_clip_that_can_be_used_is_reported_and_nothing_is_drawn(tmp_path):
    class Bad(Source):
        def __getitem__(self, index):
            return Drawn(3)

    line = report_on_data(tmp_path, Bad(), CFG)
    assert line.startswith("16 of 40 clips looked at, 16 cannot be used; ") and not (tmp_path / PICTURE).exists()


def test_clips_without_a_hole_are_counted():
    good = ClipLook("a", 9, 8.0, 64, 96, 0.25, 5)
    line = report_line([good, good._replace(hole=0.0)], 2)
    assert line == (
        "2 of 2 clips looked at, 9 frames of 64 x 96, 8 fps, holes 0.0% to 25.0%, median 12.5%, "
        "captions of 5 words, 1 without a hole"
    )


def test_what_a_scan_left_out_is_named_with_its_reason(tmp_path):
    class Scanned(Source):
        report = ScanReport("clips", "41 videos: 40 used, 1 too short", (Finding("x.mp4", "clips/x.mp4", "2 frames"),))

    report_on_data(tmp_path, Scanned(), CFG)
    assert json.loads((tmp_path / REPORT).read_text())["scan"] == {
        "summary": "41 videos: 40 used, 1 too short",
        "left_out": [{"id": "x.mp4", "origin": "clips/x.mp4", "reason": "2 frames", "kind": ""}],
    }
