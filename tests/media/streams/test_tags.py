"""Tags, dispositions and chapters: what is carried, what is the file's own, and what did not arrive."""

from fractions import Fraction

from av.stream import Disposition

from tests.source_films import Sound, film
from vp_jax.media.streams.tags import Described, chapters_between, differences, tags_of

S = Fraction


def test_what_describes_the_file_itself_is_not_carried():
    given = {"ENCODER": "Lavf", "DURATION": "00:00:01", "_STATISTICS_TAGS": "BPS", "language": "und", "artist": "A"}
    assert tags_of({**given, "major_brand": "isom"}) == {"artist": "A"}
    assert tags_of({"language": "deu", "name": "Main"}) == {"language": "deu", "title": "Main"}
    assert tags_of({"title": "A", "name": "B"}) == {"title": "A", "name": "B"}


def test_a_time_of_making_that_stands_twice_is_one():
    assert tags_of({"creation_time": "2024-05-06;2024-05-07", "title": "A;A"}) == {
        "creation_time": "2024-05-07",
        "title": "A;A",
    }


def test_a_time_code_belongs_to_the_first_frame():
    assert tags_of({"timecode": "01:00:00:00"}) == {"timecode": "01:00:00:00"}
    assert tags_of({"timecode": "01:00:00:00"}, first_frame=False) == {}


def chapter(start, end, title):
    return {"id": 1, "start": start, "end": end, "time_base": S(1, 1000), "metadata": {"title": title}}


def test_chapters_of_a_part_are_shifted_and_cut():
    all_of_them = [
        chapter(0, 1000, "gone"),
        chapter(1000, 3000, "cut"),
        chapter(3000, 5000, "in"),
        chapter(9000, 9500, ""),
    ]
    kept = chapters_between(all_of_them, S(2), S(5, 2))
    assert [(c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"]) for c in kept] == [
        (0, 1, "cut"),
        (1, S(5, 2), "in"),
    ]
    assert len(chapters_between(all_of_them, S(0), None)) == 4


def test_what_did_not_arrive_is_named(tmp_path):
    path = film(tmp_path / "a.mp4", sounds=[Sound("aac", "eng")], tags={"title": "A"}, chapters=True)
    sound = Described("sound 1", "audio", {"language": "eng"}, 0)
    assert list(differences(path, {"TITLE": "A"}, [sound], 2)) == []
    wrong = Described("sound 1", "audio", {"language": "deu"}, int(Disposition.forced))
    found = list(differences(path, {"title": "B", "director": "C"}, [wrong, sound], 3))
    assert found == [
        "tags lost, .mp4 has no place for them: title, director",
        "chapters lost, .mp4 holds 2 of 3",
        "sound 1: tags lost, .mp4 has no place for them: language",
        "sound 1: disposition lost, .mp4 has no place for it: forced",
        "sound 1 lost: .mp4 did not keep it",
    ]
