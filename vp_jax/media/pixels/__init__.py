"""What the samples of a frame mean: formats, colours, light, and pasting into a source's own planes."""
