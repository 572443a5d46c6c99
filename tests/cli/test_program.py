"""How programs end: the status, and the last line on stderr."""

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

def wrong():
    raise UserError("x 3: expected 4")

def full():
    raise OSError(errno.ENOSPC, "No space left on device", "/x/y")

def absent():
    raise ModuleNotFoundError("No module named 'apache_beam'", name="apache_beam.options")

def bug():
    import vp_jax.no_such_module

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
        ("ignored", 0, ""),
        ("int", 0, ""),
        ("bug", 1, "ModuleNotFoundError: No module named 'vp_jax.no_such_module'"),
    ],
)  # fmt: skip
def test_status_and_last_line(name, status, line):
    with start(name) as process:
        _, err = process.communicate(timeout=20)
    assert (process.returncode, (err.splitlines() or [""])[-1]) == (status, line)


def test_a_closed_pipe_ends_the_program_quietly():
    with start("many_lines") as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait(20)) == ("", 141)


def test_every_package_has_the_extra_that_brings_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {"cv2": "opencv_python_headless", "PIL": "pillow", "orbax": "orbax_checkpoint", "absl": "absl_py"}

    def brought(requirements):
        return [text.replace("-", "_").lower() for text in requirements]

    for package, extra in program.EXTRAS.items():
        name = names.get(package, package).lower()
        assert any(text.startswith(name) for text in brought(project["optional-dependencies"][extra])), package
    for package in program.REQUIRED:
        name = names.get(package, package).lower()
        assert package == "jaxlib" or any(text.startswith(name) for text in brought(project["dependencies"])), package
