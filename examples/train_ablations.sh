#!/usr/bin/env bash
# Trains the weights that rows of bench.ablation have of their own, each for 800 steps, with the backbone and the shards
# that examples/train_nano.sh left in FOLDER. It may be stopped and started again.
#
#   bash examples/train_ablations.sh [FOLDER]
#   python -m bench.ablation --runs FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
R=${1:-runs/nano}
PYTHON=${PYTHON:-python}

row() {  # NAME [SETTINGS...]
  [ -d "$R/$1/export" ] || "$PYTHON" train.py --config configs/nano_branch.py --workdir "$R/$1" --config.steps=800 \
    --config.validation.every=0 --config.model.checkpoint="$R/model" --config.data.path="$R/latents" \
    --config.compilation_cache="$R/cache" "${@:2}"
}

row branch_2
row all_tokens --config.model.injection_tokens=all
row partial --config.model.injection_tokens=partial
row single_branch --config.model.stage=single_branch
row branch_1 --config.model.branch_layers=1
row branch_4 --config.model.branch_layers=4
