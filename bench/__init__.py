"""Benchmarks: speed next to diffusers and PyTorch, and the ablations of the paper on the drawn world."""
