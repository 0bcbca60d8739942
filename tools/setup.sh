#!/bin/sh
# Brings what a make target needs to a machine that has a compiler, make and Python and nothing else.
#   tools/setup.sh packages SET...        the Debian packages of each set: installed as root, named otherwise
#   tools/setup.sh venv FOLDER FILE       a Python virtual environment with the packages pinned in FILE
#   tools/setup.sh package VENV BUILD     this repository's Python package, installed into such an environment
#   tools/setup.sh wheel VENV BUILD FOLDER    the same as a wheel in FOLDER, for other machines too
# What is there already is left alone, so a second call costs a few milliseconds. Exit 1: something is missing.
set -eu

PACKAGES_BUILD='meson ninja-build pkg-config libjansson-dev libyaml-dev libcmocka-dev zlib1g-dev'
PACKAGES_FETCH='libcurl4-openssl-dev libzip-dev' # nn-meter fetch; without them the rest is built
PACKAGES_FUZZ='clang llvm libclang-rt-14-dev'
PACKAGES_LINT='clang-format cppcheck shellcheck'
PACKAGES_CXX='g++'
PACKAGES_PYTHON='python3-dev'

say() { printf '%s\n' "setup: $*" >&2; }

# Whether what PACKAGE brings is there, by whatever way it came.
have() {
  case $1 in
    meson) command -v meson >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    libjansson-dev) pkg-config --exists jansson 2>/dev/null ;;
    libcmocka-dev) pkg-config --exists cmocka 2>/dev/null ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl 2>/dev/null ;;
    libzip-dev) pkg-config --exists libzip 2>/dev/null ;;
    libyaml-dev) pkg-config --exists yaml-0.1 2>/dev/null ;;
    zlib1g-dev) pkg-config --exists zlib 2>/dev/null ;;
    python3-venv) /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null ;;
    python3-dev) "$(working_python)" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null ;;
    libclang-rt-14-dev) printf 'int main(void){return 0;}' | clang -x c -fsanitize=address -o /dev/null - 2>/dev/null ;;
    llvm) command -v llvm-symbolizer >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

install_packages() {
  missing=
  for package in "$@"; do have "$package" || missing="$missing $package"; done
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086 # a list of words on purpose
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing$missing"
    log=$(mktemp)
    if { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
      >"$log" 2>&1 </dev/null; then
      rm -f "$log"
      return 0
    fi
    tail -n 5 "$log" >&2
    rm -f "$log"
  fi
  say "missing:$missing. Debian: sudo apt-get install$missing"
  return 1
}

packages() {
  wanted=
  for set in "$@"; do
    case $set in
      build) wanted="$wanted $PACKAGES_BUILD" ;;
      fetch) wanted="$wanted $PACKAGES_FETCH" ;;
      fuzz) wanted="$wanted $PACKAGES_FUZZ" ;;
      lint) wanted="$wanted $PACKAGES_LINT" ;;
      python) wanted="$wanted $PACKAGES_PYTHON" ;;
      cxx) wanted="$wanted $PACKAGES_CXX" ;;
      *) say "no package set is called $set"; return 1 ;;
    esac
  done
  # shellcheck disable=SC2086
  install_packages $wanted
}

# Prints a Python that can make virtual environments. A self-built one may come first in PATH and lack ensurepip.
working_python() {
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$python"
      return 0
    fi
  done
  install_packages python3-venv && echo /usr/bin/python3
}

venv() {
  folder=$1 requirements=$2
  stamp=$folder/.requirements
  if [ -x "$folder/bin/python" ] && cmp -s "$requirements" "$stamp"; then return 0; fi
  python=$(working_python) || return 1
  say "installing $(basename "$requirements") into $folder"
  [ -x "$folder/bin/python" ] || "$python" -m venv "$folder" || return 1
  if "$folder/bin/python" -m pip install -qq --disable-pip-version-check -r "$requirements" </dev/null; then
    cp "$requirements" "$stamp"
  else
    say "PyPI gave no $(basename "$requirements"); see above"
    return 1
  fi
}

# pip COMMAND... in VENV on this repository: nothing is brought from elsewhere, what was compiled before is used again.
pip_here() {
  environment=$1 build=$2
  shift 2
  # meson knows no option that is younger than what it set up
  [ -z "$(find meson_options.txt -newer "$build/meson-private/coredata.dat" 2>/dev/null)" ] || rm -rf "$build"
  PATH=$PWD/$environment/bin:$PATH "$environment/bin/python" -m pip "$@" -q --disable-pip-version-check \
    --no-build-isolation --no-deps "-Cbuild-dir=$build" .
}

wheel() {
  built=$(mktemp -d)
  if pip_here "$1" "$2" wheel -w "$built" && "$1/bin/python" tools/portable_wheel.py "$built"/*.whl "$3"; then
    rm -rf "$built"
  else
    rm -rf "$built"
    return 1
  fi
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
  packages) packages "$@" ;;
  venv) [ $# = 2 ] || { say 'venv FOLDER FILE'; exit 2; }; venv "$@" ;;
  package) [ $# = 2 ] || { say 'package VENV BUILD'; exit 2; }; pip_here "$1" "$2" install ;;
  wheel) [ $# = 3 ] || { say 'wheel VENV BUILD FOLDER'; exit 2; }; wheel "$@" ;;
  *) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac
