"""Nothing of the user's is touched, whatever its name: by runs that finish, fail, are killed, or are refused."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import clip_files
from tests.children import devices
from tests.data.make_vpdata_layout import LayoutWriter, caption_of, draw_clip
from tests.painter import painter  # noqa: F401
from tests.runs.test_package import run_folder
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.media.video_writer import encode_mp4

ROOT = Path(__file__).parent.parent
SLOW = pytest.mark.slow
HIDDEN_FOLDERS = (
    ".vp_jax-user", ".vp_jax-marked", ".out.windows", ".out.vp_jax-job.old", "export.new", "out.new",
    "incomplete.mine_1.0.0", "params.orbax-checkpoint-tmp-1", ".vp_jax",
    "out.job.old", ".out.job", "out.jobs", "jobs.job", "jobs.results.job.old",
)  # fmt: skip
HIDDEN_FILES = (
    ".vp_jax-file", ".out.partial.mkv", ".out.partial.png", ".out.mkv", ".lock.old", "damaged-1", ".mine",
    "lock", "window_0000.safetensors", "states_0000.safetensors", "step.safetensors", "jobs.results.csv.old",
    ".jobs.results.csv", "preview.png.old", "out.csv",
)  # fmt: skip


def strew(folder: Path, precious: Path) -> None:
    """A user's files under every name that a run might take for its own, and links to what is precious."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in HIDDEN_FOLDERS:
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep" / "window_0000.safetensors").write_text(f"precious {name}")
        (folder / name / "out.mkv").write_text("precious")
    (folder / ".vp_jax-marked" / "mine").write_text(json.dumps({"names": ["out.mkv", "out.png"], "host": 1}))
    for name in HIDDEN_FILES:
        (folder / name).write_text(f"precious {name}")
    for name in (".vp_jax-link", ".out.link", "params.orbax-checkpoint-tmp-2", "out.job.link", "jobs.results.link"):
        (folder / name).symlink_to(precious, target_is_directory=True)
    (folder / ".vp_jax-dangling").symlink_to(precious / "nothing")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, link and folder below ``folder``."""
    return {
        str(path.relative_to(folder)): os.readlink(path).encode()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else b"a folder"
        for path in folder.rglob("*")
    }


def sample(home: Path) -> tuple[list[str], list[str]]:
    """Both inputs bear names that look like a run's own."""
    (home / "weights").mkdir()
    clip_files.folder(home / "place" / ".vp_jax-user" / "video", clip_files.moving(9, 32, 48))
    holes_FHW = np.zeros((9, 32, 48), np.uint8)
    holes_FHW[:, 8:20, 10:30] = 255
    clip_files.folder(home / "place" / ".out.windows" / "mask", holes_FHW)
    inputs = ["--video", "place/.vp_jax-user/video", "--mask", "place/.out.windows/mask", "--checkpoint", "weights"]
    command = ["sample", *inputs, "--prompt", "a wall", "--steps", "1", "--out", "place/out.mkv"]
    return command, [*command, "--stop", "999"]


def in_job_names(home: Path) -> tuple[list[str], list[str]]:
    """Inputs in folders that are named like kept work, links among them, and windows that stay after the run."""
    (home / "weights").mkdir()
    clip_files.folder(home / "place" / "out.job.old" / "video", clip_files.moving(16, 32, 48))
    holes_FHW = np.zeros((16, 32, 48), np.uint8)
    holes_FHW[:, 8:20, 10:30] = 255
    clip_files.folder(home / "precious" / "mask", holes_FHW)
    inputs = ["--video", "place/out.job.old/video", "--mask", "place/out.job.link/mask", "--checkpoint", "weights"]
    command = ["sample", *inputs, "--prompt", "a wall", "--steps", "1", "--out", "place/out.mkv", "--keep_job"]
    return command, [*command, "--redo_window", "3", "--seed", "1"]


def table(home: Path) -> tuple[list[str], list[str]]:
    """A table among the user's files; its results lie there, too."""
    sample(home)
    head, row = "video,mask,prompt,out", "place/.vp_jax-user/video,place/.out.windows/mask,a wall"
    (home / "place" / "jobs.csv").write_text(f"{head}\n{row},place/out.mkv\n{row},place/out2\n")
    (home / "place" / "bad.csv").write_text(f"{head}\n{row},place/out.mkv\n{row},place/out.mp4\n")
    command = ["sample", "--checkpoint", "weights", "--steps", "1", "--table"]
    return [*command, "place/jobs.csv"], [*command, "place/bad.csv"]


def preview(home: Path) -> tuple[list[str], list[str]]:
    """The refused one is named like a frame of the video."""
    command, _ = sample(home)
    return [*command, "--preview", "place/preview.png"], [
        *command,
        "--preview",
        "place/.vp_jax-user/video/00003.png",
    ]


