#!/usr/bin/env bash
# Trains the small model of vp_jax/nano from scratch. It may be stopped at any time and
# started again; every stage continues where it was.
#
#   bash examples/train_nano.sh [FOLDER]
#
# PYTHON names the interpreter that has vp_jax with its extras train and build, CORES how many cores
# share the VAE's batches and the encoding of clips (1, 2 or 4).
set -euo pipefail
cd "$(dirname "$0")/.."
R=${1:-runs/nano}
PYTHON=${PYTHON:-python}
CORES=${CORES:-2}
mkdir -p "$R/model"

stage() {  # NAME CONFIG [SETTINGS...]: one run of train.py, skipped once it has exported
  local name=$1 config=$2
  shift 2
  [ -d "$R/$name/export" ] || "$PYTHON" train.py --config "configs/$config" --workdir "$R/$name" \
    --config.compilation_cache="$R/cache" "$@"
}
vae() {  # NAME PART [SETTINGS...]: every core a device of its own, faster than one device of many cores
  XLA_FLAGS="--xla_force_host_platform_device_count=$CORES" stage "$1" "nano_vae.py:$2" \
    --config.mesh.data="$CORES" "${@:3}"
}
take() {  # NAME: what a run has made becomes part of the model that later runs read
  cp -r "$R/$1/export/." "$R/model/"
}
latents() {  # NAME FIRST_SEED CLIPS: encoded once, trained on many times
  [ -d "$R/$1/vpdata_latents/1.0.0" ] || "$PYTHON" -m vp_jax latents \
    --config nano_branch --out "$R/$1" --config.model.checkpoint="$R/model" \
    --config.data.kind=synthetic --config.data.synthetic_first="$2" --config.data.synthetic_clips="$3" \
    --masks 1 --images 1 \
    -- --direct_num_workers="$CORES" --direct_running_mode=multi_processing
}

vae vae_images images
vae vae_clips clips --config.model.init_from="$R/vae_images/export/vae"
vae vae whole --config.model.init_from="$R/vae_clips/export/vae"
take vae
latents latents 0 4000
latents held_out 10000000 64
data=(--config.data.path="$R/latents" --config.validation.path="$R/held_out")
[ -f "$R/spiece.model" ] || "$PYTHON" -m vp_jax vocabulary "$R/spiece.model"
stage backbone nano_backbone.py --config.model.checkpoint="$R/model" --config.model.tokenizer="$R/spiece.model" \
  "${data[@]}"
take backbone
stage branch nano_branch.py --config.model.checkpoint="$R/model" "${data[@]}"
take branch
# all of them together, with hints into every token: a backbone of hours brings little of them into a hole by itself
[ -d "$R/holes/vpdata_latents/1.0.0" ] || "$PYTHON" -m vp_jax latents --config nano_joint --out "$R/holes" \
  --config.model.checkpoint="$R/model" --config.data.kind=synthetic --config.data.synthetic_clips=3000 \
  --config.data.synthetic_look=flat --config.loader.first_frame_dropout=0.3 --masks 2 --images 1
hints=(--config.model.injection_tokens=all --config.data.synthetic_look=flat --config.data.path="$R/holes")
stage joint nano_joint.py --config.model.name=nano --config.model.checkpoint="$R/model" \
  --config.model.init_from="$R/model" --config.model.tokenizer="$R/spiece.model" "${hints[@]}" \
  --config.steps=1600 --config.optimizer.lr=6e-4 --config.optimizer.warmup=50 --config.step.ema_decay=0.99
take joint
stage id nano_id.py --config.model.checkpoint="$R/model" "${hints[@]}"
"$PYTHON" -m vp_jax package --out vp_jax/nano "$R"/{vae_images,vae_clips,vae,backbone,branch,joint,id}
