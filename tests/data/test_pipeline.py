"""The loader: one stream whatever the number of workers and hosts, exact resume, bad records replaced and named."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from vp_jax.data.journal import read_journal
from vp_jax.data.pipeline import LoaderConfig, make_loader, stack
from vp_jax.data.records import BadRecord, ClipInfo
from vp_jax.errors import UserError


def take(loader, count: int) -> list[dict]:
    batches = [next(loader) for _ in range(count)]
    loader.close()
    return batches


def assert_same(got: list[dict], want: list[dict]) -> None:
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert set(a) == set(b)
        for key in a:
            assert a[key].dtype.kind == b[key].dtype.kind, key
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_batches_are_what_training_expects(source, small):
    (batch,) = take(make_loader(source, small), 1)
    assert batch["pixels_BFHWC"].shape == batch["masked_BFHWC"].shape == (2, 9, 32, 48, 3)
    assert batch["masks_BFHW"].shape == (2, 9, 32, 48)
    for key in ("pixels_BFHWC", "masked_BFHWC", "masks_BFHW", "image_sigma", "image_keep"):
        assert batch[key].dtype == np.float32
    assert set(np.unique(batch["masks_BFHW"])) == {0, 1}
    hole = batch["masks_BFHW"] == 1
    assert (batch["masked_BFHWC"][hole] == -1).all()
    np.testing.assert_array_equal(batch["masked_BFHWC"][~hole], batch["pixels_BFHWC"][~hole])
    assert not hole[:, 0].any()
    assert -1 <= batch["pixels_BFHWC"].min() and batch["pixels_BFHWC"].max() <= 1
    assert all("number" in caption for caption in batch["caption"]) and len(set(batch["id"])) == 2


def test_an_epoch_shows_every_record_once_and_epochs_differ(source, small):
    ids = [batch["id"] for batch in take(make_loader(source, small), 8)]
    first, second = np.concatenate(ids[:4]), np.concatenate(ids[4:])
    assert sorted(first) == sorted(second) == sorted(source[i].id for i in range(8))
    assert list(first) != list(second)


def test_the_same_seed_gives_the_same_stream_and_another_another(source, small):
    want = take(make_loader(source, small), 3)
    assert_same(take(make_loader(source, small), 3), want)
    other = take(make_loader(source, replace(small, seed=7)), 3)
    assert any((a["pixels_BFHWC"] != b["pixels_BFHWC"]).any() for a, b in zip(other, want))


def test_every_example_has_draws_of_its_own(source, small):
    batches = take(make_loader(source, replace(small, image_dropout=0.5)), 16)
    sigmas, kept = (np.concatenate([batch[name] for batch in batches]) for name in ("image_sigma", "image_keep"))
    assert len(set(sigmas.tolist())) == 32 and set(kept.tolist()) == {0, 1}


def test_resume_gives_the_next_batch_bit_for_bit(source, small):
    want = take(make_loader(source, small), 6)
    loader = make_loader(source, small)
    for _ in range(3):
        next(loader)
    state = loader.get_state()
    assert loader.records == len(source)
    assert state == {"step": 3}
    fresh = make_loader(source, small)
    fresh.set_state(state)
    assert_same(take(fresh, 3), want[3:])
    loader.set_state({"step": 1})  # also backwards, in the same loader
    assert_same(take(loader, 2), want[1:3])


@pytest.mark.slow
def test_worker_processes_change_nothing_not_even_after_a_resume(source, small):
    want = take(make_loader(source, small), 5)
    workers = replace(small, workers=2)
    loader = make_loader(source, workers)
    assert_same(take(loader, 3), want[:3])
    fresh = make_loader(source, workers)
    fresh.set_state(loader.get_state())
    assert_same(take(fresh, 2), want[3:])


def test_batches_of_one(source, small):
    ones, twos = take(make_loader(source, replace(small, batch_size=1)), 4), take(make_loader(source, small), 2)
    assert [str(batch["id"][0]) for batch in ones] == [str(name) for batch in twos for name in batch["id"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "waiting",
    ["first.is_alive()", "len(multiprocessing.active_children()) < 2"],
    ids=["for a batch", "for processes that still import"],
)
def test_workers_end_when_their_parent_is_killed(layout, tmp_path, waiting):
    script = tmp_path / "endless.py"
    script.write_text(
        "import multiprocessing, os, signal, threading, time\n"
        "from vp_jax.data.pipeline import LoaderConfig, make_loader\n"
        "from vp_jax.data.sources.vpdata import Layout, VPData\n"
        "if __name__ == '__main__':\n"
        f"    source = VPData.from_csv({str(layout / 'train.csv')!r}, Layout.under({str(layout)!r}), frames=9)\n"
        "    loader = make_loader(source, LoaderConfig(2, frames=9, height=32, width=48, workers=2))\n"
        "    first = threading.Thread(target=next, args=(loader,), daemon=True)\n"
        "    first.start()\n"
        f"    while {waiting}:\n"
        "        time.sleep(0.01)\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    log = tmp_path / "out.txt"
    with open(log, "w") as out:  # a file: workers that outlive their parent would hold a pipe open
        subprocess.run([sys.executable, str(script)], stdout=out, env=environment, check=False)
    workers = [int(pid) for pid in log.read_text().split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 120
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(alive(pid) for pid in workers)


def alive(pid: int) -> bool:
    """Whether this process runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_threads_change_nothing(source, small):
    assert_same(take(make_loader(source, replace(small, threads=3)), 4), take(make_loader(source, small), 4))


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_out_the_same_global_batch(source, small, processes):
    cfg = replace(small, batch_size=4)
    whole = take(make_loader(source, cfg), 2)
    shares = [take(make_loader(source, cfg, process, processes), 2) for process in range(processes)]
    for step, want in enumerate(whole):
        for process in range(processes):
            rows = slice(process * 4 // processes, (process + 1) * 4 // processes)
            assert_same([shares[process][step]], [{key: value[rows] for key, value in want.items()}])


def test_processes_must_divide_the_batch(source, small):
    with pytest.raises(UserError, match="batch_size 2: expected a multiple of the 3 processes"):
        make_loader(source, small, 0, 3)


def test_on_device_batches_stay_in_uint8(source, small):
    (batch,) = take(make_loader(source, replace(small, on_device=True)), 1)
    assert batch["pixels"].dtype == batch["masks"].dtype == np.uint8 and "pixels_BFHWC" not in batch


def test_captions_become_token_ids(source, small):
    (batch,) = take(make_loader(source, small, tokenizer=lambda text: np.full(6, len(text))), 1)
    assert batch["input_ids"].shape == (2, 6) and batch["input_ids"].dtype == np.int32
    assert list(batch["input_ids"][:, 0]) == [len(caption) for caption in batch["caption"]]


def test_other_states_are_refused(source, small):
    with pytest.raises(UserError, match="loader state"):
        make_loader(source, small).set_state({"next_index": 3})


@dataclass(frozen=True)
class Drawn:
    """A clip that costs nothing; every third is bad."""

    number: int

    caption = "a caption"
    origin = "here"

    @property
    def id(self) -> str:
        return f"clip {self.number}"

    def open(self) -> ClipInfo:
        if self.number % 3 == 0:
            raise BadRecord("every third is bad")
        return ClipInfo(20, 4.0 if self.number == 1 else 8.0)

    def read(self, indices_F):
        frames_FHWC = np.full((len(indices_F), 8, 8, 3), self.number, np.uint8)
        return frames_FHWC, np.ones(frames_FHWC.shape[:3], np.uint8)


class DrawnSource:
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Drawn:
        return Drawn(index)


@pytest.fixture
def tiny() -> LoaderConfig:
    return LoaderConfig(batch_size=4, frames=9, height=8, width=8, threads=0, max_bad_rate=0.9)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_bad_records_are_replaced_and_named(tiny, tmp_path, workers):
    journal = tmp_path / "bad.jsonl"
    batches = take(make_loader(DrawnSource(), replace(tiny, journal=journal, workers=workers)), 6)
    assert all(int(name.split()[1]) % 3 for batch in batches for name in batch["id"])
    assert_same(batches, take(make_loader(DrawnSource(), tiny), 6))
    # worker processes run ahead, so they may have met more of them
    assert set(read_journal(journal)) == {f"clip {number}" for number in (0, 3, 6, 9)}
    assert set(read_journal(journal).values()) == {"every third is bad"}
    assert list(read_journal(journal, "used")) == ["clip 1"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_bad_records_end_the_run(tiny, tmp_path, workers):
    cfg = replace(tiny, max_bad_rate=0.1, min_seen=10, journal=tmp_path / "bad.jsonl", workers=workers)
    with pytest.raises(UserError, match=r"more than the 10\.0% that is allowed"):
        take(make_loader(DrawnSource(), cfg), 50)


def test_an_empty_source_is_a_user_error(tiny):
    with pytest.raises(UserError, match="is empty"):
        make_loader([], tiny)


def test_a_batch_lies_in_one_piece_whatever_its_examples_do():
    """Only such arrays leave a worker through shared memory."""
    frames_FHWC = np.arange(24).reshape(3, 2, 2, 2).transpose(3, 0, 1, 2)
    batch = stack([{"pixels": frames_FHWC, "caption": "a"}] * 2)
    assert not frames_FHWC.flags.c_contiguous and batch["pixels"].flags.c_contiguous
    np.testing.assert_array_equal(batch["pixels"][1], frames_FHWC)
