#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the demo and opens its page in headless Chromium: fleet, chart, a live anomaly arriving, a phone's width; then
# follows two rollouts to three agents. Saves the pictures that the README and the docs show. Usage: tests/browser/run.sh [--pictures DIR (docs/img)]
set -euo pipefail
cd "$(dirname "$0")/../.."
pictures=docs/img
while [ $# -gt 0 ]; do
  case "$1" in
    --pictures) pictures=${2:?--pictures needs a folder}; shift 2 ;;
    -h|--help) sed -n '3,5s/^# //p' "$0"; exit 0 ;;
    *) echo "tests/browser/run.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
done
packaging/install-packages.sh browser

scratch=$(mktemp -d)
packaging/demo.sh --seconds 150 --info "$scratch/info" >"$scratch/demo.log" 2>&1 &
demo=$!
stop() {
  kill -TERM "$demo" 2>/dev/null || true
  wait "$demo" 2>/dev/null || true
  rm -rf "$scratch"
}
trap stop EXIT
while [ ! -s "$scratch/info" ]; do
  if ! kill -0 "$demo" 2>/dev/null; then
    cat "$scratch/demo.log" >&2
    exit 1
  fi
  read -rt 0.2 <> <(:) || true
done
python3 tests/browser/page_test.py --info "$scratch/info" --pictures "$pictures"
stop
trap - EXIT
PYTHONDONTWRITEBYTECODE=1 python3 tests/integration/models.py --rate 200 --step 3 --pictures "$pictures"
