#!/usr/bin/env bash
# Sets everything up and inpaints the packaged clip with the packaged nano model.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -c "import vp_jax, av, orbax.checkpoint" 2>/dev/null || .venv/bin/pip install --quiet -e .
.venv/bin/python sample.py
