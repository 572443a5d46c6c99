"""``python -m convert``: the command ``vp-jax convert`` from a checkout."""

from vp_jax.cli.main import main

if __name__ == "__main__":
    main("convert", prog="python -m convert")
