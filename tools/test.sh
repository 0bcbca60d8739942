#!/bin/sh
# usage: tools/test.sh PROGRAM BUILD SANITIZED_BUILD
# Runs every test and says at the end which part failed: one failing part does not hide the others.
set -u
program=$1 build=$2 sanitized=$3
failed=

part() {
  name=$1
  shift
  printf '\n== %s\n' "$name"
  "$@" || failed="$failed, $name"
}

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"

part 'sanitized build' ninja -C "$sanitized" --quiet
part 'unit, corpus, layer and header tests, with ASan and UBSan' meson test -C "$sanitized" --no-rebuild --print-errorlogs
part 'the same, optimised' meson test -C "$build" --no-rebuild --print-errorlogs

part 'lists for the documentation' ninja -C "$build" --quiet tools/lists
part 'documentation is current' python3 tools/generate_docs.py --check --program "$program" --lists "$build/tools/lists"

if tools/setup.sh venv .venv tools/requirements/test.txt; then
  # the old tool itself reads the IR that we write
  tools/setup.sh venv .venv-nn-meter-2.0 tools/requirements/nn-meter-2.0.txt ||
    printf 'SKIPPED: nn-Meter 2.0 could not be had from PyPI; what it makes of our IR is not tested.\n'
  PATH=$PWD/.venv/bin:$PATH
  export PATH
  NN_METER=$PWD/$program part 'command line, goldens, dialects, wild models' \
    python -m pytest -q -rs -n 2 -p no:cacheprovider --ignore tests/python/fit --ignore tests/python/package --ignore tests/clients \
    --ignore tests/wheel tests
  NN_METER=$PWD/$sanitized/nn-meter part 'hostile files, with ASan and UBSan' \
    python -m pytest -q -rs -n 2 -p no:cacheprovider tests/hostile
else
  printf '\nSKIPPED: every Python test (command line, goldens, dialects, wild models): no PyPI package could be had.\n'
fi

if tools/setup.sh packages python && tools/setup.sh venv .venv-fit tools/requirements/fit.txt; then
  part 'the Python package, built and installed' tools/setup.sh package .venv-fit build-python
  NN_METER=$PWD/$program part 'nn_meter and nn_meter.fit' \
    .venv-fit/bin/python -m pytest -q -rs -p no:cacheprovider tests/python/fit tests/python/package
  part 'nn_meter, with ASan and UBSan' tools/test_sanitized.sh .venv-fit build-python-sanitize
  part 'programs of others that use nn_meter' .venv-fit/bin/python -m pytest -q -rsP -p no:cacheprovider tests/clients
else
  printf '\nSKIPPED: the tests of nn_meter and nn_meter.fit: no PyPI package or no Python.h could be had.\n'
fi

if tools/setup.sh packages python && tools/setup.sh venv .venv-wheel tools/requirements/wheel.txt; then
  NN_METER=$PWD/$program part 'the wheel, in an environment of its own' \
    .venv-wheel/bin/python -m pytest -q -rs -p no:cacheprovider tests/wheel
else
  printf '\nSKIPPED: the tests of the wheel: no PyPI package or no Python.h could be had.\n'
fi

if [ -n "$failed" ]; then
  printf '\nFAILED: %s\n' "${failed#, }"
  exit 1
fi
printf '\nAll parts passed.\n'
