#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian 12 packages that building, testing and running Lapwing need.
# Usage: packaging/install-packages.sh [--list] [build] [run] [test] [browser] [lint] [cross]; --list prints their names only.
set -euo pipefail

declare -A sets=(
  [build]="g++ cmake ninja-build pkg-config ca-certificates libboost1.81-dev libpaho-mqtt-dev libpaho-mqttpp-dev
    libsqlite3-dev libpq-dev flatbuffers-compiler libflatbuffers-dev libssl-dev libspdlog-dev libtomlplusplus-dev libcli11-dev
    libsimdjson-dev nlohmann-json3-dev libzstd-dev prometheus-cpp-dev libsystemd-dev libgtest-dev libgmock-dev
    libhwy-dev libeigen3-dev librdkafka-dev"
  [run]="mosquitto openssl curl"
  [test]="mosquitto mosquitto-clients openssl curl python3 procps postgresql
    haproxy nginx libnginx-mod-stream"
  [browser]="chromium chromium-driver nodejs"
  [lint]="clang clang-format clang-tidy libclang-rt-14-dev"
  [cross]="g++-aarch64-linux-gnu qemu-user"
)

list=
[ "${1:-}" != --list ] || { list=1; shift; }
wanted=()
for set in "${@:-build}"; do
  if [ -z "${sets[$set]:-}" ]; then
    echo "install-packages: no set named '$set'; there are: ${!sets[*]}" >&2
    exit 2
  fi
  # shellcheck disable=SC2206 # words are package names
  wanted+=(${sets[$set]})
done
[ -z "$list" ] || { printf '%s\n' "${wanted[@]}"; exit 0; }

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-packages: missing: ${missing[*]}" >&2
    echo "install-packages: run as root, or install sudo, or install them yourself with apt-get" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing ${#missing[@]} packages: ${missing[*]}"
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update -qq &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "install-packages: apt-get failed (above); Debian 12 with its main archive is expected" >&2
  exit 1
fi
rm -f "$log"
