"""Benchmarks of inpainting and editing: clips, methods that run here, scores of any method, tables and pages."""
