#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every parser of outside bytes with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. Usage:
#   tests/fuzz/run.sh [--minutes N | --seconds N] [TARGET...]    a minute each by default; exit 1 where one crashed
# Prints one row a target. New inputs stay in build/fuzz/corpus and are the next run's beginning.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=60
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) seconds=$((60 * ${2:?--minutes needs a number})); shift 2 ;;
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    -h|--help) sed -n '3,5s/^# //p' "$0"; exit 0 ;;
    -*) echo "tests/fuzz/run.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
if [ ${#targets[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do
    target=${source##*/}
    targets+=("${target%_fuzz.cpp}")
  done
fi
packaging/install-packages.sh build lint
cmake --preset fuzz >/dev/null
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/${target}_fuzz.cpp" ] || { echo "tests/fuzz/run.sh: there is no target '$target'" >&2; exit 2; }
done
cmake --build build/fuzz --target "${targets[@]/%/_fuzz}" >/dev/null

printf '%-10s %12s %10s %10s %8s\n' target executions per-s corpus crashes
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# One target; a row of the table, and what went wrong.
fuzz() { # TARGET
  local target=$1 program=build/fuzz/fuzz/${1}_fuzz corpus=build/fuzz/corpus/$1 crashes=build/fuzz/crashes/$1 status=0
  mkdir -p "$corpus" "$crashes"
  rm -f "$crashes"/*
  local log=$crashes.log
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$crashes/" "$corpus" "tests/fuzz/seeds/$target" >"$log" 2>&1 || status=$?
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
  printf '%-10s %12s %10s %10s %8s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
    "$(find "$corpus" -type f | wc -l)" "$(find "$crashes" -type f | wc -l)"
  [ "$status" -ne 0 ] || return 0
  touch "$logs/failed"
  grep -m3 -E 'ERROR|SUMMARY|does not hold' "$log" >&2 || tail -5 "$log" >&2
  for crash in "$crashes"/*; do [ ! -f "$crash" ] || echo "again: $program $crash" >&2; done
}

for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  fuzz "$target" &
done
wait
[ ! -e "$logs/failed" ]
