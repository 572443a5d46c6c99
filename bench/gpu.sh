#!/bin/sh
# Goals G1 to G13 on the GPU of this machine, in nine minutes; `bench/gpu.sh rehearse` runs every part on a CPU.
# Needs pip install -e ".[test]" and JAX with CUDA. JSON and logs go to bench/results, tables to docs/performance.md.
set -u
cd "$(dirname "$0")/.." && mkdir -p bench/results/logs
python=${PYTHON:-python}
export XLA_PYTHON_CLIENT_MEM_FRACTION=.95
failed=0

part() {  # SECONDS NAME ARGUMENTS: one benchmark with its log, stopped when its time is over
    limit=$1 name=$2
    shift 2
    echo "== $name"
    timeout "$limit" "$python" -m "$@" >"bench/results/logs/$name.log" 2>&1 || { echo "$name: status $?"; failed=1; }
    tail -n 12 "bench/results/logs/$name.log"
}

if [ "${1:-}" = rehearse ]; then
    export JAX_PLATFORMS=cpu VP_JAX_BENCH_ANY_LOAD=1
    part 400 goals bench.goals --model nano --rehearse --runs 2
    part 60 denoise bench.denoise --size tiny --runs 2
    part 60 vae bench.vae --size 9 32 32 --repeats 1
else
    part 340 goals bench.goals --runs 5 --budget 290     # G2 to G13: one program after another, times, peak, compilation
    export XLA_PYTHON_CLIENT_PREALLOCATE=false           # PyTorch needs its share of the memory
    part 150 denoise bench.denoise --size full --runs 5  # G1: the backbone next to diffusers
    part 60 vae bench.vae --full --repeats 3             # G6: the VAE next to diffusers
fi
"$python" -m bench.goals --tables || failed=1
exit $failed
