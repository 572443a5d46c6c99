"""The command ``vp-jax``: help without JAX, every command, near misses, packages that are not installed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import CACHE, devices
from vp_jax.cli import main as cli
from vp_jax.cli.main import COMMANDS, overview, parser_of, run
from vp_jax.errors import UserError

ROOT = Path(__file__).parent.parent.parent
QUICK = """
import sys
{block}
sys.argv = ["vp-jax", *{argv!r}]
from vp_jax.cli.main import main
try:
    main()
finally:
    print(sorted({{"jax", "flax", "torch", "grain", "ml_collections"}} & set(sys.modules)), file=sys.stderr)
"""
BLOCK = """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def program(argv, absent=(), cwd=ROOT):
    """The command in a process of its own, where some packages are not installed."""
    code = QUICK.format(argv=[*argv], block=BLOCK.format(names=tuple(absent)) if absent else "")
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=env, check=False)
    *lines, loaded = done.stderr.splitlines()
    return done.returncode, done.stdout, lines, loaded


@pytest.mark.parametrize("argv", [[], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_no_library(argv, tmp_path):
    status, out, lines, loaded = program(argv, cwd=tmp_path)
    assert (status, lines, loaded) == (0, [], "[]")
    assert "usage: vp-jax" in out or "vp_jax" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_flag_is_one_line_and_imports_no_library(name, tmp_path):
    status, out, lines, loaded = program([name, "--hlep"], cwd=tmp_path)
    assert (status, out, loaded) == (2, "", "[]")
    assert len(lines) == 1 and re.match(rf"error: .*; see vp-jax {name}\b.* --help$", lines[0])


def test_every_command_stands_in_the_overview_and_has_a_module():
    assert all(re.search(rf"^  {name} +\S", overview(), re.MULTILINE) for name in COMMANDS)
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    helpers = {"main", "parser", "paths", "program", "sample_flags", "settings", "tracked"}
    assert modules == {*COMMANDS, "__init__", *helpers}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_explained(name):
    """Where the name of the flag does not say it all."""
    parser = parser_of(name)
    silent = [action.dest for action in parser._actions if action.option_strings and not action.help]
    assert set(silent) <= {"seed"} or name == "sample"
    assert parser.format_help().startswith(f"usage: vp-jax {name}")


def test_an_unknown_command_is_named():
    with pytest.raises(UserError, match=r"unknown command 'smaple': did you mean sample\?"):
        run(["smaple"])
    with pytest.raises(UserError, match=r"unknown command 'xyz': one of sample, train, "):
        run(["xyz"])


def test_a_door_is_named_as_the_user_typed_it():
    with pytest.raises(UserError, match=r"; see python -m convert --help$"):
        run(["convert", "--hlep"], prog="python -m convert")


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv, package, extra",
    [
        (["shards", "--data", "d", "--csv", "train=t.csv", "--out", "o"], "apache_beam", "build"),
        (["latents", "--config", "tiny", "--out", "o", "--config.model.checkpoint=c"], "apache_beam", "build"),
        (["plots", "run"], "matplotlib", "train"),
        (["compile", "v4:2x2x1", "--config", "tpu_v4"], "libtpu", "aot"),
    ],
)
def test_an_optional_package_that_is_missing_is_one_line(argv, package, extra, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    status, _, lines, _ = program(argv, absent=[package], cwd=tmp_path)
    assert (status, len(lines)) == (2, 1), lines
    assert lines[0].startswith("error: ") and f"pip install 'vp_jax[{extra}]'" in lines[0]


@pytest.mark.parametrize("package, argv", [("ml_collections", ["--config", "tiny"]), ("grain", ["--config", "tiny"])])
def test_a_required_package_that_is_missing_is_one_line(package, argv, tmp_path):
    status, _, lines, _ = program(["train", *argv, "--workdir", "run"], absent=[package], cwd=tmp_path)
    assert (status, lines) == (2, [f"error: {package} is not installed: pip install vp_jax brings it"])


def test_beam_options_that_beam_does_not_know_are_refused(tmp_path):
    argv = ["shards", "--data", str(tmp_path), "--csv", "train=x.csv", "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="Beam has no option --direct_num_worker:"):
        run([*argv, "--", "--direct_num_worker=2"])


def test_a_csv_without_a_split_is_refused_before_anything_is_imported(tmp_path):
    status, _, lines, loaded = program(["shards", "--data", "d", "--csv", "t.csv", "--out", "o"], cwd=tmp_path)
    assert (status, loaded) == (2, "[]")
    assert lines == ["error: --csv t.csv: expected SPLIT=FILE, such as train=train.csv"]


def test_the_kinds_of_the_converter_are_those_of_its_command():
    from vp_jax.cli import convert
    from vp_jax.convert.kinds import KINDS
    from vp_jax.convert.main import NUMPY_TYPES

    assert (tuple(KINDS), tuple(NUMPY_TYPES)) == (convert.PART_KINDS, convert.WEIGHT_TYPES)


def test_a_vocabulary_is_written(tmp_path, capsys):
    assert run(["vocabulary", str(tmp_path / "v.model"), "--captions", "50", "--pieces", "80"]) == 0
    assert (tmp_path / "v.model").stat().st_size > 0 and "80 pieces in" in capsys.readouterr().out


def test_the_table_of_a_package_is_printed(capsys, tmp_path):
    assert run(["package", "--out", str(ROOT / "vp_jax" / "nano")]) == 0
    assert "| run | stage |" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no provenance.json in it; give the runs"):
        run(["package", "--out", str(tmp_path)])


NOBODY = """
import os, pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["", ">&- 2>&-", "| head -1"])
def test_a_user_without_name_and_home_can_sample(tmp_path, closed):
    """As in ``docker run --user 12345``; and with nobody who reads what is printed."""
    code = QUICK.format(argv=["sample", "--steps", "1", "--out", "out.mkv"], block=NOBODY)
    command = f"{shlex.join([sys.executable, '-c', code])} {closed}; echo ${{PIPESTATUS[0]}} > status"
    # those who keep nothing compile, the others take what is there
    environment = devices(**(CACHE if closed else {}))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=environment)
    status = int((tmp_path / "status").read_text())
    assert "Traceback" not in done.stderr
    if closed.startswith("|"):
        assert status in (0, 141) and len(done.stdout.splitlines()) == 1
    else:
        assert status == 0 and (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("argv", [["--prompt", b"a \xff"], ["--out", b"\xff.mkv"], ["--video", b"\xff.mp4"]])
def test_what_is_not_utf_8_is_one_line(tmp_path, argv):
    code = "from vp_jax.cli.main import main; main('sample')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, cwd=tmp_path, env=environment)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith(b"error: ") and line.isascii()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "argv", [["sample", "--out"], ["sample", "--report"], ["train", "--config", "tiny", "--workdir"]]
)
def test_addresses_are_refused_before_anything_is_made(tmp_path, argv):
    status, _, lines, _ = program([*argv, "gs://bucket/out.html"], cwd=tmp_path)
    assert status == 2 and lines[-1:] and "Traceback" not in "".join(lines)
    assert list(tmp_path.iterdir()) == []
