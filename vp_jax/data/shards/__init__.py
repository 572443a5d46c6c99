"""Prepared training data: ``vpdata_tfds`` stores clips, ``latents_tfds`` encoded clips, which ``latents`` reads."""
