#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Injects faults into real processes and prints one table row a case. Usage:
#   tests/faults/run.sh kill [CASE...] [--runs N] [--seed S]   kill -9 of agent, hub and brokers under 5,000 messages/s
# LAPWING_BIN names a folder with built programs; without it the release preset is built first.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-}
[ $# -gt 0 ] && shift
case "$what" in
  kill) ;;
  *) sed -n '3,5s/^# //p' "tests/faults/run.sh" >&2; exit 2 ;;
esac
if [ -z "${LAPWING_BIN:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target lapwing-agent lapwing-hub
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 "tests/faults/$what.py" "$@"
