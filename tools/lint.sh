#!/bin/sh
# usage: tools/lint.sh [--write]
# Format, static analysis, layers and file sizes. --write only brings the sources into the project's format.
set -u
failed=0
sources=$(git ls-files '*.c' '*.h')
python_sources=$(git ls-files '*.py')
shell_sources=$(git ls-files '*.sh' '.ci/run')
ruff=.venv-lint/bin/ruff

if [ "${1:-}" = --write ]; then
  # shellcheck disable=SC2086 # lists of words on purpose, here and below: no tracked path holds a space
  clang-format -i $sources && $ruff format -q $python_sources && $ruff check -q --fix $python_sources
  exit
fi

check() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    printf 'ok    %s\n' "$name"
  else
    printf 'FAIL  %s\n%s\n' "$name" "$output"
    failed=1
  fi
}

long_files() {
  # Tables of data may be long; everything else should fit a newcomer's head.
  # shellcheck disable=SC2086
  wc -l $sources $python_sources $shell_sources | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines, at most 600"; bad = 1} END {exit bad}'
}

left_for_later() {
  # shellcheck disable=SC2086
  ! grep -nwE 'TO''DO|FIX''ME|XX''X|HA''CK' $sources $python_sources $shell_sources
}

# shellcheck disable=SC2086
{
  check 'clang-format (make format)' clang-format --dry-run --Werror $sources
  check 'cppcheck' cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr -j 2 \
    --enable=warning,performance,portability --suppressions-list=tools/cppcheck.txt -Iinclude -Isrc -DNNM_VERSION='""' src cli
  check 'ruff check' $ruff check -q $python_sources
  check 'ruff format (make format)' $ruff format -q --check $python_sources
  check 'shellcheck' shellcheck --severity=warning $shell_sources
}
check 'layers' python3 tests/check_layers.py
check 'file sizes' long_files
check 'nothing left for later' left_for_later
exit $failed
