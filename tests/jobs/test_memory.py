"""Memory is counted in bytes, now and at its peak."""

import numpy as np

from vp_jax.jobs.memory import peak_memory, used_memory


def test_the_peak_of_a_process_is_no_less_than_what_it_holds():
    held = np.ones(50_000_000, np.uint8)
    used = used_memory()["host"]
    assert 50_000_000 < used <= 1.05 * peak_memory()["host_peak"]
    assert held.all()
