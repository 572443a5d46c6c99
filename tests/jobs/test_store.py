"""A run that was stopped continues where it was, bit for bit."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.jobs.test_kept_arrays import damage
from vp_jax.diffusion.sampler import LoopState
from vp_jax.errors import UserError
from vp_jax.inference.decode import Decoded
from vp_jax.inference.padded import pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.progress import position
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.stream import StepDone, WindowDone
from vp_jax.interrupts import Terminated
from vp_jax.jobs import store as store_module
from vp_jax.jobs.manifest import ChosenWindow, Manifest
from vp_jax.jobs.store import WindowStore, _to_sample, resumable
from vp_jax.models.id_resample import PreviousWindow

STEPS = 3
WINDOWS = 3  # of eleven frames, five at a time, one shared


def settings(**changes):
    return Settings(**{"steps": STEPS, "window": 5, "overlap": 1, **changes})


def manifest(chosen, *, windows=WINDOWS, chained=True):
    """Of a job with these settings."""
    facts = {name: value for name, value in dataclasses.asdict(chosen).items() if name != "seed"}
    return Manifest(facts, tuple(ChosenWindow(chosen.seed, "", "") for _ in range(windows)), chained)


@pytest.fixture
def stream(pipeline, clip, tmp_path):
    """Events of a run that is kept in a folder."""
    frames, holes, text = clip

    def stream(chosen, **options):
        store = WindowStore(tmp_path / "kept", manifest(chosen), **options)
        return resumable(pipeline, pad_video(frames, holes, chosen), [text] * WINDOWS, chosen, store)

    return stream


@pytest.fixture
def run(pipeline, clip, stream):
    """Inpaint with a folder; stop after a step if asked; returns the pixels and the steps that were reported."""

    def run(chosen, *, stop_at=None, error=KeyboardInterrupt, **options):
        plan, events, steps, parts = plan_windows(len(clip[0]), chosen), stream(chosen, **options), [], []
        for event in pipeline.decoded(events, plan, chosen):
            if isinstance(event, Decoded):
                parts.append(event.frames_FHWC)
            elif here := position(event, plan, chosen):
                steps.append(here.done)
                if here.done == stop_at:
                    events.throw(error)
        return np.concatenate(parts), steps

    return run


@pytest.mark.slow
@pytest.mark.parametrize("clip_weight", [0.0, 0.5])
@pytest.mark.parametrize("stop_at", [1, STEPS, STEPS + 1, 2 * STEPS + 2, WINDOWS * STEPS])
def test_it_continues_where_it_was_stopped(pipeline, clip, run, clip_weight, stop_at):
    chosen = settings(clip_weight=clip_weight)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, stop_at=stop_at)
    got, steps = run(chosen)
    assert steps == (list(range(stop_at, WINDOWS * STEPS + 1)) if stop_at < WINDOWS * STEPS else [])
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, chosen))


@pytest.mark.slow
@pytest.mark.parametrize("every, first", [(0.0, 2 * STEPS + 2), (1e6, 2 * STEPS + 1)])
def test_a_crash_loses_little(pipeline, clip, run, monkeypatch, every, first):
    """Nothing is saved when it happens; windows are kept, steps only as often as `EVERY` says."""
    monkeypatch.setattr(store_module, "EVERY", every)
    with pytest.raises(MemoryError):
        run(settings(), stop_at=2 * STEPS + 3, error=MemoryError)
    got, steps = run(settings())
    assert next(step for step in steps if step > 2 * STEPS) == first
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, settings()))


def test_sigterm_counts_as_an_interrupt(run):
    with pytest.raises(Terminated):
        run(settings(), stop_at=2, error=Terminated)
    assert run(settings())[1][0] == 2


def test_what_a_caller_leaves_early_is_kept(run, stream):
    events = stream(settings())
    for _ in range(STEPS + 3):  # three steps, their window, two steps
        next(events)
    events.close()
    assert run(settings())[1][0] == STEPS + 2


@pytest.mark.slow
def test_a_run_goes_on_in_front_of_a_full_step_alone(pipeline, clip, run):
    """What a hole step reads is not kept: a stop behind a full step goes back to the state before it."""
    chosen, want = settings(background_every=2), None
    for stop_at, first in ((STEPS + 1, STEPS), (STEPS + 2, STEPS + 2)):
        with pytest.raises(KeyboardInterrupt):
            run(chosen, stop_at=stop_at, fresh=True)
        got, steps = run(chosen)
        assert steps[0] == first
        want = pipeline.inpaint(*clip, chosen) if want is None else want
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("error, first", [(KeyboardInterrupt, 2), (MemoryError, 1)])
def test_an_interrupt_within_a_step_keeps_the_one_before_it(pipeline, run, monkeypatch, error, first):
    sampled = pipeline.windows

    def interrupted(*args, **kwargs):
        events = sampled(*args, **kwargs)
        yield next(events)
        yield next(events)
        raise error

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(pipeline, "windows", interrupted)
        run(settings())
    assert run(settings())[1][0] == first


def test_other_arguments_are_refused_until_what_is_unfinished_is_dropped(pipeline, clip, run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(settings(), stop_at=STEPS + 1)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    message = rf"^seed 1 here, 42 in {tmp_path}/kept: remove the folder or give `fresh`$"
    with pytest.raises(UserError, match=message):
        run(settings(seed=1))
    with pytest.raises(UserError, match=r"^guidance 2\.0 here, 6\.0 in .*kept: remove"):
        run(settings(guidance=2.0))
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == kept
    got, steps = run(settings(seed=1), fresh=True)
    assert steps[0] == 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, settings(seed=1)))


def test_a_finished_job_gives_way_to_another(pipeline, clip, run, tmp_path):
    run(settings())
    WindowStore(tmp_path / "kept", manifest(settings())).finish(keep=True)
    with pytest.raises(MemoryError):
        run(settings(seed=1), stop_at=1, error=MemoryError)  # nothing saved yet: what the first run left is still there
    store = WindowStore(tmp_path / "kept", manifest(settings()))
    assert all(store.has(window) for window in range(WINDOWS))
    got, steps = run(settings(seed=1))
    assert steps[0] == 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, settings(seed=1)))
    assert run(settings(seed=1))[1] == []


def test_a_cut_file_is_made_again(pipeline, clip, run, tmp_path):
    run(settings())
    file = tmp_path / "kept" / "window_0001.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    got, steps = run(settings())
    assert steps[0] == STEPS and len(steps) == 2 * STEPS + 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, settings()))


def flip(path, byte=-1):
    data = bytearray(path.read_bytes())
    data[byte] ^= 16
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "clip_weight, name, byte, first",
    [
        (0.0, "window_0000.safetensors", -1, 1),
        (0.0, "window_0001.safetensors", 40, STEPS),
        (0.5, "states_0001.safetensors", -1, 1),
        (0.0, "step.safetensors", -1, 2 * STEPS),
        (0.0, "manifest.json", 3, 2 * STEPS + 2),
        (0.0, "manifest.json", 0, 2 * STEPS + 2),
    ],
)
def test_what_is_damaged_is_named_and_made_again(pipeline, clip, run, tmp_path, caplog, clip_weight, name, byte, first):
    chosen = settings(clip_weight=clip_weight)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, stop_at=2 * STEPS + 2)
    flip(tmp_path / "kept" / name, byte)
    got, steps = run(chosen)
    assert steps[0] == first
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, chosen))
    (record,) = caplog.records
    assert record.message.startswith(f"{tmp_path / 'kept' / name} is damaged") and "\n" not in record.message
    caplog.clear()
    assert run(chosen)[1] == [] and not caplog.records, "mended"


def random_carry(draw, states):
    def array(*shape):
        return jnp.asarray(draw.standard_normal(shape), jnp.float32)

    previous = PreviousWindow(*(array(2, 3, 4) for _ in PreviousWindow._fields)) if states else None
    return Carry(array(1, 2, 3, 4, 4), previous)


def read_all(store):
    """Everything that a run would go on from, as bytes."""
    finished = next((window for window in range(4) if not store.has(window)), 4)
    finished = finished if not finished or store.has_states(finished - 1) else 0
    carries = [store.carry(number) for number in range(finished)]
    return (
        finished,
        [[np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(c)] for c in carries],
        store.step(finished),
    )


def test_a_hundred_flips_and_cuts_over_a_store_are_never_read_as_other_values(tmp_path):
    draw, folder, found = np.random.default_rng(0), tmp_path / "kept", 0
    job = manifest(settings(), windows=5)
    store = WindowStore(folder, job)
    for window in range(3):
        store.save(window, random_carry(draw, states=True))
    x, x0_old = random_carry(draw, states=True).previous[:2]
    state = LoopState(x, x0_old, x)  # with the estimates of a step cache
    store.save_step(StepDone(3, 1, state), now=True)
    finished, want, step = read_all(store)
    files = sorted(folder.iterdir())
    assert finished == 3 and step.done == 1 and len(files) == 6
    for number in range(120):
        file = files[number % 6]
        before = file.read_bytes()
        file.write_bytes(damage(before, number // 6, draw))
        lines = []
        store = WindowStore(folder, job, lines.append)
        got_finished, got, got_step = read_all(store)
        assert got == want[:got_finished], file
        assert got_step is None or jax.tree.all(jax.tree.map(np.array_equal, got_step, step)), file
        all_there = (got_finished, got_step is None) == (3, False)
        assert all_there or lines, "what is missing is named"
        found += bool(lines)
        store._claim()
        assert Manifest.read(folder) == job, "the next run is not blocked"
        file.write_bytes(before)
    assert found > 110


@pytest.mark.slow
def test_lost_states_are_made_again(pipeline, clip, run, tmp_path):
    chosen = settings(clip_weight=0.5)
    run(chosen)
    assert not (tmp_path / "kept" / "states_0000.safetensors").exists()
    (tmp_path / "kept" / "window_0001.safetensors").write_bytes(b"")
    got, steps = run(chosen)
    assert steps[0] == 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, chosen))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    store = WindowStore(tmp_path / "file" / "kept", manifest(settings()))
    with pytest.raises(UserError, match="kept"):
        store.save(0, Carry(jnp.zeros((1, 2, 2, 2, 4)), None))


@pytest.mark.slow
@pytest.mark.parametrize("clip_weight", [0.0, 0.5])
def test_a_redone_window_changes_itself_and_those_behind_it(pipeline, clip, tmp_path, clip_weight):
    """States of the window before are lost: it is sampled again, with the same result."""
    frames, holes, text = clip
    chosen, place = settings(clip_weight=clip_weight), tmp_path / "kept"

    def windows(job, **options):
        store, steps = WindowStore(place, job, **options), []
        events = list(resumable(pipeline, pad_video(frames, holes, chosen), [text] * WINDOWS, chosen, store))
        steps = [event.window for event in events if isinstance(event, StepDone)]
        store.finish(keep=True)
        return [np.asarray(e.carry.latents_BThwC) for e in events if isinstance(e, WindowDone)], steps

    job = manifest(chosen)
    before, _ = windows(job)
    other = job.with_window(1, ChosenWindow(7, "", ""))
    after, sampled = windows(other, redo=True)
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).any() and (after[2] != before[2]).any()
    assert sorted(set(sampled)) == ([1, 2] if clip_weight == 0 else [0, 1, 2])
    assert windows(other, redo=True)[1] == []
    back, _ = windows(job, redo=True)
    for got, want in zip(back, before):
        np.testing.assert_array_equal(got, want)


def test_windows_that_read_nothing_of_one_another_stay(pipeline, clip, tmp_path):
    frames, holes, text = clip
    chosen, job = settings(), manifest(settings(), chained=False)

    def windows(job):
        store = WindowStore(tmp_path / "kept", job, redo=True)
        return list(resumable(pipeline, pad_video(frames, holes, chosen), [text] * WINDOWS, chosen, store))

    windows(job)
    events = windows(job.with_window(1, ChosenWindow(7, "", "")))
    assert [event.window for event in events if isinstance(event, StepDone)] == [1] * STEPS
    assert [event.window for event in events if isinstance(event, WindowDone)] == [0, 1, 2]


def test_a_redo_on_other_inputs_is_refused(run, tmp_path):
    run(settings())
    WindowStore(tmp_path / "kept", manifest(settings())).finish(keep=True)
    with pytest.raises(
        UserError, match=r"^steps 2 here, 3 in .*: a redo changes the seed and the prompt of one window"
    ):
        WindowStore(tmp_path / "kept", manifest(settings(steps=2)), redo=True)


def test_a_damaged_manifest_beside_windows_of_another_job_is_refused(run, tmp_path):
    run(settings())
    flip(tmp_path / "kept" / "manifest.json", 3)
    with pytest.raises(
        UserError, match=r"manifest.json is damaged .* of another job: remove the folder or give `fresh`"
    ):
        WindowStore(tmp_path / "kept", manifest(settings(seed=1)))
    assert not any((WindowStore(tmp_path / "kept", manifest(settings(seed=1)), fresh=True).has(0),))


@pytest.mark.parametrize("keep_states", [False, True])
def test_states_stay_where_they_are_asked_for(run, tmp_path, keep_states):
    chosen = settings(clip_weight=0.5)
    run(chosen, keep_states=keep_states)
    store = WindowStore(tmp_path / "kept", manifest(chosen), keep_states=keep_states)
    size = store.finish(keep=True)
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    windows = {f"window_{k:04d}.safetensors" for k in range(WINDOWS)}
    states = {f"states_{k:04d}.safetensors" for k in range(WINDOWS - 1)} if keep_states else set()
    assert names == {"manifest.json", *windows, *states}
    assert size == sum(path.stat().st_size for path in (tmp_path / "kept").iterdir())
    assert store.finish(keep=False) == 0 and not list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize(
    "kept, chained, joint, sampled",
    [
        ("110111", True, False, "001000"),  # a shot begins at window 3: what is kept behind the cut stays
        ("011111", True, False, "111000"),
        ("011111", False, False, "100000"),
        ("110110", True, True, "111111"),
        ("110111", False, True, "111000"),
        ("111111", True, True, "000000"),
    ],
)
def test_what_is_sampled_again_stays_within_its_shot(kept, chained, joint, sampled):
    windows = tuple(ChosenWindow(3, "", "t") for _ in kept)
    manifest = Manifest({}, windows, chained, fresh=(0, 3))
    found = types.SimpleNamespace(has=lambda k: kept[k] == "1", has_states=lambda k: True, manifest=manifest)
    assert _to_sample(found, len(kept), states=False, joint=joint) == [flag == "1" for flag in sampled]
