"""The server's side of a worker: lines of tasks, processes that die, cancellations."""

import asyncio
import sys

import pytest

from vp_jax.serve import workers
from vp_jax.serve.workers import Task, TaskLine

PROCESS = """
import json, os, sys, time
folder = sys.argv[2]
for line in sys.stdin:
    message = json.loads(line)
    if "cancel" in message:
        continue
    say = lambda **values: print(json.dumps({"task": message["task"], **values}), flush=True)
    kind, mark = message["kind"], os.path.join(folder, message["task"])
    say(set={"pid": os.getpid()})
    if kind == "dies" or (kind == "dies once" and not os.path.exists(mark)):
        open(mark, "w").close()
        os._exit(7)
    if kind == "deaf":
        time.sleep(60)
    if kind == "waits":
        for line in sys.stdin:
            if json.loads(line).get("cancel") == message["task"]:
                break
        say(end="cancelled")
        continue
    say(end="failed", error="no luck") if kind == "fails" else say(end="done")
"""


def run(folder, kinds, during=None):
    """How tasks of these kinds end, what they report, and how often the process was lost."""
    ends, pids, lost = {}, [], []

    async def work():
        line = TaskLine("media", folder, None, lost.append, (sys.executable, "-c", PROCESS))
        finished = asyncio.Event()

        def end_of(name):
            def end(how, why):
                ends[name] = (how, why)
                if len(ends) == len(kinds):
                    finished.set()

            return end

        for name, kind in kinds.items():
            message = {"task": name, "kind": kind}
            line.add(Task(name, lambda message=message: message, lambda v: pids.append(v["pid"]), end_of(name)))
        assert line.waiting == len(kinds)
        line.start()
        if during is not None:
            while not pids:
                await asyncio.sleep(0.01)
            during(line)
        await asyncio.wait_for(finished.wait(), 20)
        assert line.current is None and line.waiting == 0
        await line.stop()

    asyncio.run(work())
    return ends, pids, lost


def test_tasks_are_done_in_turn_by_one_process(tmp_path):
    ends, pids, lost = run(tmp_path, {"a": "good", "b": "fails", "c": "good"})
    assert list(ends.items()) == [("a", ("done", None)), ("b", ("failed", "no luck")), ("c", ("done", None))]
    assert len(pids) == 3 and len(set(pids)) == 1 and lost == []


def test_a_task_whose_process_died_is_tried_once_more(tmp_path):
    ends, pids, lost = run(tmp_path, {"a": "dies once", "b": "dies", "c": "good"})
    assert ends["a"] == ends["c"] == ("done", None) and lost == ["media"] * 3
    how, why = ends["b"]
    assert how == "failed" and "ended unexpectedly (status 7)" in why
    assert len(pids) == 5 and len(set(pids)) == 4


def test_a_task_is_cancelled_at_work_and_in_the_line(tmp_path):
    def during(line):
        assert line.cancel("b") and line.cancel("a") and not line.cancel("b") and not line.cancel("x")

    ends, pids, lost = run(tmp_path, {"a": "waits", "b": "good", "c": "good"}, during)
    assert ends == {"a": ("cancelled", None), "b": ("cancelled", None), "c": ("done", None)}
    assert len(pids) == 2 and lost == []


def test_a_task_that_does_not_listen_is_ended_with_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_PATIENT", 0.1)
    ends, pids, lost = run(tmp_path, {"a": "deaf", "b": "good"}, lambda line: line.cancel("a"))
    assert ends == {"a": ("cancelled", None), "b": ("done", None)} and len(set(pids)) == 2 and lost == []


def test_nothing_is_heard_of_a_dropped_task(tmp_path):
    with pytest.raises(TimeoutError):
        asyncio.run(_dropped(tmp_path))


async def _dropped(folder):
    heard = asyncio.Event()
    line = TaskLine("media", folder, None, command=(sys.executable, "-c", PROCESS))
    line.add(Task("a", lambda: {"task": "a", "kind": "good"}, lambda values: heard.set(), lambda how, why: heard.set()))
    line.drop("a")
    line.start()
    try:
        await asyncio.wait_for(heard.wait(), 0.3)
    finally:
        await line.stop()
