"""Benchmarks: speed next to diffusers and PyTorch, and the ablations of the paper on the drawn world."""

import os

# threads of PyTorch sleep while they wait: spinning, they take the processors from what is timed next
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
