"""A run that was stopped continues where it was, bit for bit."""

import dataclasses

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
from vp_jax.inference.stream import StepDone
from vp_jax.interrupts import Terminated
from vp_jax.jobs import store as store_module
from vp_jax.jobs.store import WindowStore, digest, resumable
from vp_jax.models.id_resample import PreviousWindow

STEPS = 3
WINDOWS = 3  # of eleven frames, five at a time, one shared


def settings(**changes):
    return Settings(**{"steps": STEPS, "window": 5, "overlap": 1, **changes})


@pytest.fixture
def stream(pipeline, clip, tmp_path):
    """Events of a run that is kept in a folder."""
    frames, holes, text = clip

    def stream(chosen):
        return resumable(pipeline, pad_video(frames, holes, chosen), text, chosen, tmp_path / "kept")

    return stream


@pytest.fixture
def run(pipeline, clip, stream):
    """Inpaint with a folder; stop after a step if asked; returns the pixels and the steps that were reported."""

    def run(chosen, *, stop_at=None, error=KeyboardInterrupt):
        plan, events, steps, parts = plan_windows(len(clip[0]), chosen), stream(chosen), [], []
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


def test_other_arguments_start_anew(pipeline, clip, run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(settings(), stop_at=STEPS + 1)
    with pytest.raises(MemoryError):
        run(settings(seed=1), stop_at=1, error=MemoryError)  # nothing saved yet: what the first run left is still there
    assert WindowStore(tmp_path / "kept", (tmp_path / "kept" / "job.txt").read_text()).finished(WINDOWS) == 1
    got, steps = run(settings(seed=1))
    assert steps[0] == 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, settings(seed=1)))


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
        (0.0, "job.txt", 3, 2 * STEPS + 2),
        (0.0, "job.txt", 0, 2 * STEPS + 2),
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
    finished = store.finished(5, states=True)
    carries = [store.carry(number) for number in range(finished)]
    return (
        finished,
        [[np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(c)] for c in carries],
        store.step(finished),
    )


def test_a_hundred_flips_and_cuts_over_a_store_are_never_read_as_other_values(tmp_path):
    draw, folder, found = np.random.default_rng(0), tmp_path / "kept", 0
    store = WindowStore(folder, "1f" * 32)
    for window in range(3):
        store.save(window, random_carry(draw, states=True))
    state = LoopState(*random_carry(draw, states=True).previous[:2])
    store.save_step(StepDone(3, 1, state), now=True)
    finished, want, step = read_all(store)
    files = sorted(folder.iterdir())
    assert finished == 3 and step.done == 1 and len(files) == 6
    for number in range(120):
        file = files[number % 6]
        before = file.read_bytes()
        file.write_bytes(damage(before, number // 6, draw))
        lines = []
        store = WindowStore(folder, "1f" * 32, lines.append)
        got_finished, got, got_step = read_all(store)
        assert got == want[:got_finished], file
        assert got_step is None or jax.tree.all(jax.tree.map(np.array_equal, got_step, step)), file
        all_there = (got_finished, got_step is None) == (3, False)
        assert all_there or lines, "what is missing is named"
        found += bool(lines)
        store._claim()
        assert (folder / "job.txt").read_text() == "1f" * 32, "the next run is not blocked"
        file.write_bytes(before)
    assert found > 110


def test_lost_states_are_made_again(pipeline, clip, run, tmp_path):
    chosen = settings(clip_weight=0.5)
    run(chosen)
    assert not (tmp_path / "kept" / "states_0000.safetensors").exists()
    (tmp_path / "kept" / "window_0001.safetensors").write_bytes(b"")
    got, steps = run(chosen)
    assert steps[0] == 1
    np.testing.assert_array_equal(got, pipeline.inpaint(*clip, chosen))


def test_the_digest_changes_with_everything(tmp_path):
    file = tmp_path / "weights" / "a"
    file.parent.mkdir()
    file.write_text("1")
    arrays, facts, folders = [np.zeros((2, 3), np.uint8)], [settings()], [file.parent]
    values = {
        digest(arrays, facts, folders),
        digest([np.zeros((3, 2), np.uint8)], facts, folders),
        digest([np.ones((2, 3), np.uint8)], facts, folders),
        digest([np.zeros((2, 3), bool)], facts, folders),
        digest(arrays, [dataclasses.replace(settings(), seed=1)], folders),
        digest(arrays, facts, []),
    }
    file.write_text("12")
    assert len({*values, digest(arrays, facts, folders)}) == 7


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    store = WindowStore(tmp_path / "file" / "kept", "job")
    with pytest.raises(UserError, match="kept"):
        store.save(0, Carry(jnp.zeros((1, 2, 2, 2, 4)), None))
