"""A run: planted faults are named, cuts are found, masks agree with the truth, and the output is VPData's."""

import json

import numpy as np
import pytest

from tests.curate.agreement import agreements
from tests.curate.small_run import output_of, small_run
from vp_jax.curate.store import KEPT, StageStore
from vp_jax.data.sources.clip_table import open_csv
from vp_jax.data.sources.tfds_source import VPDataRecords
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError
from vp_jax.media.video import read_video

pytestmark = pytest.mark.slow


def journal_of(root):
    return [json.loads(line) for line in (root / "journal.jsonl").read_text().splitlines()]


def test_every_planted_fault_is_found_and_named(drawn, done):
    lines = {(line["clip"], line["stage"]): line for line in journal_of(done.root)}
    faulty = [video for video in drawn[1] if video.stage]
    assert len(faulty) == 8
    for video in faulty:
        line = lines[video.name, video.stage]
        assert line["outcome"] != KEPT and video.fault in line["reason"], line
    broken = [video.name for video in faulty if video.name.startswith("broken")]
    assert {lines[name, "collect"]["outcome"] for name in broken} == {"failed"} and len(broken) == 3


def test_cuts_of_a_stitched_film_are_found_and_nothing_else_is(drawn, done):
    true = {(video.name, cut) for video in drawn[1] for cut in video.cuts}
    found = {
        (step.clip.name, cut)
        for step in done.steps
        if step.stage.name == "cuts"
        for cut in step.outcome.records[0].cuts
    }
    hits = len(true & found)
    assert len(true) == 4 and hits / len(true) >= 0.95 and hits / len(found) >= 0.95


def test_pieces_hold_the_frames_of_their_source_exactly(drawn, done):
    pieces = [written.clip for written in done.clips if written.clip.source.startswith("film")]
    assert len(pieces) >= 3 and any(piece.start for piece in pieces)
    for piece in pieces:
        source_FHWC, _ = read_video(drawn[0] / piece.source, start=piece.start, stop=piece.stop)
        piece_FHWC, rate = read_video(done.root / piece.video)
        assert rate == 8 and np.array_equal(piece_FHWC, source_FHWC), (piece.name, piece.models["split"])
        assert piece.models["split"] in ("copied", "encoded without loss")


def test_masks_agree_with_the_true_things(drawn, done):
    truth = {video.name: video.labels_FHW for video in drawn[1] if video.labels_FHW is not None}
    values = [found.j for found in agreements(done.root, truth)]
    assert len(values) >= 5 and np.mean(values) > 0.5


def test_the_layout_is_read_by_our_reader_of_vpdata_and_by_position(done):
    (table,) = done.tables
    clips = VPData.from_csv(table, Layout.under(done.root / "vpdata"), frames=49, fps=8)
    assert len(clips) == sum(len(written.clip.things) for written in done.clips)
    frames_FHWC, masks_FHW = clips[0].read(np.arange(4))
    assert frames_FHWC.shape == (4, 48, 72, 3) and masks_FHW.any() and len(clips[0].caption) > 50
    assert table.read_text().splitlines()[0] == "path,start_frame,end_frame,fps,mask_id,caption"


def test_the_table_of_files_and_the_shards_hold_the_same_masks(done):
    files, shards = open_csv(done.root / "clips_train.csv", frames=49), VPDataRecords(done.shards)
    assert len(files) == len(shards) > 3
    numbers = np.arange(0, 49, 12)
    from_files = sorted(files[index].read(numbers)[1].tobytes() for index in range(len(files)))
    assert from_files == sorted(shards[index].read(numbers)[1].tobytes() for index in range(len(shards)))


def test_provenance_says_where_every_clip_comes_from(done):
    lines = [json.loads(line) for line in (done.root / "provenance.jsonl").read_text().splitlines()]
    assert len(lines) == len(done.clips)
    for line in lines:
        assert line["source"].endswith(".mp4") and len(line["sha256"]) == 64
        assert line["models"]["caption"] == "template" and "PySceneDetect" in line["models"]["cuts"]
        assert {stage["stage"] for stage in line["stages"]} >= {"collect", "mask_filter", "split", "select"}
        assert "motion" in line["scores"] and all("area" in values for values in line["things"].values())


def test_a_rerun_computes_nothing_and_a_new_threshold_only_what_depends_on_it(drawn, done):
    store, before = StageStore(done.root), output_of(done.root)
    built = [file.stat().st_ino for file in sorted(done.shards.rglob("*.array_record*"))]
    small_run(drawn[0], done.root)
    computed = store.computed()
    assert set(computed.values()) == {1} and output_of(done.root) == before
    assert [file.stat().st_ino for file in sorted(done.shards.rglob("*.array_record*"))] == built != []
    small_run(drawn[0], done.root, "select.least_motion=0.0011", "shards=false")
    assert {stage for stage, _ in store.computed() - computed} == {"select"}
    small_run(drawn[0], done.root)
    assert output_of(done.root) == before


def test_a_run_that_keeps_nothing_says_what_dropped_most(drawn, tmp_path):
    with pytest.raises(UserError, match=r"no clip is left of 1 sources: 1 collect: too short"):
        small_run(drawn[0] / "short.mp4", tmp_path / "out")
    assert journal_of(tmp_path / "out")[0]["reason"].startswith("too short: 3.0 s")
