#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the detectors on benchmark collections and prints one line a figure. DIR holds nab/ and tsb-u/, whichever
# are there; without them it says so and ends well. Usage: tests/quality/run.sh [--data DIR (../shared/data)] [--only nab|tsb_u]
# [--per-file] [--out DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *" -h "*|*" --help "*) sed -n '3,5s/^# //p' "$0"; exit 0 ;; esac
packaging/install-packages.sh build test >&2
cmake --preset release >/dev/null
cmake --build --preset release --target lapwing-quality >/dev/null
case " $* " in *" --data "*) data=() ;; *) data=(--data ../shared/data) ;; esac
exec build/release/bench/lapwing-quality "${data[@]}" "$@"
