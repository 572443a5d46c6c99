"""A worker process from inside: reports, ends, cancellations."""

import io
import json
import shutil
import time

from tests.serve.drawn import GONE, JOB
from vp_jax.errors import UserError
from vp_jax.serve import worker
from vp_jax.serve.worker import Work, serve_tasks


class Scripted(Work):
    """Tasks that do what their kind says."""

    def start(self, message):
        def task():
            yield {"done": 1}
            yield {}
            if message["kind"] == "mistake":
                raise UserError("video: damaged")
            if message["kind"] == "fault":
                raise ValueError("a\nb")
            while message["kind"] == "long":
                time.sleep(0.01)
                yield {}

        return task()


def said(work, *messages):
    """What a worker writes about these lines."""
    out = io.StringIO()
    inbox = worker._Inbox(io.StringIO("".join(json.dumps(message) + "\n" for message in messages)))
    for _ in range(200):  # all lines are read before the first task is looked at
        if inbox.gone:
            break
        time.sleep(0.01)
    inbox.gone = False
    serve_tasks(work, inbox, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_task_reports_and_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(worker, "_PATIENCE", 1e6)
    kinds = {"good": ("done", None), "mistake": ("failed", "video: damaged")}
    kinds["fault"] = ("failed", "unexpected ValueError: a b; the server's log has more")
    lines = said(Scripted(tmp_path), *({"task": JOB, "kind": kind} for kind in kinds))
    assert [line for line in lines if "set" in line] == [{"task": JOB, "set": {"done": 1}}] * 3
    assert [(line["end"], line.get("error")) for line in lines if "end" in line] == list(kinds.values())
    assert "Traceback" in capsys.readouterr().err


def test_a_cancelled_task_ends_and_the_next_one_of_its_id_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_PATIENCE", 1e6)
    lines = said(
        Scripted(tmp_path),
        {"task": GONE, "kind": "long"},
        {"task": JOB, "kind": "good"},
        {"cancel": GONE},
    )
    assert [(line["task"], line["end"]) for line in lines if "end" in line] == [(GONE, "cancelled"), (JOB, "done")]
    lines = said(Scripted(tmp_path), {"cancel": JOB}, {"task": JOB, "kind": "good"})
    assert lines[-1] == {"task": JOB, "end": "done"}


def test_every_kind_of_task_is_known(tmp_path, film, monkeypatch):
    folder = tmp_path / "videos" / JOB
    folder.mkdir(parents=True)
    shutil.copy(film, folder / "video")
    assert list(Work(tmp_path).start({"task": JOB, "kind": "prepare"}))[-1]["state"] == "ready"
    mask = {"task": GONE, "video": JOB, "backend": "grabcut", "marks": {"points": [{"x": 18.0, "y": 26.0}]}}
    (tmp_path / "masks" / GONE).mkdir(parents=True)
    assert list(Work(tmp_path).start({"kind": "track", **mask}))[-1]["state"] == "ready"
    (tmp_path / "masks" / GONE / "upload").write_bytes((tmp_path / "masks" / GONE / "mask.mkv").read_bytes())
    assert list(Work(tmp_path).start({"kind": "read_mask", **mask}))[-1]["state"] == "ready"
