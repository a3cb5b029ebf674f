#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the programs and prints every figure of speed and size: `figure | target | measured`. Figures, not
# tests: nothing else should run on the machine meanwhile.
#
#   tests/bench/run.sh [FIGURE…]    decode detect size memory cpu intake delay store; all by default
#   tests/bench/run.sh hub [--quick] [--plot FILE] [FIGURE…]    a hub under a fleet of devices; about 15 minutes
#   tests/bench/run.sh lists [--anomalies N] [--calls N]    the lists of a store on PostgreSQL with so many anomalies (a million)
#   tests/bench/run.sh outage [--hours N] [--rate N]    a day without the hub: restart, draining; needs 22 GB of disk
#
# LAPWING_BUILD names the build directory (default build/release).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${LAPWING_BUILD:-build/release}
[ -f "$build/build.ninja" ] || cmake --preset release -B "$build" >/dev/null
case "$*" in
  outage*)
    cmake --build "$build" --target lapwing-agent lapwing-hub bench_backlog >/dev/null
    shift
    exec python3 tests/bench/outage.py --build "$build" "$@"
    ;;
  lists*)
    cmake --build "$build" --target bench_lists >/dev/null
    shift
    exec "$build/bench/bench_lists" "$@"
    ;;
  hub*)
    cmake --build "$build" --target lapwing-hub bench_fleet bench_store >/dev/null
    shift
    exec python3 tests/bench/hub.py --build "$build" "$@"
    ;;
  decode | detect | store) targets=("bench_$1") ;; # programs of their own
  *) targets=(lapwing-agent lapwing-hub bench) ;;
esac
cmake --build "$build" --target "${targets[@]}" >/dev/null
exec python3 tests/bench/bench.py --build "$build" "$@"
