# Commands for those who change the code; `just` alone lists them. They use the python on the PATH.
#   pip install -c constraints.txt -e ".[test]"     brings what they need, just itself included

export JAX_PLATFORMS := env("JAX_PLATFORMS", "cpu")
# two workers of pytest fill two cores: more threads of PyTorch would wait for one another
export OMP_NUM_THREADS := env("OMP_NUM_THREADS", "1")

# list the commands
_list:
    @{{just_executable()}} --list --unsorted

# before every commit: format, lint, types, tests that are not slow; about 4 minutes on two cores
check: format-check lint types
    # compiling takes longest here, so programs are not optimised
    XLA_FLAGS="--xla_backend_optimization_level=0 ${XLA_FLAGS:-}" pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# what CI runs: as `check` with the slow tests, then parity and nano with optimised programs, as users run them
all: format-check lint
    #!/usr/bin/env bash
    set -uo pipefail
    # types are checked beside the tests: alone they leave every core but one idle
    mypy & types=$!
    failed=0
    XLA_FLAGS="--xla_backend_optimization_level=0 ${XLA_FLAGS:-}" \
      pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not optimised" || failed=1
    pytest -n 2 --dist loadfile --no-loadscope-reorder -m "optimised" || failed=1
    wait "$types" || { echo "mypy found errors, see above"; failed=1; }
    exit "$failed"

# put the files into the one format, and mend what ruff can mend
format:
    ruff format .
    ruff check --fix .

format-check:
    ruff format --check .

lint:
    ruff check .

types:
    mypy

# tests of some files, such as: just test tests/cli -k settings
[positional-arguments]
test *ARGUMENTS:
    pytest "$@"

# which tests take longest
[positional-arguments]
durations *ARGUMENTS:
    pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=40 "$@"

# the wheel, into dist/
build:
    python -m pip wheel --no-deps --wheel-dir dist .
