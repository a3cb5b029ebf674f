#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Injects faults into real processes and prints one table row a case. Usage:
#   tests/faults/run.sh [CASE...] [--runs N] [--seed S]   see --help for the cases
#   tests/faults/run.sh replicas [--runs N] [--rate N]    three replicas behind haproxy, one PostgreSQL: each part killed in turn
#   tests/faults/run.sh herd [--devices N] [--rate N]      thousands of devices lose a replica, then the balancer
#   tests/faults/run.sh regions [--runs N]                two regions, one cut off or killed and back, in turn
#   tests/faults/run.sh models [--rows 23,24,25]          models damaged, signed by or for others, old, withheld, mixed up
#   tests/faults/run.sh model-replicas [--runs N]         a device gets a model while the replicas it hangs on are killed
#   tests/faults/run.sh soak [--minutes N] [--rate N]     hours under load, meant for programs built with the asan preset
# LAPWING_BIN names a folder with built programs; without it the release preset is built first.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${LAPWING_BIN:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target lapwing-agent lapwing-hub lapwing faulty_disk bench_fleet
fi
export PYTHONDONTWRITEBYTECODE=1
case "${1:-}" in
  soak | replicas | herd | regions | models | model-replicas)
    program=${1//-/_}
    shift
    exec python3 "tests/faults/$program.py" "$@"
    ;;
esac
exec python3 tests/faults/main.py "$@"
