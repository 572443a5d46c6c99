"""How programs end."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import gc, os, signal, time
from vp_jax.errors import UserError
from vp_jax.interrupts import run_cli

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

def ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_cli(lambda: os.kill(os.getpid(), signal.SIGINT))

run_cli({})
"""


@pytest.mark.parametrize(
    "name, status, line",
    [
        ("wrong", 2, "error: x 3: expected 4"),
        ("interrupted", 130, "interrupted"),
        ("swallowed", 130, "interrupted"),
        ("ignored", 0, ""),
        ("int", 0, ""),
    ],
)
def test_status_and_last_line(name, status, line):
    command = [sys.executable, "-c", PROGRAM.replace("{}", name)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, timeout=20, check=False
    )
    assert (done.returncode, (done.stderr.splitlines() or [""])[-1]) == (status, line)
