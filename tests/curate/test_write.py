"""Names and splits of the output: stable, unique, and all pieces of a source in one split."""

from vp_jax.curate.record import ClipRecord
from vp_jax.curate.stages.pack import PackMasks
from vp_jax.curate.write import Written, named, provenance, write_output


def piece(name, sha256="00000000", start=0, **values):
    return ClipRecord(name, f"{name}.mp4", sha256=sha256, start=start, stop=start + 5, frames=5, fps="25/2", **values)


def test_a_clip_keeps_its_twelve_digits_when_others_are_added():
    few = named([piece("b"), piece("a")], 0.0)
    many = {written.clip.name: written.number for written in named([piece(name) for name in "dcba"], 0.0)}
    assert [written.clip.name for written in few] == ["a", "b"]
    assert all(many[written.clip.name] == written.number and len(written.number) == 12 for written in few)


def test_equal_digests_get_different_names():
    twins = named([piece("a"), piece("a")], 0.0)
    assert len({written.number for written in twins}) == 2


def test_pieces_of_a_source_are_in_one_split():
    clips = [piece(f"{sha}{start}", f"{sha:08x}", start) for sha in range(0, 2**32, 2**28) for start in (0, 5)]
    written = named(clips, 0.25)
    splits = {clip.sha256: {other.split for other in written if other.clip.sha256 == clip.sha256} for clip in clips}
    assert {len(found) for found in splits.values()} == {1}
    assert sum(found == {"val"} for found in splits.values()) == 4


def test_tables_of_both_splits_and_rates_as_numbers(tmp_path):
    (tmp_path / "packed").mkdir()
    clips = []
    for name, split in (("a", "train"), ("b", "val")):
        (tmp_path / f"{name}.mp4").write_text(name)
        captions = {"": "A caption,\nof two lines.", "2": "A thing."}
        clip = piece(name, masks="packed/labels.mkv", things={"2": {}}, captions=captions)
        clips.append(Written(f"{ord(name):012d}", split, clip))
    train, validation = write_output(tmp_path, clips, [PackMasks()])
    assert train.read_text().splitlines()[1] == '000000000097.0.mp4,0,5,12.5,2,"A caption, of two lines."'
    assert (
        validation.name == "pexels_videovo_val_dataset.csv" and "A thing." in (tmp_path / "clips_val.csv").read_text()
    )
    video = tmp_path / "vpdata/videovo/raw_video/000000000/000000000097.0.mp4"
    assert video.read_text() == "a" and video.samefile(tmp_path / "a.mp4")
    write_output(tmp_path, clips[:1], [PackMasks()])
    assert not (tmp_path / "clips_val.csv").exists() and not validation.exists()


def test_provenance_holds_the_settings_of_every_stage():
    line = provenance(named([piece("a", licence="CC0")], 0.0)[0], [PackMasks(npz=False)])
    assert line["licence"] == "CC0" and line["stages"] == [{"stage": "pack", "version": 1, "npz": False}]
