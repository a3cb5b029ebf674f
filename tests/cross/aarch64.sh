#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds tests for aarch64 with Debian's cross compiler and runs them in QEMU; by default the one that restores the
# snapshots an x86-64 machine wrote. Skips, with a message, where the packages cannot be had.
#
#   tests/cross/aarch64.sh [TEST…]    names of test programs
#
# Of arm64 nothing is installed: its packages are unpacked into build/aarch64-packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=$PWD/build/aarch64-packages
build=build/aarch64
tests=("$@")
[ $# -gt 0 ] || tests=(shared_detect_snapshots_test)

skip() { echo "tests/cross/aarch64.sh: skipped: $*"; exit 0; }

packaging/install-packages.sh build cross || skip "no cross compiler or no QEMU (above)"

# apt's own directories, so that this machine's package lists stay as they are.
arm64_apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
    -o Debug::NoLocking=1 -o Dir::State::status="$packages/apt/status" -o Dir::State::Lists="$packages/apt/lists" \
    -o Dir::Cache="$packages/apt/cache" "$@"
}
if [ ! -e "$packages/complete" ]; then
  rm -rf "$packages"
  mkdir -p "$packages"/apt/{lists,cache/archives}/partial
  : >"$packages/apt/status"
  mapfile -t wanted < <(packaging/install-packages.sh --list build | grep -- '-dev$')
  { arm64_apt update && arm64_apt install -y --download-only --no-install-recommends "${wanted[@]}"; } \
    >"$packages/apt/log" 2>&1 || { cat "$packages/apt/log"; skip "no arm64 packages (above)"; }
  for package in "$packages"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$packages"; done
  touch "$packages/complete"
fi

cmake --preset release -B "$build" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" \
  -DLAPWING_SYSROOT="$packages" -DLAPWING_CUDA=OFF >/dev/null
cmake --build "$build" --target "${tests[@]}"
for test in "${tests[@]}"; do
  qemu-aarch64 -L "$packages" "$build/tests/$test"
done
echo "tests/cross/aarch64.sh: passed on aarch64: ${tests[*]}"
