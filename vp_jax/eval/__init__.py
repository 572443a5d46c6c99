"""Metrics of clips as pure functions: ``video_metrics`` compares results with the truth, ``bootstrap`` gives bounds."""