def plots(home: Path) -> tuple[list[str], list[str]]:
    (home / "run").mkdir()
    (home / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    return ["plots", "run", "--out", "place/out.png"], ["plots", "run", "--out", "place/out.nope"]


def sheet(home: Path) -> tuple[list[str], list[str]]:
    command = ["sheet", "world", "place/out.png", "--scenes", "0", "--edits", "1", "--height", "32"]
    return command, [*command[:-1], "2"]


def package(home: Path) -> tuple[list[str], list[str]]:
    run_folder(home / "run", "vae", "vae", 1.0)
    return ["package", "run", "--out", "place"], ["package", "nowhere", "--out", "place"]


def export(home: Path) -> tuple[list[str], list[str]]:
    command = ["convert", "export", "transformer"]
    return [*command, str(ROOT / "vp_jax/nano/transformer"), "place"], [*command, "nowhere", "place"]


def convert(home: Path) -> tuple[list[str], list[str]]:
    """Without weights of others in the folder: those are refused."""
    for file in (home / "place").glob("*.safetensors"):
        file.unlink()
    run(["convert", "export", "transformer", str(ROOT / "vp_jax/nano/transformer"), str(home / "published")])
    return ["convert", "one", "transformer", "published", "place"], [
        "convert",
        "one",
        "transformer",
        "nowhere",
        "place",
    ]


def train(home: Path) -> tuple[list[str], list[str]]:
    command = ["train", "--config", "tiny", "--workdir", "place", "--config.steps=1"]
    return command, [*command, "--config.data.kind=nothing"]


def shards(home: Path) -> tuple[list[str], list[str]]:
    """TFDS writes below ``place``; files of the user's lie there, too."""
    frames_FHWC, labels_FHW = draw_clip(49, 16, 16)
    writer = LayoutWriter(home / "source")
    writer.add(encode_mp4(frames_FHWC, 8), labels_FHW, 8, caption_of("wall"))
    writer.write("rows.csv")
    strew(home / "place" / "vpdata", home / "precious")
    command = ["shards", "--data", "source", "--csv", "train=source/rows.csv", "--out", "place"]
    return command, [*command[:3], "--csv", "train=nowhere.csv", "--out", "place"]


def latents(home: Path) -> tuple[list[str], list[str]]:
    """A checkpoint in a folder that looks like a run's own."""
    strew(home / "place" / "vpdata_latents", home / "precious")
    size = [f"--config.loader.{name}={value}" for name, value in (("frames", 5), ("height", 16), ("width", 16))]
    data = ["--config.data.synthetic_clips=1", f"--config.model.checkpoint={ROOT / 'vp_jax' / 'nano'}"]
    command = ["latents", "--config", "tiny", "--out", "place", "--masks", "0", "--images", "1", *size, *data]
    return command, [*command, "--config.data.kind=folder"]


KILLED = """
import os, signal, sys
from tests.painter import Painter
from vp_jax.inference.pipeline import Pipeline
Pipeline.load = Painter().loaded
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
from vp_jax.cli.main import run
run(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "prepare",
    [
        sample,
        in_job_names,
        table,
        preview,
        plots,
        sheet,
        package,
        export,
        convert,
        shards,
        *(pytest.param(x, marks=SLOW) for x in (train, latents)),
    ],
    ids=lambda prepare: prepare.__name__,
)
def test_files_of_the_user_are_intact(prepare, tmp_path, monkeypatch, painter, one_device):  # noqa: F811
    precious, place = tmp_path / "precious", tmp_path / "place"
    precious.mkdir()
    (precious / "out.mkv").write_text("precious")
    (precious / "mine").write_text(
        json.dumps({"names": ["out.mkv", "out.png"], "host": "gone", "pid": 1, "started": ""})
    )
    strew(place, precious)
    command, refused = prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)

    def check(after: str) -> None:
        now = contents(tmp_path)
        assert {name: now.get(name) for name in before} == before, after

    with pytest.raises(UserError):
        run(refused)
    check("refused")
    killed = subprocess.run(  # one device there, too
        [sys.executable, "-c", KILLED, *command], cwd=tmp_path, env=devices(), capture_output=True
    )
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    check("killed")
    with monkeypatch.context() as patch, pytest.raises((UserError, OSError)):
        patch.setattr(os, "replace", full)
        run(command)
    check("failed")
    assert not run(command)
    check("finished")
    left = {str(path.relative_to(tmp_path)) for path in place.rglob("*")} - {*before}
    hidden = {name for name in left if Path(name).name.startswith((".vp_jax-", ".out.", "incomplete."))}
    assert not hidden, "nothing of ours is left"


def full(*paths: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", ["a file", "a folder", "a folder with a lock", "a link", "a dangling link"])
@pytest.mark.parametrize("name", ["out.job", "jobs.results.job", "jobs.results.csv"])
def test_what_a_user_has_in_the_place_of_a_job_s_own_files_is_refused_and_left(
    name,
    kind,
    tmp_path,
    monkeypatch,
    painter,  # noqa: F811
):
    precious, place = tmp_path / "precious", tmp_path / "place" / name
    precious.mkdir()
    (precious / "window_0000.safetensors").write_text("precious")
    (precious / "lock").write_text("")
    strew(place.parent, precious)
    command, _ = table(tmp_path)
    if kind.startswith("a folder"):
        place.mkdir()
        (place / "manifest.json").write_text("precious")
        if kind.endswith("lock"):
            (place / "lock").write_text("mine")
    elif kind == "a file":
        place.write_text("precious")
    else:
        place.symlink_to(precious / "nothing" if "dangling" in kind else precious, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    if name == "out.job":  # one row of the table, the other is finished
        assert run(command) == 1
        assert "out.job stands where windows are kept" in Path("place/jobs.results.csv").read_text()
    else:
        with pytest.raises(UserError, match=f"{name}.*(no run|expected|is a )"):
            run(command)
    now = contents(tmp_path)
    assert {name: now.get(name) for name in before} == before
    if name != "out.job":
        assert not set(now) - set(before), "nothing was begun"


def test_what_a_user_puts_into_the_folder_of_a_kept_job_stays(tmp_path, monkeypatch, painter):  # noqa: F811
    strew(tmp_path / "place", tmp_path / "precious")
    command, _ = sample(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert not run([*command, "--keep_job"])
    mine = {"notes.txt": "mine", "window_1.safetensors": "mine", "states_old.safetensors": "mine"}
    for name, text in mine.items():
        (tmp_path / "place" / "out.job" / name).write_text(text)
    assert not run([*command, "--seed", "7", "--no_keep_job"])
    left = {path.name: path.read_text() for path in (tmp_path / "place" / "out.job").iterdir() if path.stat().st_size}
    assert left == mine
