#!/bin/sh
# usage: tools/fuzz.sh BUILD SECONDS
# Runs every fuzz target of fuzz/ for SECONDS under libFuzzer with ASan and UBSan, from its committed corpus. New inputs
# go to BUILD/corpus/, a crashing one to BUILD/crashes/ (and stops the run: minimise it and add it to fuzz/corpus/).
set -eu
build=$1 seconds=$2

if [ ! -e "$build/build.ninja" ]; then
  # shellcheck disable=SC2086 # a list of words on purpose
  CC=clang meson setup "$build" --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
    -Dlibfuzzer=true -Dtests=false ${MESON_OPTIONS:-}
fi
ninja -C "$build" --quiet

export ASAN_OPTIONS="allocator_may_return_null=1:detect_leaks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:${UBSAN_OPTIONS:-}"
mkdir -p "$build/crashes"
count=0
for source in fuzz/fuzz_*.c; do
  target=$(basename "$source" .c)
  name=${target#fuzz_}
  [ -x "$build/fuzz/$target" ] || { echo "SKIPPED: $target: not part of this build (libcurl or libzip is missing)"; continue; }
  mkdir -p "$build/corpus/$name"
  dictionary=
  [ ! -e "fuzz/$name.dict" ] || dictionary="-dict=fuzz/$name.dict"
  printf '== %s, %s s\n' "$target" "$seconds"
  # shellcheck disable=SC2086
  "$build/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1500 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" $dictionary \
    "$build/corpus/$name" "fuzz/corpus/$name" 2>"$build/$name.log" || {
    tail -n 60 "$build/$name.log"
    echo "FAILED: $target; the input is in $build/crashes/"
    exit 1
  }
  grep -E 'number_of_executed_units|peak_rss_mb' "$build/$name.log" || true
  count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo 'no fuzz target in fuzz/'; exit 1; }
echo "$count targets, $seconds s each, no crash, hang or leak"
