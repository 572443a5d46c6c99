"""Sources: folders, tables, lists, addresses; bad ones in one line."""

import pytest

from vp_jax.curate.sources import list_sources, sample_of
from vp_jax.errors import UserError


def test_a_folder_gives_every_video_below_it_by_name(tmp_path):
    for name in ("b.MP4", "b_mask.mp4", "sub/a.mov", "notes.txt", ".hidden.mp4", ".vp/x.mp4", "images/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list_sources([str(tmp_path)], "CC0")
    assert [record.name for record in found] == ["b.MP4", "images", "sub/a.mov"]
    assert {record.licence for record in found} == {"CC0"} and found[0].video == str(tmp_path / "b.MP4")


def test_a_table_keeps_source_and_licence_and_takes_addresses(tmp_path):
    table = tmp_path / "films.csv"
    table.write_text("url,video,licence,sha256\nhttps://x.org/a.mp4,,CC-BY,AB\n,b.mp4,,\n")
    first, second = list_sources([str(table)], "own")
    assert (first.video, first.licence, first.sha256) == ("https://x.org/a.mp4", "CC-BY", "ab")
    assert (second.video, second.source, second.licence) == (str(tmp_path / "b.mp4"), "b.mp4", "own")


def test_a_list_of_addresses_may_have_remarks(tmp_path):
    lines = tmp_path / "list.txt"
    lines.write_text("# films\n\nhttp://x.org/a.mp4\n")
    assert [record.video for record in list_sources([str(lines), "http://x.org/b.mp4"])] == [
        "http://x.org/a.mp4",
        "http://x.org/b.mp4",
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("gone", None, "no such file or folder"),
        ("a.png", "", "expected a folder of videos"),
        ("a.txt", "ftp://x\n", "is no address"),
        ("a.txt", "# nothing\n", "no video in it"),
        ("a.csv", "file\nx\n", "has no column video"),
        ("a.csv", "video\n,\n", "neither video nor url"),
        ("a.csv", "video\na.mp4\na.mp4\n", "both called a.mp4"),
    ],
)
def test_bad_sources_are_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        list_sources([str(tmp_path / name)])


def test_a_sample_is_the_same_in_every_run_and_keeps_the_order(tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02d}.mp4").touch()
    every = list_sources([str(tmp_path)])
    chosen = sample_of(every, 5)
    assert len(chosen) == 5 and chosen == sample_of(every[::-1], 5)[::-1] and sample_of(every, 99) == every
    assert chosen != every[:5]
