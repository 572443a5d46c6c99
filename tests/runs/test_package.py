"""One folder from several runs: later parts win, weights shrink, and the facts of every run are told."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.provenance import commit
from vp_jax.runs import package


def run_folder(folder, stage, part, value, *, finished=True):
    folder.mkdir()
    config = {
        "seed": 7,
        "model": {"stage": stage, "checkpoint": "/home/someone/model", "init_from": ""},
        "data": {"path": "/data/latents"},
        "validation": {"path": "/data/held_out"},
        "compilation_cache": "/tmp/cache",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "starts.jsonl").write_text(json.dumps({"step": 0, "commit": "abc", "versions": {}}) + "\n")
    (folder / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n{"step": 2, "val_psnr": 30.0}\n'
    )
    if finished:
        checkpoint.save_params(folder / "export" / part, {"a": {"kernel": jnp.full((3, 2), value)}}, {"kind": part})
    return folder


def test_parts_types_and_facts(tmp_path):
    runs = [
        run_folder(tmp_path / "first", "vae", "vae", 1.0),
        run_folder(tmp_path / "second", "vae", "vae", 1 / 3),
        run_folder(tmp_path / "third", "branch", "branch", 5.0),
    ]
    (runs[2] / "export" / "tokenizer").mkdir()
    (runs[2] / "export" / "tokenizer" / "spiece.model").write_bytes(b"pieces")
    (runs[1] / "export" / "sampling.json").write_text('{"steps": 4}')
    size = package.package(runs, tmp_path / "out")
    assert size == sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())

    kernel = checkpoint.load_params(tmp_path / "out" / "vae")["a"]["kernel"]
    assert kernel.dtype == jnp.bfloat16 and np.all(np.asarray(kernel, np.float32) == np.float32(jnp.bfloat16(1 / 3)))
    assert checkpoint.load_config(tmp_path / "out" / "branch")["kind"] == "branch"
    assert (tmp_path / "out" / "tokenizer" / "spiece.model").read_bytes() == b"pieces"

    assert json.loads((tmp_path / "out" / "sampling.json").read_text()) == {"steps": 4}

    facts = json.loads((tmp_path / "out" / "provenance.json").read_text())["runs"]
    assert [(run["run"], run["stage"], run["step"], run["data_seed"]) for run in facts] == [
        ("first", "vae", 2, 7),
        ("second", "vae", 2, 7),
        ("third", "branch", 2, 7),
    ]
    assert facts[0]["metrics"]["loss"] == 1.0 and facts[0]["validation"]["val_psnr"] == 30.0
    assert facts[0]["starts"][0]["commit"] == "abc"
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    told = [path for path in files if str(tmp_path).encode() in path.read_bytes()]
    assert not told, "a shipped folder names no folder of the machine it was made on"
    rows = package.table(tmp_path / "out").splitlines()
    assert rows[2] == "| first | vae | 2 | 1.0000 | 30.00 | abc |" and len(rows) == 5
    assert "/" not in json.dumps(facts), "paths of a machine are no fact of the weights"

    package.package([run_folder(tmp_path / "fourth", "branch", "branch", 6.0)], tmp_path / "out", ["first", "second"])
    facts = json.loads((tmp_path / "out" / "provenance.json").read_text())["runs"]
    assert [run["run"] for run in facts] == ["first", "second", "fourth"]
    with pytest.raises(UserError, match="third"):
        package.package(runs, tmp_path / "out", ["third"])


def test_mistakes_are_one_line(tmp_path, monkeypatch):
    unfinished = run_folder(tmp_path / "run", "vae", "vae", 1.0, finished=False)
    with pytest.raises(UserError, match="no export"):
        package.package([unfinished], tmp_path / "out")
    monkeypatch.setattr(package, "LIMIT", 10)
    with pytest.raises(UserError, match="at most"):
        package.package([run_folder(tmp_path / "large", "vae", "vae", 1.0)], tmp_path / "out")


def test_the_commit_of_a_checkout_has_forty_digits_or_is_not_known():
    assert commit() == "" or len(commit().rstrip("+")) == 40


@pytest.mark.parametrize("name", ["config.json", "starts.jsonl", "metrics.jsonl"])
def test_a_run_without_its_records_is_refused_before_anything_is_written(name, tmp_path):
    run = run_folder(tmp_path / "run", "vae", "vae", 1.0)
    (run / name).unlink()
    with pytest.raises(UserError, match=name):
        package.package([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, text",
    [
        ("config.json", "[]"),
        ("config.json", '{"seed": 1, "model": 3}'),
        ("config.json", '{"model": {"stage": "vae"}}'),
        ("starts.jsonl", "3"),
        ("starts.jsonl", '{"step": 0}'),
        ("starts.jsonl", ""),
        ("metrics.jsonl", '{"step": 1}'),
    ],
)
def test_damaged_records_of_a_run_are_named(name, text, tmp_path):
    run = run_folder(tmp_path / "run", "vae", "vae", 1.0)
    (run / name).write_text(text)
    with pytest.raises(UserError, match=f"run/{name}"):
        package.package([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"runs": 3}', '{"runs": [3]}', '{"runs": [{"run": "a", "validation": {"val_psnr": "b"}}]}']
)
def test_a_damaged_list_of_runs_is_refused(text, tmp_path):
    package.package([run_folder(tmp_path / "run", "vae", "vae", 1.0)], tmp_path / "out")
    (tmp_path / "out" / "provenance.json").write_text(text)
    with pytest.raises(UserError, match="provenance"):
        package.table(tmp_path / "out")
