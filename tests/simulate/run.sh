#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Simulates devices, brokers and hubs under faults on a virtual clock. Usage:
#   tests/simulate/run.sh [--seeds A..B] [--devices N] [--minutes M]   exit 0: every invariant held
#   tests/simulate/run.sh --mutants     breaks the protocol in each listed way and shows which seed caught it
#   tests/simulate/run.sh rollout [--seeds A..B] [--devices N]   a model spreads over a fleet; also with --mutants
#   tests/simulate/run.sh --help        all options
# LAPWING_BUILD names the build directory (default build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${LAPWING_BUILD:-build/release}
[ -f "$build/build.ninja" ] || cmake --preset release -B "$build" >/dev/null
cmake --build "$build" --target lapwing-simulate >/dev/null
exec "$build/bench/lapwing-simulate" "$@"
