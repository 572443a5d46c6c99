"""``python sample.py``: the command ``vp-jax sample`` from a checkout."""

from vp_jax.cli.main import main

if __name__ == "__main__":
    main("sample", prog="python sample.py")
