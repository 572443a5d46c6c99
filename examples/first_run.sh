#!/usr/bin/env bash
# Sets everything up, converts the tiny reference checkpoint (random weights), and inpaints the example clip with it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -c "import vp_jax, av, orbax.checkpoint" 2>/dev/null || .venv/bin/pip install --quiet -e .
.venv/bin/python -m convert all tests/golden out/tiny --dtype float32
.venv/bin/python sample.py --checkpoint out/tiny --video examples/ball.mp4 --mask examples/ball_mask.mp4 \
  --prompt_embeds tests/golden/pipeline_single.npz --steps 10 --overlap 1 --precision float32 --out out/ball.mp4
echo "look at out/ball_contact.png and out/ball_comparison.mp4"
