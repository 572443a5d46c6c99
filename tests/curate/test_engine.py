"""Beam's runners give the same output, whatever is killed on the way, and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.curate.killed_runs import results_in
from tests.curate.small_run import output_of, small_run
from tests.layout import ROOT
from vp_jax.curate.engine import DASK, options_of, run_stages, runner_of
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.stages.collect import Collect
from vp_jax.curate.store import StageStore
from vp_jax.errors import UserError


def test_an_unknown_option_of_beam_is_named():
    with pytest.raises(UserError, match="Beam has no option --no_such_thing"):
        options_of(["--no_such_thing=3"])


def test_an_unknown_runner_is_named(tmp_path):
    with pytest.raises(UserError, match="Unexpected pipeline runner: NoRunner"):
        run_stages([Collect()], [ClipRecord("a", "a.mp4")], tmp_path, ["--runner=NoRunner"])


@pytest.mark.parametrize("name", ["DaskRunner", "apache_beam.runners.dask.dask_runner.DaskRunner"])
def test_dask_is_known_by_both_of_its_names(name):
    assert runner_of(["--dask_npartitions=2", f"--runner={name}"]) == DASK
    runner = options_of([f"--runner={name}"]).get_all_options(drop_default=True)["runner"]
    assert runner == "apache_beam.runners.dask.dask_runner.DaskRunner"


def test_options_of_other_runners_pass_unchanged():
    options = options_of(["--runner=FlinkRunner", "--flink_master=host:8081"]).get_all_options(drop_default=True)
    assert options["runner"] == "FlinkRunner" and options["flink_master"] == "host:8081"


@pytest.mark.slow
def test_a_run_killed_ten_times_gives_the_same_and_does_nothing_twice(drawn, done, tmp_path):
    command = [sys.executable, "-m", "tests.curate.killed_runs", str(drawn[0]), str(tmp_path / "out"), "10"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert ran.returncode == 0, ran.stderr
    counted = json.loads(ran.stdout.splitlines()[-1])
    assert counted["kills"] == 10 and counted["most"] == 1
    assert output_of(tmp_path / "out") == output_of(done.root)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of a worker that was killed
def test_a_dask_cluster_gives_the_same_when_a_worker_is_killed(drawn, done, tmp_path):
    from distributed import LocalCluster

    store, killed = StageStore(tmp_path / "out"), []

    def kill_one(pid):
        while results_in(store.root) < 30:
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        pid = next(iter(cluster.workers.values())).process.pid
        threading.Thread(target=kill_one, args=(pid,), daemon=True).start()
        options = ["--runner=DaskRunner", f"--dask_client_address={cluster.scheduler_address}"]
        small_run(drawn[0], store.root, beam_options=options)
    assert killed and output_of(store.root) == output_of(done.root)
