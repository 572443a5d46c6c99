#!/usr/bin/env bash
# Trains the small model, from principal components to a packaged folder, in pieces: a call works for at most
# LIMIT seconds, saves everything and ends with status 75; the same call goes on. Status 0: FOLDER/nano is complete.
#
#   bash examples/train_nano_gpu.sh [FOLDER]            on a GPU, on drawn clips that no two steps share
#   CLIPS=10000 bash examples/train_nano_gpu.sh         without one: so many clips are encoded once, and read again
#   REHEARSE=1 bash examples/train_nano_gpu.sh FOLDER   every stage for two steps, on any machine
#
# PYTHON names the interpreter that has vp_jax with its extras train and build. What there is to carry away, at most
# 60 MB, is copied to CARRY after every piece: finished parts, metrics, the newest pictures. MASKS, VAE_STEPS,
# JOINT_STEPS, FINE_STEPS and ID_STEPS change the masks of a clip and the steps of the stages; on a GPU, WORKERS is the
# number of processes that draw clips, and DRAWS that of noises for each.
set -euo pipefail
cd "$(dirname "$0")/.."
R=${1:-runs/nano_next}
PYTHON=${PYTHON:-python}
LIMIT=${LIMIT:-520}
CARRY=${CARRY:-}
CLIPS=${CLIPS:-}
REHEARSE=${REHEARSE:-}
WORKERS=${WORKERS:-14}
DRAWS=${DRAWS:-4}
MASKS=${MASKS:-3}
VAE_STEPS=${VAE_STEPS:-2000}
JOINT_STEPS=${JOINT_STEPS:-30000}
FINE_STEPS=${FINE_STEPS:-10000}
ID_STEPS=${ID_STEPS:-1500}
mkdir -p "$R/model"
# XLA frees and takes hundreds of megabytes in every step: memory that stays with the process is a third faster on CPUs
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=99999999999:glibc.malloc.top_pad=268435456:glibc.malloc.arena_max=1}

carry() {
  [ -z "$CARRY" ] || for run in vae joint fine id; do
    [ -d "$R/$run" ] || continue
    mkdir -p "$CARRY/$run"
    cp "$R/$run"/{metrics.jsonl,config.json,starts.jsonl} "$CARRY/$run/" 2>/dev/null || true
    find "$R/$run/pictures" -name '*.png' 2>/dev/null | sort | tail -n 4 | xargs -r cp -t "$CARRY/$run"
  done
  [ -z "$CARRY" ] || [ ! -d "$R/nano" ] || cp -r "$R/nano" "$CARRY/"
}
trap carry EXIT

piece() {  # COMMAND...: run it for the seconds that are left; what is cut off continues in the next call
  local left=$((LIMIT - SECONDS)) status=0
  [ "$left" -gt 30 ] || { echo "piece    over after $SECONDS s: call again"; exit 75; }
  timeout --signal=TERM --kill-after=60 "$left" "$@" || status=$?
  case $status in
    0) ;;
    124 | 143) echo "piece    over after $SECONDS s: call again"; exit 75 ;;
    *) exit "$status" ;;
  esac
}
stage() {  # NAME CONFIG STEPS [SETTINGS...]: one run of train.py, skipped once it has exported
  local name=$1 config=$2 steps=$3
  shift 3
  [ -z "$REHEARSE" ] || set -- "$@" --config.steps=2 --config.loader.batch_size=2 --config.validation.clips=1 \
    --config.validation.steps=2 --config.validation.every=2 --config.optimizer.warmup=0
  [ -d "$R/$name/export" ] || piece "$PYTHON" train.py --config "configs/$config" --workdir "$R/$name" \
    --config.compilation_cache="$R/cache" --config.steps="$steps" "$@"
}
take() { cp -r "$R/$1/export/." "$R/model/"; }  # what a run has made becomes part of the model that later runs read

fast=() fast_vae=() fast_joint=()
if [ -z "$REHEARSE" ] && [ -z "$CLIPS" ]; then  # a GPU waits for its clips: whole ones, and several noises for each
  fast=(--config.loader.workers="$WORKERS" --config.checkpoints.every=1000)
  fast_vae=(--config.loader.batch_size=64 --config.model.vae_crop="(0, 0)" --config.optimizer.lr=1e-3)
  # on an H100, 1,469 steps of 64 clips and 8 noises, all there was time for, ended at 14.0 dB in the hole, 4,400 of 16
  # clips and 1 noise at 15.8: many small steps
  fast_joint=(--config.loader.batch_size=16 --config.step.draws="$DRAWS")
fi
[ -d "$R/start" ] || piece "$PYTHON" -m bench.nano.autoencoder start "$R/start" --channels 32 ${REHEARSE:+--clips 4}
stage vae nano_autoencoder.py:squared "$VAE_STEPS" --config.model.init_from="$R/start" "${fast[@]}" "${fast_vae[@]}"
[ -f "$R/gate.log" ] || { "$PYTHON" -m bench.nano.autoencoder gate "$R/vae/export/vae" ${REHEARSE:+--clips 2} \
  >"$R/gate.tmp" || [ -n "$REHEARSE" ] || { cat "$R/gate.tmp"; exit 1; }; mv "$R/gate.tmp" "$R/gate.log"; }
if [ ! -f "$R/scale.log" ]; then  # the folder has its description once it is complete
  [ -f "$R/scaled/config.json" ] || "$PYTHON" -m bench.nano.autoencoder scale "$R/vae/export/vae" "$R/scaled" \
    ${REHEARSE:+--clips 2} >"$R/scale.tmp"
  rm -rf "$R/vae/export/vae" && mv "$R/scaled" "$R/vae/export/vae" && mv "$R/scale.tmp" "$R/scale.log"
fi
take vae
[ -f "$R/spiece.model" ] || "$PYTHON" -m vp_jax vocabulary "$R/spiece.model"
data=(--config.data.kind=synthetic --config.data.synthetic_clips=1000000 --config.loader.first_frame_dropout=0.3)
if [ -n "$CLIPS" ]; then  # in parts of about 500 clips: those that are built are kept
  piece "$PYTHON" -m vp_jax latents --config nano_joint --out "$R/latents" --config.model.checkpoint="$R/model" \
    --config.data.kind=synthetic --config.data.synthetic_clips="$CLIPS" --config.loader.first_frame_dropout=0.3 \
    --masks "$MASKS" --images 1 --parts $((CLIPS / 500 + 2))
  data=(--config.data.path="$R/latents")
fi
stage joint nano_joint.py "$JOINT_STEPS" --config.model.checkpoint="$R/model" --config.model.tokenizer="$R/spiece.model" \
  "${data[@]}" "${fast[@]}" "${fast_joint[@]}"
take joint
if [ ! -d "$R/finer" ]; then  # tokens of 2 x 2 latent cells learn five times as fast; those of one cell end better
  rm -rf "$R/finer.tmp"
  "$PYTHON" -m bench.nano.finer "$R/model" "$R/finer.tmp"
  mv "$R/finer.tmp" "$R/finer"
fi
stage fine nano_fine.py "$FINE_STEPS" --config.model.init_from="$R/finer" --config.model.checkpoint="$R/model" \
  --config.model.tokenizer="$R/spiece.model" "${data[@]}" "${fast[@]}" "${fast_joint[@]}"
take fine
stage id nano_id.py "$ID_STEPS" --config.model.checkpoint="$R/model" "${data[@]}" "${fast[@]}"
take id
"$PYTHON" -m vp_jax package --out "$R/nano" "$R"/{vae,joint,fine,id}
