#!/usr/bin/env bash
# Trains the small model of vp_jax/nano from scratch on the cores of a CPU, in about four hours on two. It may be
# stopped at any time and started again; every stage continues where it was.
#
#   bash examples/train_nano.sh [FOLDER]
#
# PYTHON names the interpreter that has vp_jax with its extras train and build. The model is FOLDER/nano.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLIPS=${CLIPS:-7000} MASKS=${MASKS:-2} VAE_STEPS=${VAE_STEPS:-1300} JOINT_STEPS=${JOINT_STEPS:-6000}
export FINE_STEPS=${FINE_STEPS:-2600} ID_STEPS=${ID_STEPS:-300}
while true; do
  status=0
  bash examples/train_nano_gpu.sh "$@" || status=$?
  [ "$status" = 75 ] || exit "$status"
done
