"""Every setting of the loader changes what it says, and only that: one test per field of `LoaderConfig`.

Each compares the first batches of a loader with those of one that differs in a single field.
"""

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vp_jax.data.augment import MaskAugment
from vp_jax.data.clips import to_model_range
from vp_jax.data.journal import read_journal
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.data.records import BadRecord, ClipInfo
from vp_jax.errors import UserError

HEIGHT, WIDTH, CLIPS = 16, 24, 9
BASE = LoaderConfig(
    batch_size=3,
    seed=1,
    frames=5,
    fps=8,
    height=HEIGHT,
    width=WIDTH,
    augment=MaskAugment(probability=0),
    image_dropout=0.0,
    threads=0,
    prefetch=1,
    max_bad_rate=1.0,
    min_seen=0,
)
PIXELS = ("pixels_BFHWC", "masked_BFHWC")
HOLES = ("masked_BFHWC", "masks_BFHW")
SHAPED = (*PIXELS, "masks_BFHW")
Batches = list[dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Red counts frames by three, green names the clip, blue rises along rows and columns; the hole wanders."""

    number: int
    fps: float
    bad: bool
    reads: list[int]

    origin = "drawn"

    @property
    def id(self) -> str:
        return f"clip {self.number}"

    @property
    def caption(self) -> str:
        return f"number {self.number} read in process {os.getpid()}"

    def open(self) -> ClipInfo:
        if self.bad:
            raise BadRecord("bad on purpose")
        return ClipInfo(60, self.fps)

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.reads.append(threading.get_ident())
        frames_FHWC = np.empty((len(indices_F), 20, WIDTH, 3), np.uint8)
        frames_FHWC[..., 0] = 3 * np.asarray(indices_F)[:, None, None]
        frames_FHWC[..., 1] = 20 * self.number
        frames_FHWC[..., 2] = 7 * np.arange(20)[:, None] + 5 * np.arange(WIDTH)
        masks_FHW = np.zeros(frames_FHWC.shape[:3], np.uint8)
        for mask_HW, index in zip(masks_FHW, indices_F):
            mask_HW[3:11, 2 + index % 6 : 13 + index % 6] = 1
        return frames_FHWC, masks_FHW


@dataclasses.dataclass(frozen=True)
class Source:
    """Clips, some of them bad; ``reads`` has the thread of every one that was read in this process."""

    fps: float = 24.0
    bad: tuple[int, ...] = ()
    reads: list[int] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return CLIPS

    def __getitem__(self, index: int) -> Drawn:
        return Drawn(index, self.fps, index in self.bad, self.reads)


def batches(cfg: LoaderConfig, count: int = 3, source: Source | None = None) -> Batches:
    loader = make_loader(source or Source(), cfg)
    taken = [next(loader) for _ in range(count)]
    loader.close()
    return taken


@pytest.fixture(scope="module")
def plain() -> Batches:
    return batches(BASE)


def numbers(found: Batches, name: str) -> list[Any]:
    return [value for batch in found for value in batch[name].tolist()]


def source_frames(batch: dict[str, np.ndarray]) -> np.ndarray:
    """The numbers of the source frames (B, F), which red counts."""
    return np.rint((batch["pixels_BFHWC"][..., 0].mean((2, 3)) + 1) * 127.5 / 3).astype(int)


# what one field does; a check is given the plain batches and the changed ones


def checks_batch_size(old: Batches, new: Batches) -> None:
    assert [len(batch["id"]) for batch in new] == [2, 2, 2]
    assert numbers(new, "id") == numbers(old, "id")[:6], "the same stream, cut elsewhere"


def checks_seed(old: Batches, new: Batches) -> None:
    assert numbers(new, "id") != numbers(old, "id")
    assert sorted(numbers(new, "id")) == sorted(numbers(old, "id")), "an epoch is an epoch"
    assert not set(numbers(new, "image_sigma")) & set(numbers(old, "image_sigma"))


def checks_frames(old: Batches, new: Batches) -> None:
    assert new[0]["pixels_BFHWC"].shape == (3, 9, HEIGHT, WIDTH, 3) and new[0]["masks_BFHW"].shape[1] == 9
    assert all((np.diff(source_frames(batch)) == 3).all() for batch in (*old, *new))


def checks_fps(old: Batches, new: Batches) -> None:
    assert set(numbers(old, "fps")) == {8} and set(numbers(new, "fps")) == {12}
    assert all((np.diff(source_frames(batch)) == 3).all() for batch in old)
    assert all((np.diff(source_frames(batch)) == 2).all() for batch in new)


def checks_height(old: Batches, new: Batches) -> None:
    assert new[0]["pixels_BFHWC"].shape == (3, 5, 32, WIDTH, 3) and new[0]["masks_BFHW"].shape == (3, 5, 32, WIDTH)
    np.testing.assert_array_equal(source_frames(new[0]), source_frames(old[0]))
    assert new[0]["masks_BFHW"].mean() == pytest.approx(old[0]["masks_BFHW"].mean(), rel=0.1)


def checks_width(old: Batches, new: Batches) -> None:
    assert new[0]["pixels_BFHWC"].shape == (3, 5, HEIGHT, 40, 3) and new[0]["masks_BFHW"].shape == (3, 5, HEIGHT, 40)
    np.testing.assert_array_equal(source_frames(new[0]), source_frames(old[0]))


def checks_resize(old: Batches, new: Batches) -> None:
    """Cut in the middle instead of squeezed: blue rises by 7 a row again, two of twenty rows are gone at each end."""
    blue = (new[0]["pixels_BFHWC"][0, 0, :, 0, 2] + 1) * 127.5
    np.testing.assert_allclose(blue, 7 * np.arange(2, 18), atol=1)
    squeezed = (old[0]["pixels_BFHWC"][0, 0, :, 0, 2] + 1) * 127.5
    assert np.diff(squeezed)[3:-3].mean() == pytest.approx(7 * 20 / 16, abs=0.5)
    np.testing.assert_array_equal(source_frames(new[0]), source_frames(old[0]))


def checks_augment(old: Batches, new: Batches) -> None:
    assert any((a["masks_BFHW"] != b["masks_BFHW"]).any() for a, b in zip(old, new))
    for batch in new:  # one drawing for all frames but the first, whose hole is closed
        assert (batch["masks_BFHW"][:, 1:] == batch["masks_BFHW"][:, 1:2]).all()


def checks_show_first_frame(old: Batches, new: Batches) -> None:
    for a, b in zip(old, new):
        assert not a["masks_BFHW"][:, 0].any() and b["masks_BFHW"][:, 0].any((1, 2)).all()
        np.testing.assert_array_equal(a["masks_BFHW"][:, 1:], b["masks_BFHW"][:, 1:])


def checks_first_frame_dropout(old: Batches, new: Batches) -> None:
    """Frame 0 keeps the hole that it has in the clip; later frames stay as they are."""
    checks_show_first_frame(old, new)
    half = batches(dataclasses.replace(BASE, first_frame_dropout=0.5))
    shown = [not mask_HW.any() for batch in half for mask_HW in batch["masks_BFHW"][:, 0]]
    assert 0 < sum(shown) < len(shown)


def checks_cover_cells(old: Batches, new: Batches) -> None:
    """The holes stay; the latent mask has every cell that they touch in the frames of a latent frame."""
    for a, b in zip(old, new):
        touched = a["masks_BFHW"].reshape(3, 5, HEIGHT // 8, 8, WIDTH // 8, 8).max((3, 5))
        np.testing.assert_array_equal(b["mask"], np.stack([touched[:, 0], touched[:, 1:].max(1)], axis=1))
        assert set(b) - set(a) == {"mask"} and b["mask"].any()


def checks_empty_caption(old: Batches, new: Batches) -> None:
    assert set(numbers(new, "caption")) == {""} and "" not in numbers(old, "caption")


def checks_image_log_sigma(old: Batches, new: Batches) -> None:
    np.testing.assert_allclose(numbers(new, "image_sigma"), np.exp(-1), rtol=1e-6)
    assert len(set(numbers(old, "image_sigma"))) == 9


def checks_image_dropout(old: Batches, new: Batches) -> None:
    assert set(numbers(old, "image_keep")) == {1} and set(numbers(new, "image_keep")) == {0}


def checks_on_device(old: Batches, new: Batches) -> None:
    for a, b in zip(old, new):
        assert b["pixels"].dtype == b["masks"].dtype == np.uint8 and not set(SHAPED) & set(b)
        for name, value in to_model_range(b).items():
            np.testing.assert_array_equal(value, a[name])


def checks_excluded(old: Batches, new: Batches) -> None:
    assert "clip 4" in numbers(old, "id") and "clip 4" not in numbers(new, "id")
    for a, b in zip(numbers(old, "id"), numbers(new, "id")):
        assert a in (b, "clip 4"), "the others stay where they are"


@dataclasses.dataclass(frozen=True)
class Knob:
    """A value other than the plain one, the keys of a batch that it may change, and what has to be true of them."""

    value: Any
    changes: tuple[str, ...]
    check: Callable[[Batches, Batches], None]


EVERYTHING = ("caption", "fps", "id", "image_keep", "image_sigma", *SHAPED)
KNOBS = {
    "batch_size": Knob(2, EVERYTHING, checks_batch_size),
    "seed": Knob(2, EVERYTHING, checks_seed),
    "frames": Knob(9, SHAPED, checks_frames),
    "fps": Knob(12, (*SHAPED, "fps"), checks_fps),
    "height": Knob(32, SHAPED, checks_height),
    "width": Knob(40, SHAPED, checks_width),
    "resize": Knob("center", SHAPED, checks_resize),
    "augment": Knob(
        MaskAugment(1, p_brush=0, p_rect=1, p_ellipse=0, p_circle=0, p_random_brush=0), HOLES, checks_augment
    ),
    "show_first_frame": Knob(False, HOLES, checks_show_first_frame),
    "first_frame_dropout": Knob(1.0, HOLES, checks_first_frame_dropout),
    "cover_cells": Knob(True, ("mask",), checks_cover_cells),
    "empty_caption": Knob(1.0, ("caption",), checks_empty_caption),
    "image_log_sigma": Knob((-1.0, 0.0), ("image_sigma",), checks_image_log_sigma),
    "image_dropout": Knob(1.0, ("image_keep",), checks_image_dropout),
    "excluded": Knob(("clip 4",), EVERYTHING, checks_excluded),
    "on_device": Knob(True, (*SHAPED, "pixels", "masks"), checks_on_device),
}
OTHERS = {"workers", "threads", "prefetch", "journal", "max_bad_rate", "min_seen"}
"""Fields that no batch shows: each has a test of its own below."""


def test_every_field_is_tested():
    assert set(KNOBS) | OTHERS == {field.name for field in dataclasses.fields(LoaderConfig)}


@pytest.mark.parametrize("field", KNOBS)
def test_a_knob_changes_what_it_says_and_only_that(plain, field):
    knob = KNOBS[field]
    assert getattr(BASE, field) != knob.value
    changed = batches(dataclasses.replace(BASE, **{field: knob.value}))
    knob.check(plain, changed)
    for old, new in zip(plain, changed):
        assert set(old) ^ set(new) <= set(knob.changes)
        for name in set(old) - set(knob.changes):
            np.testing.assert_array_equal(new[name], old[name], err_msg=name)


def assert_same(got: Batches, want: Batches, but: tuple[str, ...] = ()) -> None:
    for a, b in zip(got, want, strict=True):
        assert set(a) == set(b)
        for name in set(a) - set(but):
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_workers_read_in_other_processes(plain):
    """The caption says which process read the clip."""
    changed = batches(dataclasses.replace(BASE, workers=1))
    assert_same(changed, plain, but=("caption",))
    here, there = ({text.split()[-1] for text in numbers(found, "caption")} for found in (plain, changed))
    assert here == {str(os.getpid())} and len(there) == 1 and there != here


def test_threads_read_beside_the_training_loop(plain):
    alone, beside = Source(), Source()
    batches(BASE, source=alone)
    assert set(alone.reads) == {threading.get_ident()}, "none: the loop itself reads"
    changed = batches(dataclasses.replace(BASE, threads=3, prefetch=3), count=9, source=beside)
    assert threading.get_ident() not in beside.reads and 1 < len(set(beside.reads)) <= 3
    assert_same(changed[:3], plain)


@pytest.mark.parametrize("prefetch", [2, 5])
def test_prefetch_is_how_many_batches_are_read_ahead(plain, prefetch):
    source = Source()
    loader = make_loader(source, dataclasses.replace(BASE, threads=1, prefetch=prefetch))
    first = next(loader)
    deadline = time.monotonic() + 20
    while len(source.reads) < 3 * (1 + prefetch) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # it would read on, if it were to
    loader.close()
    assert len(source.reads) == 3 * (1 + prefetch)
    assert_same([first], plain[:1])


def test_the_journal_names_what_was_odd_or_left_out(tmp_path):
    """A rate below the wanted one is noted, a bad clip is skipped; batches are the same without a journal."""
    source, journal = Source(fps=5.0, bad=(2, 4)), tmp_path / "journal.jsonl"
    changed = batches(dataclasses.replace(BASE, journal=journal), source=source)
    assert_same(changed, batches(BASE, source=source))
    assert read_journal(journal) == {"clip 2": "bad on purpose", "clip 4": "bad on purpose"}
    assert set(read_journal(journal, "used").values()) == {"5 fps is below 8: every frame is used"}
    assert list(tmp_path.iterdir()) == [journal]


def test_the_rate_of_bad_clips_ends_a_run_or_does_not():
    source = Source(bad=(0, 3, 6))  # a third of all draws
    for rate in (0.1, 0.25):
        with pytest.raises(UserError, match=f"more than the {rate:.1%} that is allowed"):
            batches(dataclasses.replace(BASE, max_bad_rate=rate, min_seen=30), count=40, source=source)
    assert len(batches(dataclasses.replace(BASE, max_bad_rate=0.6, min_seen=30), count=40, source=source)) == 40


def test_how_many_draws_are_seen_before_the_rate_counts():
    source = Source(bad=(0, 3, 6))
    strict = dataclasses.replace(BASE, max_bad_rate=0.0, min_seen=1000)
    assert len(batches(strict, count=40, source=source)) == 40  # at most 120 good ones and as many bad
    with pytest.raises(UserError, match=r"of 2\d records could not be used"):
        batches(dataclasses.replace(strict, min_seen=20), count=40, source=source)
