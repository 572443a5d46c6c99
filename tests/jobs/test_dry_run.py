"""A dry run reports windows, sizes and memory, loads no weights and writes nothing."""

import dataclasses

import pytest

from tests.jobs.small_job import finish, small_job
from vp_jax import checkpoint
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.pipeline import Pipeline
from vp_jax.jobs import packaged
from vp_jax.jobs.dry_run import dry_run, estimate
from vp_jax.jobs.events import Estimate, MediaRead, Note, Planned
from vp_jax.jobs.job import Job
from vp_jax.models import variants
from vp_jax.models.config import BranchConfig


@pytest.fixture
def no_weights(monkeypatch):
    monkeypatch.setattr(checkpoint, "load_params", lambda *_, **__: pytest.fail("weights are read"))


def test_it_plans_what_the_run_does_and_writes_nothing(tmp_path, no_weights):
    job = small_job(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    read, planned, needs = dry_run(job)
    assert isinstance(read, MediaRead) and (read.frames, read.size) == (13, (32, 32))
    assert isinstance(planned, Planned) and planned.plan.windows == (0, 4, 8) and planned.size == (32, 32)
    assert planned.settings.steps == 2 and planned.files == tuple(job.files)
    assert isinstance(needs, Estimate) and 0 < needs.weights < needs.peak and needs.seconds is None
    assert needs.disk == 3 * 2 * 4 * 4 * 4 * 4
    assert sorted(tmp_path.rglob("*")) == before


def test_the_plan_and_the_disk_are_those_of_the_run_and_then_the_time_is_known(tmp_path):
    _, planned, needs = dry_run(small_job(tmp_path))
    _, events = finish(small_job(tmp_path))
    assert planned == next(event for event in events if isinstance(event, Planned))
    kept = sum(path.stat().st_size for path in (tmp_path / "out.job").glob("window_*"))
    assert needs.disk < kept < needs.disk + 3 * 1000
    *_, needs = dry_run(small_job(tmp_path))
    assert 0 < needs.seconds < 600


def test_the_packaged_clip_is_not_written(tmp_path, monkeypatch, no_weights):
    monkeypatch.chdir(tmp_path)
    job = Job(checkpoint="nano", out=packaged.OUT, **packaged.demonstration(packaged.OUT))
    _, planned, _ = dry_run(job)
    assert planned.size == (64, 96) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"height": 48, "width": 33}, "width 33: expected a multiple of 16"),
        ({"settings": {"overlap": 2}}, "overlap 2 of window 5"),
        ({"precision": "half"}, "precision 'half'"),
        ({"start": 20}, "has 13 frames"),
    ],
)
def test_what_the_run_refuses_it_refuses(tmp_path, no_weights, changes, message):
    with pytest.raises(UserError, match=message):
        list(dry_run(small_job(tmp_path, **changes)))


def test_a_job_is_changed_to_fit_its_memory_or_refused_before_weights_are_read(tmp_path, no_weights):
    def needs(**changes):
        *notes, found = dry_run(small_job(tmp_path, **changes))
        return [note.text for note in notes if isinstance(note, Note) and note.topic == "memory"], found

    _, plain = needs()
    lines, found = needs(memory="1GB")
    assert found == plain and "with float32 weights, of 1GB" in lines[0]
    lines, found = needs(memory=f"{(plain.peak - 1) / 1e9:.9f}GB")
    assert found == needs(weights="int8")[1] and found.weights < plain.weights and "with int8 weights" in lines[0]
    with pytest.raises(
        UserError,
        match=r"memory 0.000001GB: about .* with float32 weights; or .* with int8 .*; or .* with host weights: a",
    ):
        needs(memory="0.000001GB")
    with pytest.raises(UserError, match="memory 24: expected gigabytes of the device, such as 24GB"):
        small_job(tmp_path, memory="24")


@pytest.mark.slow
def test_the_estimate_is_near_what_the_compiler_reports_for_the_5b_model(tmp_path):
    """docs/scaling.md: 23.29 GB of one H100, in decoding; 12.39 of them are weights."""
    named = variants.VARIANTS["cogvideox-5b-i2v"]
    types = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    branch = BranchConfig(dataclasses.replace(named.branch.dit, **types))
    models = Models(dataclasses.replace(named.backbone, **types), branch, dataclasses.replace(named.vae, **types))
    text = dataclasses.replace(named.t5, **types), tmp_path
    pipeline = Pipeline(models, {}, Schedule(), text)
    needs = estimate(pipeline, pipeline.settings, pipeline.plan(100, pipeline.settings), (480, 720))
    assert needs.at == "decoding" and needs.weights == pytest.approx(12.39e9, rel=0.01)
    assert needs.peak == pytest.approx(23.29e9, rel=0.05)
    near = pipeline.settings.changed(background_every=3)  # keys and values of 17,776 tokens of both prompts
    kept = estimate(pipeline, near, pipeline.plan(100, near), (480, 720)).peak
    assert kept == pytest.approx(12.39e9 + 12 * 0.2184e9 + 2 * 9.62e9, rel=0.02)
    looking = pipeline.settings.changed(clip_weight=0.5)
    states = [estimate(pipeline, looking, pipeline.plan(100, looking), (480, 720), room) for room in (None, 6144)]
    assert states[0].peak == pytest.approx(12.39e9 + 12 * 0.2184e9 + 2 * 9.18e9, rel=0.02)
    assert states[1].peak == pytest.approx(23.29e9, rel=0.05), "masked tokens alone: decoding is the peak again"


def test_blocks_in_the_host_s_memory_fit_a_card_of_16_gb(tmp_path):
    """11.16 of the 12.39 GB of weights wait there; one block and the next have 0.53 GB on the device."""
    named = variants.VARIANTS["cogvideox-5b-i2v"]
    types = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    branch = BranchConfig(dataclasses.replace(named.branch.dit, **types))
    backbone = dataclasses.replace(named.backbone, **types, weights="host")
    models = Models(backbone, branch, dataclasses.replace(named.vae, **types))
    pipeline = Pipeline(models, {}, Schedule(), (dataclasses.replace(named.t5, **types), tmp_path))
    needs = estimate(pipeline, pipeline.settings, pipeline.plan(100, pipeline.settings), (480, 720))
    assert needs.at == "decoding" and needs.weights < 2e9 and needs.peak < 16e9
