"""The published PyTorch checkpoints to our folders, and back. Installed as ``vp_jax.convert``."""
