"""Near-duplicates: bands find all pairs that comparing every pair finds."""

import numpy as np

from vp_jax.curate.near_duplicates import near_duplicates
from vp_jax.curate.record import ClipRecord


def clip_of(name, value):
    text = f"{value:048x}"
    return ClipRecord(name, name, hashes=[text[:16], text[16:32], text[32:]])


def test_bands_find_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(5)
    values = [int.from_bytes(rng.bytes(24), "big") for _ in range(12)]
    for _ in range(60):
        value = values[int(rng.integers(12))]
        for bit in rng.choice(192, int(rng.integers(0, 16)), replace=False):
            value ^= 1 << int(bit)
        values.append(value)
    clips = [clip_of(str(number), value) for number, value in enumerate(values)]
    kept, expected = [], {}
    for clip, value in zip(clips, values):
        near = [name for name, other in kept if (value ^ other).bit_count() <= 8]
        if near:
            expected[clip.name] = near
        else:
            kept.append((clip.name, value))
    found = near_duplicates(clips, 8)
    assert {*found} == {*expected} and all(found[name] in expected[name] for name in found) and len(found) > 20


def test_clips_without_hashes_and_a_negative_limit_compare_nothing():
    twins = [clip_of("a", 5), clip_of("b", 5)]
    assert near_duplicates([ClipRecord("a", "a"), ClipRecord("b", "b")], 5) == {} == near_duplicates(twins, -1)
    assert near_duplicates(twins, 0) == {"b": "a"}
