"""Settings of training runs, one run one file, on top of `common`. Installed as ``vp_jax.configs``."""
