#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the CUDA drivers on a machine with a GPU: builds detectors and tests for its architecture, runs the tests so
# that a missing device fails them, and prints what each driver takes on one core and on the device. No network.
#
#   tests/device/run.sh         on the machine with the GPU: nvcc, g++, cmake >= 3.25, ninja or make, and the packages
#   tests/device/run.sh pack    on a Debian 12 that builds Lapwing: copies the packages into build/device/packages
#
# The packages (libhwy-dev, libeigen3-dev, libgtest-dev, libgmock-dev) are taken from build/device/packages where it is
# there, so that a copy of the source tree with that folder is enough. CUDAARCHS names other architectures to build for.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/device
packages=$PWD/$build/packages

case ${1:-} in
  "") ;;
  pack)
    rm -rf "$packages" && mkdir -p "$packages"
    dpkg -L libhwy1 libhwy-dev libeigen3-dev libgtest-dev libgmock-dev | grep -E '^/usr/(include|lib|share/eigen3)' |
      sed 's|^/||' | tar -C / --no-recursion -cf - -T - | tar -C "$packages" -xf -
    du -sh "$packages"
    exit ;;
  *) sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

export PATH=$PATH:/usr/local/cuda/bin
[ ! -d "$packages" ] || export CMAKE_PREFIX_PATH=$packages/usr LD_LIBRARY_PATH=$packages/usr/lib/x86_64-linux-gnu
generator=()
! command -v ninja >/dev/null || generator=(-G Ninja)
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || true
cmake -S tests/device -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CUDA_ARCHITECTURES="${CUDAARCHS:-native}" >"$build.log" || { cat "$build.log"; exit 1; }
cmake --build "$build" --parallel "$(nproc)"
echo "built in $SECONDS s"
LAPWING_REQUIRE_CUDA=1 "$build/tests/device_test" --gtest_brief=1
"$build/device_timing"
echo "done in $SECONDS s"
