#!/bin/sh
# usage: tools/test_sanitized.sh VENV BUILD
# The tests of the Python package with ASan and UBSan: the extension built with them into BUILD, run by VENV's Python.
set -eu
environment=$PWD/$1 build=$PWD/$2
installed=$build/installed
PATH=$environment/bin:$PATH

if ! command -v gcc >/dev/null; then
  echo 'SKIPPED: the Python package is not tested with the sanitizers: their libraries are taken from gcc, which is not here.'
  exit 0
fi
[ -e "$build/build.ninja" ] || CC=gcc meson setup "$build" -Dpython=true --buildtype=debug -Doptimization=1 \
  -Db_sanitize=address,undefined -Db_lundef=false --prefix="$installed" \
  "-Dpython.platlibdir=$installed" "-Dpython.purelibdir=$installed" >/dev/null
meson install -C "$build" --quiet >/dev/null

export PYTHONPATH="$installed" NN_METER="$installed/bin/nn-meter"
export PYTHONMALLOC=malloc # so that the sanitizer sees each Python object, not blocks of them
# The interpreter is not built with the sanitizer, so this comes first; libstdc++ for whoever throws (torch does).
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so.6)"
# Leaks are not looked for where numpy and torch are in the process: they leave some themselves at exit. test_memory.py
# looks for them, in processes of its own without those. Reports go to files: pytest catches what a process says.
reports=$build/report
rm -f "$reports".*
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:log_path=$reports"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:log_path=$reports"

LD_PRELOAD=$preload python -c 'import os, nn_meter; assert nn_meter.__file__.startswith(os.environ["PYTHONPATH"])'
# The searches of the examples would take minutes; the signatures are Python's, and PYTHONPATH would reach nn-Meter 2.0.
status=0
LD_PRELOAD=$preload python -m pytest -q -rs -W ignore -p no:cacheprovider \
  --ignore tests/python/package/test_search_examples.py --ignore tests/python/package/test_signatures.py \
  tests/python/package tests/python/fit/test_core.py || status=1
for report in "$reports".*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
exit $status
