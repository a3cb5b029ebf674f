#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up everything on a fresh Debian 12, builds, and runs the tests; unit, contract and integration tests are
# counted separately. Usage: tests/run.sh [--preset release|debug|asan|tsan]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    -h|--help) sed -n '3,4s/^# //p' "$0"; exit 0 ;;
    *) echo "tests/run.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
done

started=$SECONDS
packaging/install-packages.sh build test
cmake --preset "$preset" >/dev/null
echo "building preset $preset on $(nproc) cores"
cmake --build --preset "$preset"
echo "built in $((SECONDS - started)) s"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp}

# Adds up one attribute of the GoogleTest reports in a folder.
total() { # FOLDER ATTRIBUTE
  { grep -ho "<testsuites [^>]*" "$1"/*.xml 2>/dev/null || true; } | { grep -o " $2=\"[0-9]*\"" || true; } | tr -dc '0-9\n' |
    awk '{ sum += $1 } END { print sum + 0 }'
}
skipped() { { grep -ho '<skipped ' "$1"/*.xml 2>/dev/null || true; } | wc -l; }

passed_all=0 failed_all=0 skipped_all=0 broken=0
summary=()
for label in unit contract integration; do
  mkdir "$results/$label"
  jobs=$(nproc)
  # These wait more than they reckon; with a sanitizer they reckon more.
  case "$label-$preset" in
    integration-release | integration-debug) jobs=$((4 * jobs)) ;;
    integration-*) jobs=$((2 * jobs)) ;;
  esac
  GTEST_OUTPUT="xml:$results/$label/" ctest --preset "$preset" -L "^$label\$" -j "$jobs" --quiet \
    --output-log "$results/$label.log" --progress || { broken=1; cat "$results/$label.log"; }
  failed=$(( $(total "$results/$label" failures) + $(total "$results/$label" errors) ))
  skips=$(skipped "$results/$label")
  passed=$(( $(total "$results/$label" tests) - failed - skips ))
  summary+=("$(printf '%-12s %4d passed, %d failed, %d skipped' "$label" "$passed" "$failed" "$skips")")
  passed_all=$((passed_all + passed)) failed_all=$((failed_all + failed)) skipped_all=$((skipped_all + skips))
done
[ "$broken" -eq 0 ] || [ "$failed_all" -gt 0 ] || failed_all=1  # a program that crashed wrote no report

echo
printf '%s\n' "${summary[@]}"
echo "preset $preset, $((SECONDS - started)) s in all"
echo "$passed_all passed, $failed_all failed, $skipped_all skipped"
[ "$failed_all" -eq 0 ] && [ "$passed_all" -gt 0 ]
