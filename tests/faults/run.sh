#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Injects faults into real processes and prints one table row a case. Usage:
#   tests/faults/run.sh [CASE...] [--runs N] [--seed S]   see --help for the cases
# LAPWING_BIN names a folder with built programs; without it the release preset is built first.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${LAPWING_BIN:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target lapwing-agent lapwing-hub
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/faults/main.py "$@"
