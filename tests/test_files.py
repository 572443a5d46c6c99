"""The one way to write a file or folder: complete or not at all, and names beside it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vp_jax import files
from vp_jax.errors import UserError

ROOT = Path(__file__).parent.parent


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "out, end, want",
    [
        ("runs/out.mp4", "_mask.mkv", "runs/out_mask.mkv"),
        ("runs/out", ".json", "runs/out.json"),  # a folder of pictures
        ("a.b/out.v2.mp4", ".json", "a.b/out.v2.json"),
    ],
)
def test_names_of_what_lies_beside(out, end, want):
    assert files.beside(Path(out), end) == Path(want)


def test_a_partial_file_bears_the_name_in_a_hidden_folder_beside_it(tmp_path):
    """So that moving it into place is one step, and a writer that goes by the suffix writes the right format."""
    with files.replacing(tmp_path / "out.mp4") as partial:
        assert partial.name == "out.mp4" and partial.parent.parent == tmp_path and partial.parent.name.startswith(".")
        partial.write_text("x")


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "deep" / "out.txt"
    with files.replacing(path) as partial:
        partial.write_text("half")
        assert not path.exists()
    assert contents(tmp_path) == {"new/deep/out.txt": "half"}


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert contents(tmp_path) == {"out.txt": "old"}


def test_a_folder_takes_the_place_of_one_whole(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    (path / "old.png").write_text("old")
    with files.replacing(path) as partial:
        partial.mkdir()
        (partial / "new.png").write_text("new")
        assert contents(path) == {"old.png": "old"}
    assert contents(tmp_path) == {"frames/new.png": "new"}


KILLED = """
import os, signal, sys
from pathlib import Path
from vp_jax import files
with files.replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_writing(path: Path) -> Path:
    """The hidden folder that a killed process leaves."""
    subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    (left,) = path.parent.glob(".vp_jax-*")
    return left


def test_what_a_killed_run_left_is_cleared_away_by_the_next_one_of_that_name(tmp_path):
    left = killed_while_writing(tmp_path / "out.txt")
    assert (left / "out.txt").read_text() == "half"
    files.write_text(tmp_path / "other.txt", "x")
    assert left.is_dir(), "of another file: maybe it is wanted"
    files.write_text(tmp_path / "out.txt", "new")
    assert contents(tmp_path) == {"other.txt": "x", "out.txt": "new"} and not left.exists()


def test_a_folder_that_was_left_before_its_mark_is_cleared_away_and_others_stay(tmp_path):
    left = killed_while_writing(tmp_path / "out.txt")
    process = left.name.rpartition("-")[0].removeprefix(".vp_jax-")
    shutil.rmtree(left)
    host, pid, started = process.split("-")
    with files.replacing(tmp_path / "now.txt") as partial:
        partial.write_text("now")
        mine = partial.parent.name.rpartition("-")[0]
        named = (f"{host}-{pid}-{started}-user", f"{int(host, 16) ^ 1:08x}-{pid}-{started}-host", "user")
        theirs = [tmp_path / f"{mine}-busy", *(tmp_path / f".vp_jax-{name}" for name in named)]
        for folder in (left, *theirs):
            folder.mkdir()
        (theirs[1] / "precious.txt").write_text("a user's")
        files.write_text(tmp_path / "out.txt", "new")
        assert not left.exists() and all(folder.is_dir() for folder in theirs)


def test_what_another_process_is_writing_now_stays(tmp_path):
    with files.replacing(tmp_path / "out.txt") as partial:
        partial.write_text("mine")
        files.write_text(tmp_path / "out.txt", "theirs")
        assert partial.read_text() == "mine"
    assert contents(tmp_path) == {"out.txt": "mine"}


def test_folders_that_are_not_ours_stay_whatever_their_names(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "mine").write_text('{"name": "out.txt"}')
    (tmp_path / ".vp_jax-link").symlink_to(precious)
    (tmp_path / ".vp_jax-user").mkdir()
    (tmp_path / ".vp_jax-user" / "out.txt").write_text("a user's")
    (tmp_path / ".vp_jax-file").write_text("a user's")
    (tmp_path / ".out.partial.txt").write_text("a user's")
    before = contents(tmp_path)
    files.write_text(tmp_path / "out.txt", "new")
    assert contents(tmp_path) == {**before, "out.txt": "new"}


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    (tmp_path / "out.txt").symlink_to(tmp_path / "precious.txt")
    files.write_text(tmp_path / "out.txt", "new")
    assert contents(tmp_path) == {"out.txt": "new", "precious.txt": "mine"}


def test_files_that_belong_together_are_replaced_together(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing_all(paths) as partials:
        partials[0].write_text("new")
        raise RuntimeError
    assert contents(tmp_path) == {"a.txt": "old", "b.txt": "old"}
    with files.replacing_all(paths) as partials:
        for partial in partials:
            partial.write_text("new")
        assert contents(tmp_path)["a.txt"] == "old"
    assert contents(tmp_path) == {"a.txt": "new", "b.txt": "new"}


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"file/out\.txt: cannot be written \(") as caught:
        files.write_text(tmp_path / "file" / "out.txt", "x")
    assert "\n" not in str(caught.value)
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="taken: cannot be written"):
        files.write_text(tmp_path / "taken", "a file in the place of a folder")
    assert (tmp_path / "taken").is_dir() and contents(tmp_path) == {"file": "no folder"}


