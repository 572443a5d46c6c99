"""Interrupted runs: what was finished is used again, to the bit, and nothing of another run is."""

import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference.finished import FinishedWindows, fingerprint
from vp_jax.inference.pipeline import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import Carry
from vp_jax.models.id_resample import PreviousWindow


class Stopped(Exception):
    """Ctrl-C."""


def stop_at(step):
    def progress(done, total, label):
        if done == step:
            raise Stopped

    return progress


@pytest.mark.parametrize("clip_weight", [0.0, 0.5])
@pytest.mark.parametrize("step", [1, 3, 4, 5])
def test_a_continued_run_equals_one_in_one_piece(pipeline, clip, tmp_path, clip_weight, step):
    frames, holes, text = clip
    chosen = Settings(steps=2, window=5, overlap=1, clip_weight=clip_weight)
    assert len(plan_windows(len(frames), chosen).windows) == 3
    want = pipeline.inpaint(frames, holes, text, chosen)
    with pytest.raises(Stopped):
        pipeline.inpaint(frames, holes, text, chosen, progress=stop_at(step),
                         finished=FinishedWindows(tmp_path / "out.mp4", "run"))
    finished, calls = FinishedWindows(tmp_path / "out.mp4", "run"), []
    assert len(finished) == (step - 1) // 2
    np.testing.assert_array_equal(pipeline.inpaint(frames, holes, text, chosen, finished=finished,
                                                   progress=lambda *call: calls.append(call)), want)
    assert calls[0] == ((step - 1) // 2 * 2 + 1, 6, f"window {(step - 1) // 2 + 1}/3")
    assert calls[-1] == (6, 6, "decoding")
    # all windows there: what is left is decoding
    np.testing.assert_array_equal(pipeline.inpaint(frames, holes, text, chosen, finished=finished), want)
    finished.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_window_is_not_made_from_less(pipeline, clip, tmp_path):
    frames, holes, text = clip
    chosen, finished = Settings(steps=2, window=5, overlap=1, clip_weight=0.5), FinishedWindows(tmp_path / "o", "run")
    pipeline.inpaint(frames, holes, text, chosen, finished=finished)
    (finished.folder / "00001.npz").write_bytes(b"")
    with pytest.raises(UserError, match="window 1 in it is damaged, remove the folder"):
        pipeline.inpaint(frames, holes, text, chosen, finished=finished)


def carry(value, states=None):
    latents = jnp.full((1, 2, 1, 1, 1), value, jnp.float32)
    return Carry(latents, None if states is None else PreviousWindow(jnp.full((1, 1, 2, 1), states, jnp.bfloat16),
                                                                     jnp.array([[True, False]])))


def test_states_are_kept_for_the_newest_window_only(tmp_path):
    finished = FinishedWindows(tmp_path / "out", "run")
    for number in range(3):
        finished.save(number, carry(number, 1 / 3 + number))
    assert sorted(path.name for path in (tmp_path / ".out.windows").iterdir()) == [
        "00000.npz", "00001.npz", "00002.npz", "run", "states_00002.npz"]
    newest = finished.load(2, states=True)
    assert newest.previous.states_LBSD.dtype == jnp.bfloat16
    assert float(newest.previous.states_LBSD[0, 0, 0, 0]) == float(jnp.bfloat16(1 / 3 + 2))
    assert newest.previous.masked_BS.tolist() == [[True, False]]
    assert finished.load(1, states=True).previous is None and finished.load(3) is None
    (finished.folder / "states_00002.npz").unlink()
    assert finished.load(2, states=True) is None and finished.load(2).previous is None


def test_windows_of_another_run_and_broken_ones_are_made_again(tmp_path):
    finished = FinishedWindows(tmp_path / "out.mp4", "run")
    finished.save(0, carry(1))
    (finished.folder / "00000.npz").write_bytes((finished.folder / "00000.npz").read_bytes()[:100])
    assert FinishedWindows(tmp_path / "out.mp4", "run").load(0) is None
    assert len(FinishedWindows(tmp_path / "out.mp4", "other")) == 0 and not finished.folder.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / ".out.windows").touch()
    with pytest.raises(UserError, match="cannot be written"):
        FinishedWindows(tmp_path / "out.mp4", "run").save(0, carry(1))


def test_everything_that_shapes_a_result_is_in_its_fingerprint(tmp_path):
    (tmp_path / "weights").write_bytes(b"1")
    array = np.zeros((2, 3), np.uint8)
    seen = {fingerprint([array, tmp_path, 1]), fingerprint([array.reshape(3, 2), tmp_path, 1]),
            fingerprint([array.view(np.int8), tmp_path, 1]), fingerprint([array + 1, tmp_path, 1]),
            fingerprint([array, tmp_path, 2]), fingerprint([array, tmp_path / "other", 1])}
    (tmp_path / "weights").write_bytes(b"22")
    assert len(seen | {fingerprint([array, tmp_path, 1])}) == 7
    assert fingerprint([array, tmp_path]) == fingerprint([array.copy(), tmp_path])
