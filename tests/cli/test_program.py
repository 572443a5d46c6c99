"""How programs end: the status, and the last line on stderr."""

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vp_jax.cli import program

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import errno, gc, os, signal, sys, time
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it

def collecting(phase, info):
    gc.callbacks.remove(collecting)
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(10))

def swallowed():
    gc.callbacks.append(collecting)
    gc.collect()
    time.sleep(30)

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)

def compiling():
    import threading
    import jax
    gc.disable()  # JAX's callback of the collector would take the interrupt
    program = jax.jit(lambda x: [x := jax.numpy.sin(x) @ x for _ in range(1000)]).lower(jax.numpy.ones((64, 64)))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    program.compile()
    print("compiled before the interrupt")

def wrong():
    raise UserError("x 3: expected 4")

def full():
    raise OSError(errno.ENOSPC, "No space left on device", "/x/y")

def absent():
    raise ModuleNotFoundError("No module named 'apache_beam'", name="apache_beam.options")

def bug():
    import vp_jax.no_such_module

def coloured():
    print("a\\x1b[31mb\\udcff\\tc")
    raise UserError("x\\x1b[2J \\udcff\\n3")

def logged():
    import logging, warnings
    from tqdm import tqdm
    logging.getLogger("vp_jax.x").warning("a log line of %s", "a\\x1b[31mb\\rc")
    warnings.warn("a warning of a\\x1b[31mb")
    with tqdm(total=2, desc="a bar", ncols=30) as bar, tqdm(total=2, desc="below", ncols=30) as below:
        below.update(2)
        bar.update(2)
    print("\\x1b[Aup", file=sys.stderr)
    print("a\\x1b[31mb", file=sys.stderr)

def ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_cli(lambda: os.kill(os.getpid(), signal.SIGINT))

def many_lines():
    for number in range(100_000):
        print(number)

run_cli({})
"""


def start(name, **kwargs):
    command = [sys.executable, "-c", PROGRAM.replace("{}", name)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **kwargs)


@pytest.mark.parametrize(
    "name, status, line",
    [
        ("wrong", 2, "error: x 3: expected 4"),
        ("full", 2, "error: /x/y cannot be written (No space left on device): make room or choose another folder, and "
         "run the same command again"),
        ("absent", 2, "error: apache_beam is not installed: pip install 'vp_jax[build]'"),
        ("interrupted", 130, "interrupted"),
        ("swallowed", 130, "interrupted"),
        ("compiling", 130, "interrupted"),
        ("ignored", 0, ""),
        ("int", 0, ""),
    ],
)  # fmt: skip
def test_status_and_last_line(name, status, line):
    with start(name) as process:
        _, err = process.communicate(timeout=20)
    assert (process.returncode, (err.splitlines() or [""])[-1]) == (status, line)


def test_a_fault_of_the_program_is_one_line_that_names_the_file_with_its_traceback(tmp_path):
    with start("bug", env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        _, err = process.communicate(timeout=20)
    (log,) = tmp_path.iterdir()
    want = (
        f"error: unexpected ModuleNotFoundError: No module named 'vp_jax.no_such_module'; please report it with {log}"
    )
    assert process.returncode == 1 and err == f"{want}, which holds the traceback\n"
    assert "in bug" in log.read_text() and sys.version in log.read_text()


@pytest.mark.parametrize("name, status", [("many_lines", 0), ("wrong", 2), ("bug", 1), ("coloured", 2)])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_streams_that_were_closed_change_nothing_else(tmp_path, name, status, closed):
    program = shlex.join([sys.executable, "-c", PROGRAM.replace("{}", name)])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", f"{program} {closed}"], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == (status != 0 and "2>" not in closed)


@pytest.mark.parametrize("name, status", [("many_lines", 2), ("wrong", 2)])
def test_a_full_disk_behind_the_output_is_one_line(name, status):
    program = shlex.join([sys.executable, "-c", PROGRAM.replace("{}", name)])
    done = subprocess.run(["bash", "-c", f"{program} >/dev/full"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, len(done.stderr.splitlines())) == (status, 1)


def test_what_a_terminal_would_obey_is_shown():
    with start("coloured") as process:
        out, err = process.communicate(timeout=20)
    assert out == "a\\x1b[31mb\\udcff\tc\n" and err == "error: x\\x1b[2J \\udcff\\n3\n"


def test_log_lines_and_warnings_are_shown_alike_and_progress_bars_still_move():
    with start("logged") as process:
        _, err = process.communicate(timeout=20)
    assert "\x1b" not in err.replace("\x1b[A", "") and err.endswith("\\x1b[Aup\na\\x1b[31mb\n")
    assert "a log line of a\\x1b[31mb\\rc\n" in err and "a warning of a\\x1b[31mb" in err
    assert "\na bar: 100%" in err and "\\ra bar" not in err, "a return is read as the end of a line here"


def test_a_closed_pipe_ends_the_program_quietly():
    with start("many_lines") as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait(20)) == ("", 141)


def test_every_package_has_the_extra_that_brings_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {
        "cv2": "opencv_python_headless",
        "scenedetect": "scenedetect_headless",
        "PIL": "pillow",
        "orbax": "orbax_checkpoint",
        "absl": "absl_py",
    }

    def brought(requirements):
        return [text.replace("-", "_").lower() for text in requirements]

    for package, extra in program.EXTRAS.items():
        name = names.get(package, package).lower()
        assert any(text.startswith(name) for text in brought(project["optional-dependencies"][extra])), package
    for package in program.REQUIRED:
        name = names.get(package, package).lower()
        assert package == "jaxlib" or any(text.startswith(name) for text in brought(project["dependencies"])), package
