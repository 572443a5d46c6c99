"""``python -m convert``, see `convert.main`."""

import jax

from vp_jax.convert.main import main
from vp_jax.interrupts import run_cli

if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")  # weights only pass through: leave accelerators alone
    run_cli(main)