def test_text_is_utf_8(tmp_path):
    files.write_text(tmp_path / "out.txt", "ä ☃")
    assert (tmp_path / "out.txt").read_bytes() == "ä ☃".encode()


def test_a_writer_is_given_the_partial_path(tmp_path):
    seen = []
    files.write_atomically(tmp_path / "a.bin", lambda partial: (seen.append(partial), partial.write_bytes(b"1")))
    assert seen[0].name == "a.bin" and seen[0].parent != tmp_path and (tmp_path / "a.bin").read_bytes() == b"1"


def test_writable_places_pass_without_being_made(tmp_path):
    files.check_writable(tmp_path / "new" / "deep" / "out.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, message",
    [
        ("/", "names no file"),
        ("\udcff.mkv", r"\\udcff\.mkv: the name is not UTF-8"),
        ("file/out.mp4", "cannot be written|is not a folder"),
        ("x" * 300 + ".mp4", "File name too long"),
    ],
)
def test_places_that_cannot_be_written_are_told_before_any_work(tmp_path, name, message):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=message):
        files.check_writable(tmp_path / name)


@pytest.mark.parametrize(
    "name, message",
    [
        ("-", "-: results are not written to standard output"),
        ("~/out.mkv", "~/out.mkv: ~ is not expanded here"),
        ("http://host/out.mkv", "http://host/out.mkv is an address"),
        ("gs://bucket/run", "gs://bucket/run is an address"),
        ("file:///out.mkv", "file://out.mkv is an address"),
    ],
)
def test_names_that_mean_something_else_are_refused(name, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        files.check_writable(Path(name))


@pytest.mark.parametrize("name", ["-.mkv", "~.mkv", "take 2: night.mkv", "c:", "a:b/c.mkv", "émigré ☃.mkv"])
def test_odd_names_that_mean_themselves_are_not(name):
    files.check_local(Path(name))


def test_what_is_written_within_another_context_is_hidden_already(tmp_path):
    """The innermost writer makes no hidden folder of its own."""
    with files.replacing_all([tmp_path / "a.txt", tmp_path / "b.txt"]) as partials:
        files.write_text(partials[0], "a")
        partials[1].write_text("b")
        assert sorted(path.name for path in partials[0].parent.iterdir()) == ["a.txt", "b.txt", "mine"]
        assert [path.name for path in tmp_path.iterdir()] == [partials[0].parent.name]
    assert contents(tmp_path) == {"a.txt": "a", "b.txt": "b"}


def test_a_fresh_folder_is_empty_and_only_ever_ours(tmp_path):
    hidden = tmp_path / ".export.vp_jax-new"
    files.fresh_folder(hidden)
    (hidden / "vae").mkdir()
    files.fresh_folder(hidden)
    assert [path.name for path in hidden.iterdir()] == ["mine"]
    (hidden / "vae").mkdir()
    files.replace_parts(hidden, tmp_path / "export")
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["vae"] and not hidden.exists()
    hidden.mkdir()
    (hidden / "precious").write_text("mine")
    with pytest.raises(UserError, match="no run made it"):
        files.fresh_folder(hidden)
    assert (hidden / "precious").read_text() == "mine"


def test_parts_of_the_same_name_are_replaced_and_others_stay(tmp_path):
    new, folder = tmp_path / "new", tmp_path / "folder"
    for path in (new / "vae" / "a", new / "branch" / "b", folder / "vae" / "old", folder / "tokenizer" / "t"):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)
    files.replace_parts(new, folder)
    assert contents(folder) == {"branch/b": "b", "tokenizer/t": "t", "vae/a": "a"} and not new.exists()


def test_parts_of_a_folder_that_is_not_there_are_the_folder(tmp_path):
    new = tmp_path / "new"
    (new / "vae").mkdir(parents=True)
    (new / "vae" / "a").write_text("a")
    files.replace_parts(new, tmp_path / "folder")
    assert contents(tmp_path) == {"folder/vae/a": "a"}


@pytest.mark.parametrize("name", [".", "..", "inner/.."])
def test_a_folder_without_a_name_of_its_own_is_never_replaced(tmp_path, monkeypatch, name):
    """A picture that was to be written to such a folder once removed all that lay in it."""
    place = tmp_path / "place"
    (place / "inner").mkdir(parents=True)
    (place / "precious.txt").write_text("precious")
    monkeypatch.chdir(place if name == "." else place / "inner")
    with pytest.raises(UserError, match="names no file"), files.replacing(Path(name)):
        pytest.fail("nothing may be written")
    assert (place / "precious.txt").read_text() == "precious" and (place / "inner").is_dir()
