"""The curve of a run, to be compared with another."""

from vp_jax.scalars import read_metrics

TIMES = {"examples_per_s", "data_wait", "mfu"}
"""Metrics that measure the machine."""


def curve(folder):
    return [{name: value for name, value in line.items() if name not in TIMES} for line in read_metrics(folder)]
