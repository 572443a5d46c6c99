"""Faults in the sampling of long videos, in jobs, and in what a result takes from its source, for `tests.mutants`."""

from __future__ import annotations

from tests.mutant import Mutant

LONG_VIDEOS = (
    Mutant(
        "frame_noise",
        "windows that share a latent frame do not share its noise",
        "vp_jax/diffusion/noise.py",
        "self.first + jnp.arange(frames)",
        "jnp.arange(frames)",
        "tests/diffusion/test_noise.py",
    ),
    Mutant(
        "window_ramp",
        "the weight of a later window falls where it has to rise",
        "vp_jax/inference/decode.py",
        "weight_T[1 : 1 + self._overlap] = rising",
        "weight_T[1 : 1 + self._overlap] = rising[::-1]",
        "tests/inference/test_decode.py",
    ),
    Mutant(
        "hole_fill",
        "the smooth fill of a hole is the mean of the frame",
        "vp_jax/inference/hole_fill.py",
        "return jnp.where(counts > 0, _colour(sums, counts), spread)",
        "return jnp.where(counts > 0, _colour(sums, counts), mean)",
        "tests/inference/test_hole_fill.py",
    ),
    Mutant(
        "kept_chroma",
        "a chroma sample is replaced if any of its pixels lies in the hole",
        "vp_jax/media/pixels/paste.py",
        "functools.reduce(np.minimum, taken)",
        "functools.reduce(np.maximum, taken)",
        "tests/media/pixels/test_paste.py",
    ),
    Mutant(
        "time_shift",
        "sound and subtitles keep the times of the source",
        "vp_jax/media/streams/track_parts.py",
        "shift = round(source.zero / base)",
        "shift = 0",
        "tests/media/streams/test_track_parts.py tests/media/streams/test_tracks.py",
    ),
    Mutant(
        "masked_carry",
        "the next window receives the states of unmasked tokens",
        "vp_jax/models/id_resample.py",
        "None if room is None else places(resample.masked_BS, room)",
        "None if room is None else places(~resample.masked_BS, room)",
        "tests/models/test_id_resample.py",
    ),
    Mutant(
        "thinned_end",
        "the last frame of a thinned video ends too early",
        "vp_jax/media/clock.py",
        "until = frames[-1] + step",
        "until = frames[-1] + 1",
        "tests/media/test_clock.py",
    ),
    Mutant(
        "prompt_span",
        "a window has the prompt of its first frame",
        "vp_jax/inference/prompts.py",
        "middle = (begin + end) / 2",
        "middle = begin",
        "tests/inference/test_prompts.py",
    ),
    Mutant(
        "chained_keys",
        "windows behind one that is made anew stay",
        "vp_jax/jobs/manifest.py",
        "before = made[-1] if made and self.reads(number) else base",
        "before = base",
        "tests/jobs/test_manifest.py",
    ),
    Mutant(
        "changed_row",
        "a row of a table that changed is not run again",
        "vp_jax/jobs/table.py",
        "(known.status, known.digest) == (DONE, digest)",
        "known.status == DONE",
        "tests/jobs/test_table.py",
    ),
)
