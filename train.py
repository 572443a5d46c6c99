"""``python train.py --config configs/tpu_v4.py --workdir RUN``: the command ``vp-jax train`` from a checkout."""

from vp_jax.cli.main import main

if __name__ == "__main__":
    main("train", prog="python train.py")
