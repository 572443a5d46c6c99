"""``python -m vp_jax COMMAND``: the command ``vp-jax``."""

from vp_jax.cli.main import main

if __name__ == "__main__":
    main()
