#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the detectors on benchmark collections and synthetic streams; one line a figure. DIR holds nab/, tsb-u/,
# tsb-m/, skab/ and adbench/, whichever are there; what is absent is skipped with a message.
# Usage: tests/quality/run.sh [--data DIR (../shared/data)] [--only MEASURE...] [--detector KIND] [--group-detector KIND]
# [--alarms-per-week N] [--per-file] [--intervals] [--out DIR]. Measures: nab tsb_u tsb_m skab adbench budget budget_real
# synthetic. docs/quality.md says what each figure means.
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *" -h "*|*" --help "*) sed -n '3,7s/^# //p' "$0"; exit 0 ;; esac
packaging/install-packages.sh build test >&2
cmake --preset release >/dev/null
cmake --build --preset release --target lapwing-quality >/dev/null
case " $* " in *" --data "*) data=() ;; *) data=(--data ../shared/data) ;; esac
exec build/release/bench/lapwing-quality "${data[@]}" "$@"
