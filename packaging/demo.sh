#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end, on a fresh Debian 12: installs packages, builds, starts a site broker, a hub with its
# broker, and an agent in a scratch directory; publishes this machine's telemetry and a simulated pump whose faults are
# known; prints each anomaly as it reaches the hub, and the page's address. Ctrl-C stops all it started.
#
#   --seconds N   end after N seconds (60 or more); exit 0 only if the hub reported every injected fault
#   --port P      the page's port (default 8080, or a free one if that is taken)
#   --info FILE   write the page's address and token there as JSON once it is up
#   --keep        leave the scratch directory (logs, databases) in place
set -euo pipefail
cd "$(dirname "$0")/.."
case " $* " in *" -h "*|*" --help "*) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

packaging/install-packages.sh build run
echo "building (the first time takes a few minutes)"
cmake --preset release >/dev/null
cmake --build --preset release --target lapwing-agent lapwing-hub lapwing lapwing-demo-plant
exec python3 packaging/demo/demo.py "$@"
