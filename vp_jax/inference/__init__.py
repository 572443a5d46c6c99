"""The sampler: settings, windows, the loop over them, and the pipeline that puts them together."""
