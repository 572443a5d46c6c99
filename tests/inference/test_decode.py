"""Stitching and decoding window by window give what all latents at once give, as early as they can."""

import numpy as np
import pytest

from vp_jax.inference.decode import Decoded, Stitcher, StreamDecoder, stitch
from vp_jax.inference.padded import pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import WindowDone


def test_stitching_weights():
    first, second = np.zeros((1, 3, 1, 1, 1), np.float32), np.ones((1, 3, 1, 1, 1), np.float32)
    assert stitch([first, second], 0, reference=True).ravel().tolist() == [0, 0, 0.5, 1, 1]
    assert stitch([first, second], 0, reference=False).ravel().tolist() == [0, 0, 0, 1, 1]
    assert stitch([first, second], 1, reference=True).ravel().tolist() == [0, 0.5, 0.5, 1]
    assert stitch([first, second], 1, reference=False).ravel().tolist() == [0, 0, 0.5, 1]


def test_in_the_overlap_one_window_passes_into_the_next():
    windows = [np.full((1, 6, 1, 1, 1), value, np.float32) for value in (0, 1, 4)]
    ramped = stitch(windows, 2, reference=False).ravel()
    np.testing.assert_allclose(ramped, [0, 0, 0, 0, 1 / 3, 2 / 3, 1, 2, 3, 4, 4, 4])
    assert stitch(windows, 2, reference=True).ravel().tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 2.5, 2.5, 2.5, 4, 4, 4]


def at_once(windows, overlap, reference):
    """The definition: sums and weights over the complete video."""
    T = windows[0].shape[1]
    advance = T - overlap - 1
    total = np.zeros((1, advance * (len(windows) - 1) + T, 2, 3, 4), np.float32)
    weight = np.zeros(total.shape[1], np.float32)
    for k, latents in enumerate(windows):
        for t in range(0 if reference or k == 0 else 1, T):
            w = np.float32(1)
            if not reference and k > 0 and t <= overlap:
                w *= np.float32(t) / np.float32(overlap + 1)
            if not reference and k + 1 < len(windows) and t >= T - overlap:
                w *= np.float32(T - t) / np.float32(overlap + 1)
            total[:, k * advance + t] += w * latents[:, t]
            weight[k * advance + t] += w
    return total / weight[None, :, None, None, None]


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("count, T, overlap", [(1, 5, 2), (2, 5, 0), (4, 5, 1), (6, 5, 3), (3, 2, 0), (3, 5, 4)])
def test_windows_one_by_one_equal_the_definition(reference, count, T, overlap):
    windows = list(np.random.default_rng(0).standard_normal((count, 1, T, 2, 3, 4), np.float32))
    np.testing.assert_array_equal(stitch(windows, overlap, reference=reference), at_once(windows, overlap, reference))


def test_latents_come_out_once_no_later_window_changes_them():
    windows = list(np.zeros((3, 1, 5, 2, 3, 4), np.float32))
    for reference, lengths in ((False, [4, 3, 4]), (True, [3, 3, 5])):
        stitcher = Stitcher(3, 1, reference=reference)
        assert [stitcher.add(latents).shape[1] for latents in windows] == lengths


@pytest.mark.parametrize("latents", [1, 2, 3, 6, 7])
def test_pieces_of_any_length_decode_to_the_same_pixels(pipeline, latents):
    z = np.random.default_rng(latents).standard_normal((1, latents, 4, 4, 4), np.float32)
    whole = pipeline.decode(z)
    decoder = StreamDecoder(pipeline.models, pipeline.params, latents)
    pieces = [pixels for cut in np.split(z, range(1, latents), axis=1) for pixels in decoder.add(cut)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


@pytest.mark.slow
@pytest.mark.parametrize("frames, window, ends", [(3, 5, [3]), (5, 5, [5]), (11, 5, [0, 9, 11]), (11, 9, [9, 11])])
def test_frames_come_with_the_window_that_finishes_them(pipeline, clip, frames, window, ends):
    """Of windows of two latents the first finishes none: the VAE's first chunk is of three."""
    video, holes, prompt = (clip[0][:frames], clip[1][:frames], clip[2])
    settings = Settings(steps=2, window=window, overlap=1)
    plan = plan_windows(frames, settings)
    events = pipeline.windows(pad_video(video, holes, settings), prompt, settings)
    made, found = 0, []
    for event in pipeline.decoded(events, plan, settings):
        if isinstance(event, Decoded):
            assert event.start == made and event.frames_FHWC.dtype == np.uint8 and event.window == len(found)
            made += len(event.frames_FHWC)
        if isinstance(event, WindowDone):
            found.append(made)
    assert found == ends
