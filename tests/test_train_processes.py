"""train.py in processes of its own: killed, stopped, several that train together, several that write shards."""

import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.children import CACHE, devices
from tests.training.curves import curve
from vp_jax import checkpoint
from vp_jax.data.shards.latent_records import LatentRecords
from vp_jax.scalars import read_metrics
from vp_jax.world.synthetic import World

ROOT = Path(__file__).parent.parent


def start(workdir, converted, programs, *settings, steps):
    """train.py as a process of its own, on one CPU device."""
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "--config",
        "configs/tiny.py",
        "--workdir",
        str(workdir),
        f"--config.steps={steps}",
        "--config.checkpoints.every=3",
        f"--config.compilation_cache={programs}",
        f"--config.model.checkpoint={converted}",
        "--config.ema=True",
        *settings,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env=devices(**CACHE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def signal_after(process, workdir, step, number):
    """Send ``number`` once the metrics have a line of ``step``."""
    deadline = time.monotonic() + 600
    while not any(line["step"] >= step for line in read_metrics(workdir)):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    return process.communicate()[0]


@pytest.mark.slow
def test_killed_at_any_step_the_curve_is_bit_identical(converted, programs, tmp_path):
    """SIGKILL at a random step, then SIGTERM, then the end: same losses, norms and weights as in one go."""
    steps = 14
    whole = start(tmp_path / "whole", converted, programs, steps=steps)
    output = whole.communicate()[0]
    assert whole.returncode == 0, output

    killed = start(tmp_path / "parts", converted, programs, steps=steps)
    step = random.SystemRandom().randint(1, 6)
    signal_after(killed, tmp_path / "parts", step, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    told = start(tmp_path / "parts", converted, programs, steps=steps)
    output = signal_after(told, tmp_path / "parts", 8, signal.SIGTERM)
    assert told.returncode == 128 + signal.SIGTERM, output
    assert "SIGTERM: saved step" in output
    last = start(tmp_path / "parts", converted, programs, steps=steps)
    output = last.communicate()[0]
    assert last.returncode == 0 and "resumed from step" in output, output

    want, got = curve(tmp_path / "whole"), curve(tmp_path / "parts")
    assert [line["step"] for line in want] == list(range(1, steps + 1))
    assert got == want, f"killed after step {step}"
    weights = [checkpoint.load_params(tmp_path / name / "export" / "branch") for name in ("whole", "parts")]
    jax.tree.map(np.testing.assert_array_equal, *weights)


@pytest.mark.slow
def test_shards_are_encoded_by_several_processes_as_by_one(converted, tmp_path):
    """The command line with Beam's own flags; ``cover_cells`` leaves no pixel of a hole outside of the latent mask."""

    def built(name, *beam):
        command = [
            sys.executable,
            "-m",
            "vp_jax",
            "latents",
            "--config",
            "tiny",
            "--out",
            str(tmp_path / name),
            f"--config.model.checkpoint={converted}",
            "--masks",
            "1",
            "--config.data.synthetic_clips=3",
            "--config.augment.probability=0.0",
            "--config.loader.cover_cells=True",
            "--",
            *beam,
        ]
        subprocess.run(command, cwd=ROOT, env=devices(**CACHE), check=True, capture_output=True)
        records = LatentRecords(tmp_path / name / "vpdata_latents" / "1.0.0", "train")
        return {clip.clip_id: clip.arrays() for clip in (records[index] for index in range(len(records)))}

    one = built("one")
    two = built("two", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert set(one) == set(two) and len(one) == 3
    for clip, arrays in one.items():
        assert set(arrays) == set(two[clip])
        for name, array in arrays.items():
            np.testing.assert_allclose(two[clip][name], array, rtol=1e-3, atol=1e-3, err_msg=name)
        seed = int(clip.removeprefix("world-"))
        masks_FHW = World(seed + 1, 18, 64, 96)[seed].read(arrays["indices"])[1]
        inside_Thw = masks_FHW.reshape(9, 8, 8, 12, 8).max((2, 4)) > 0
        inside_Thw = np.stack([inside_Thw[0], inside_Thw[1:5].any(0), inside_Thw[5:9].any(0)])
        inside_Thw[0] = False
        assert arrays["mask"].shape == (1, 3, 8, 12) and not (inside_Thw & (arrays["mask"][0] == 0)).any()


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(converted, programs, tmp_path):
    """One device each, joined by jax.distributed; each loads and holds half of the batch and of the weights."""
    settings = ["--config.ema=False", "--config.loader.batch_size=4"]
    one = start(tmp_path / "one", converted, programs, *settings, steps=5)
    output = one.communicate()[0]
    assert one.returncode == 0, output
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    both = [
        start(
            tmp_path / "two",
            converted,
            tmp_path / f"programs{i}",
            *settings,
            "--config.mesh.fsdp=2",
            f"--config.distributed={address},2,{i}",
            steps=5,
        )
        for i in range(2)
    ]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    for got, want in zip(curve(tmp_path / "two"), curve(tmp_path / "one"), strict=True):
        assert got["loss"] == pytest.approx(want["loss"], rel=1e-5), got["step"]


@pytest.mark.slow
def test_preemption_of_one_process_stops_both_at_one_step(converted, programs, tmp_path):
    """SIGTERM reaches one of two; both save the same step and leave with its status; the run goes on from there."""
    settings = ["--config.loader.batch_size=4", "--config.mesh.fsdp=2"]

    def both():
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            address = f"localhost:{probe.getsockname()[1]}"
        return [
            start(
                tmp_path / "run",
                converted,
                tmp_path / f"programs{i}",
                *settings,
                f"--config.distributed={address},2,{i}",
                steps=40,
            )
            for i in range(2)
        ]

    first = both()
    told = signal_after(first[1], tmp_path / "run", 2, signal.SIGTERM)
    chief = first[0].communicate()[0]
    assert [process.returncode for process in first] == [128 + signal.SIGTERM] * 2, (chief, told)
    saved = int(re.search(r"preemption: saved step (\d+)", chief)[1])
    assert 2 <= saved < 40 and read_metrics(tmp_path / "run")[-1]["step"] == saved
    second = both()
    chief = signal_after(second[0], tmp_path / "run", saved + 1, signal.SIGTERM)
    second[1].communicate()
    assert f"resumed from step {saved}" in chief
