"""The command: its mistakes, what it prints, and that training takes its output without a further command."""

import pytest

from tests.curate.drawn_sources import write_sources
from tests.curate.small_run import SMALL
from vp_jax.cli import settings
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources") / "videos"
    write_sources(folder, good=2, films=0, height=48, width=72)
    return folder


def flags(*more):
    return [*(f"--config.{change}" for change in (*SMALL, *more))]


@pytest.fixture(scope="module")
def curated(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("command") / "out"
    run(["curate", str(drawn), str(out), "--config", "curate:things", *flags()])
    return out


@pytest.mark.slow
def test_the_command_prints_funnel_costs_and_how_to_train(drawn, curated, capsys):
    run(["curate", str(drawn), str(curated), "--config", "curate:things", *flags("shards=false")])
    printed, progress = capsys.readouterr()
    assert "collect 100%" in progress and "pack 100%" in progress and " left]" in progress
    for words in ("most frequent reason", "2 x cannot be read", "days, 64 cores", "bottleneck: ", "data.kind=csv"):
        assert words in printed, printed
    assert (curated / "index.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_sample_is_curated_first(drawn, tmp_path, capsys):
    sample = ["--sample", "6", "--config", "curate:things"]
    run(["curate", str(drawn), str(tmp_path / "out"), *sample, *flags("shards=false")])
    printed = capsys.readouterr().out
    assert printed.startswith("6 of 10 sources") and "for 10 videos" in printed


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone", "out"], "gone: no such file or folder"),
        ([".", "out", "--sample", "0"], "--sample 0: expected 1 or more"),
        ([".", "out", "--gpu_rates", "paint=3"], "--gpu_rates paint=3: expected STAGE=FRAMES with a stage of collect"),
        ([".", "out", "--gpu_rates", "mask=fast"], "mask=fast: expected a number of frames above 0"),
        ([".", "out", "--config.box.size=3"], r"no setting 'box.size'"),
        ([".", "out", "--config", "curate:big"], "expected paper or things"),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(["curate", *arguments])


@pytest.mark.slow
def test_training_takes_the_output_without_a_further_command(curated, tmp_path, one_device):
    config = settings.config_from_file("tiny")
    for change in ("steps=5", f"data.path={curated / 'shards'}", "data.kind=vpdata", "validation.every=0"):
        settings.change(config, f"--config.{change}")
    assert train(config, tmp_path / "run") == 0
    losses = [line["loss"] for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert len(losses) == 5 and all(0 < loss < 1e4 for loss in losses)
