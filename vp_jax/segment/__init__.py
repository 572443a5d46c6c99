"""Tracked masks from boxes, points, scribbles, words or a first mask, every backend behind one protocol; no JAX."""
