#!/bin/sh
# Run lmarc's coders on an emulated arm64 machine, and compare with this one:
#
#     tools/arm64.sh CACHE [PYTHON]
#
# CACHE is a folder that keeps what is downloaded and compiled, PYTHON (python3) has lmarc's dependencies and pip. It
# needs the apt-get and dpkg of a Debian whose Python is 3.11, but no root: an arm64 Python of Debian and wheels for it
# are unpacked into CACHE, nothing is installed. Then the vectors of `lmarc selftest` are coded there, an archive is created on both
# machines, byte for byte the same, and each extracts what the other has created.
set -eu
if [ $# -lt 1 ]; then
    echo "usage: $0 CACHE [PYTHON]" >&2
    exit 2
fi
mkdir -p "$1"
cache=$(cd "$1" && pwd)
python=$(command -v "${2:-python3}") || {
    echo "$0: ${2:-python3}: not found" >&2
    exit 2
}
case $python in
    */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;;
esac
repository=$(cd "$(dirname "$0")/.." && pwd)
root=$cache/root
site=$cache/site
lists=$cache/lists

debs="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libssl3
    libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1 libtinfo6 libncursesw6 libreadline8"
wheels="numba numpy pyarrow zstandard xxhash fsspec rich"

# apt-get with lists of its own, from this machine's sources, as if it were an arm64 one; $1 is the architecture.
apt() {
    architecture=$1
    shift
    mkdir -p "$lists/$architecture/lists/partial" "$lists/$architecture/cache/archives/partial"
    : >"$lists/$architecture/status"
    apt-get -qq -oAPT::Architecture="$architecture" -oAPT::Architectures="$architecture" -oAPT::Sandbox::User="" \
        -oDir::State::Lists="$lists/$architecture/lists" -oDir::Cache="$lists/$architecture/cache" \
        -oDir::State::status="$lists/$architecture/status" "$@"
}

emulator=$(command -v qemu-aarch64-static || true)
if [ -z "$emulator" ]; then
    emulator=$cache/qemu/usr/bin/qemu-aarch64-static
    if [ ! -x "$emulator" ]; then
        echo "== the emulator"
        here=$(dpkg --print-architecture)
        apt "$here" update
        (cd "$lists" && apt "$here" download qemu-user-static)
        dpkg -x "$lists"/qemu-user-static_*.deb "$cache/qemu"
    fi
fi

if [ ! -e "$root/.done" ]; then
    echo "== an arm64 Python"
    apt arm64 update
    mkdir -p "$cache/debs" "$root"
    # shellcheck disable=SC2086 # words
    (cd "$cache/debs" && apt arm64 download $debs)
    for deb in "$cache"/debs/*.deb; do
        dpkg -x "$deb" "$root"
    done
    touch "$root/.done"
fi

if [ ! -e "$site/.done" ]; then
    echo "== wheels for it"
    # shellcheck disable=SC2086 # words
    "$python" -m pip download --quiet --only-binary=:all: --python-version 3.11 --implementation cp \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --dest "$cache/wheels" $wheels
    mkdir -p "$site"
    for wheel in "$cache"/wheels/*.whl; do
        "$python" -m zipfile -e "$wheel" "$site"
    done
    touch "$site/.done"
fi

# lmarc of this checkout on each machine; --jobs differ, the bytes must not.
there() {
    PYTHONPATH=$repository:$site PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=$cache/kernels \
        "$emulator" -L "$root" "$root/usr/bin/python3.11" -m lmarc "$@"
}
here() {
    PYTHONPATH=$repository "$python" -m lmarc "$@"
}

echo "== vectors on arm64"
there selftest -v

echo "== archives on both"
work=$(mktemp -d "${TMPDIR:-/tmp}/lmarc-arm64.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
PYTHONPATH=$repository "$python" - <<'PROGRAM'
from pathlib import Path

from lmarc.codec import vectors

tree = Path("tree")
tree.mkdir()
for make in (vectors.prose, vectors.records, vectors.table, vectors.chinese, vectors.noise):
    for size in (0, 1, 3000, 12_000):
        (tree / f"{make.__name__}-{size}").write_bytes(make("arm64", size))
Path("small.lmmodel").write_bytes(vectors.small_model().pack(b"{}"))
PROGRAM
for options in "--preset fast" "--preset balanced" "--preset max --chunk-size 8K" "--preset balanced --model small.lmmodel --embed-model --chunk-size 16K"; do
    # shellcheck disable=SC2086 # words
    here create here.lmarc tree --jobs 2 $options
    # shellcheck disable=SC2086 # words
    there create there.lmarc tree --jobs 1 $options
    sha256sum here.lmarc there.lmarc
    cmp here.lmarc there.lmarc
    there extract here.lmarc -C extracted
    diff -r tree extracted/tree
    rm -r extracted
    here verify there.lmarc
done
echo "arm64: the same bytes"
