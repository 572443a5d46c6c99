"""The ``vpdata`` builder: Beam in this process, ArrayRecord, read back without TensorFlow."""

import errno
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds

from vp_jax.data.pipeline import make_loader
from vp_jax.data.shards.vpdata_tfds import VpdataConfig, build
from vp_jax.data.sources.tfds_source import VPDataRecords
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError


@pytest.fixture(scope="module")
def csvs(layout):
    """The training CSV with a row too many: its label is in no frame."""
    lines = (layout / "train.csv").read_text().splitlines()
    absent = lines[1].replace(",24,1,", ",24,9,")
    assert absent != lines[1]
    (layout / "more.csv").write_text("\n".join([*lines, absent]) + "\n")
    return {"train": layout / "more.csv"}


@pytest.fixture(scope="module", params=["source", "clips"])
def shards(request, layout, csvs, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    return request.param, build(VpdataConfig(Layout.under(layout), csvs, request.param, frames=9, crf=4), out)


def test_records_are_the_rows(shards, layout):
    content, folder = shards
    direct = {clip.id: clip for clip in VPData.from_csv(layout / "more.csv", Layout.under(layout), frames=9)}
    stored = VPDataRecords(folder)
    assert len(stored) == 8 and {stored[i].id for i in range(8)} < set(direct)
    for number in range(8):
        clip = stored[number]
        stride = 1 if content == "source" else 3
        indices_F = np.array([0, 2, 9])
        frames_FHWC, masks_FHW = clip.read(indices_F)
        want_FHWC, want_FHW = direct[clip.id].read(stride * indices_F)
        assert clip.caption == direct[clip.id].caption and clip.open().fps == 24 / stride
        assert clip.open().frames == 30 / stride
        np.testing.assert_array_equal(masks_FHW, want_FHW)
        np.testing.assert_allclose(frames_FHWC, want_FHWC.astype(int), atol=0 if content == "source" else 16)
        assert np.abs(frames_FHWC - want_FHWC.astype(int)).mean() <= (0 if content == "source" else 1.5)


def test_building_counts_all_records_the_bad_one_too(layout, csvs, tmp_path, capfd):
    build(VpdataConfig(Layout.under(layout), csvs, "source", frames=9), tmp_path)
    shown = capfd.readouterr().err
    assert "train: records" in shown and "9/9" in shown and "<00:00" in shown


def test_what_could_not_be_used_is_named_beside_the_shards(shards):
    (line,) = [line for file in shards[1].glob("bad-train*.jsonl") for line in file.read_text().splitlines()]
    entry = json.loads(line)
    last = 29 if shards[0] == "source" else 27
    assert entry["id"].startswith("more.csv:10 ") and entry["reason"] == f"mask_id 9 is not in frames 0 to {last}"


def test_tfds_reads_it_itself(shards):
    source = tfds.builder_from_directory(shards[1]).as_data_source("train")
    assert len(source) == 8 and set(source[0]) == {"id", "origin", "caption", "fps", "start", "shape", "video", "masks"}


@pytest.mark.slow
def test_the_loader_takes_shards_and_they_travel_to_workers(shards, small):
    records = VPDataRecords(shards[1])
    assert pickle.loads(pickle.dumps(records))[3].id == records[3].id
    serial, workers = make_loader(records, small), make_loader(records, replace(small, workers=1))
    for _ in range(2):
        a, b = next(serial), next(workers)
        assert list(a["id"]) == list(b["id"])
        np.testing.assert_array_equal(a["masked_BFHWC"], b["masked_BFHWC"])
    workers.close()


def test_wrong_folders_and_splits_are_user_errors(shards, tmp_path):
    with pytest.raises(UserError, match="found none"):
        VPDataRecords(tmp_path)
    with pytest.raises(UserError, match="no split 'validation', only train"):
        VPDataRecords(shards[1], "validation")
    with pytest.raises(UserError, match="source or clips"):
        VpdataConfig(Layout.under(tmp_path), content="all")


@pytest.mark.slow
def test_shards_of_nothing_are_refused_with_the_first_reason(layout, tmp_path):
    lines = (layout / "train.csv").read_text().splitlines()
    (layout / "absent.csv").write_text("\n".join(line.replace(",24,1,", ",24,9,") for line in lines) + "\n")
    cfg = VpdataConfig(Layout.under(layout), {"train": layout / "absent.csv"}, frames=9)
    with pytest.raises(UserError, match=r"none of the clips can be used; the first is absent.csv:2 .*: mask_id 9"):
        build(cfg, tmp_path / "out")
    assert not list(tmp_path.rglob("*.array_record*"))


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "mine.txt"])
def test_what_lies_in_the_place_of_the_shards_is_neither_read_nor_changed(name, layout, tmp_path):
    file = tmp_path / "out" / "vpdata" / "1.0.0" / name
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(UserError, match="is built already: remove it"):
        build(VpdataConfig(Layout.under(layout), {"train": layout / "train.csv"}, frames=9), tmp_path / "out")
    assert file.read_text() == "{"


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(layout, tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"1\.0\.0: cannot be written \(No space left on device\)"):
        build(VpdataConfig(Layout.under(layout), {"train": layout / "train.csv"}, frames=9), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "vpdata").iterdir()] == [".1.0.0.lock"]


@pytest.mark.slow
def test_neither_tensorflow_nor_torch_is_imported_to_read_or_build():
    names = ("shards.vpdata_tfds", "shards.latents_tfds", "pipeline", "sources.tfds_source")
    modules = ", ".join(f"vp_jax.data.{name}" for name in names)
    script = f"import sys, {modules}; print([name for name in ('tensorflow', 'torch') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
