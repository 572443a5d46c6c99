"""Benchmarks of video inpainting and editing: their clips, methods that run here, scores of any method, tables, pages."""
