# SPDX-License-Identifier: Apache-2.0
"""The table of figures that the benchmarks print, and which of them missed their targets."""
MISSED = []


def row(figure, target, measured, met=True):
    print(f"{figure:<62} | {target:<14} | {measured}{'' if met else '  MISSED'}", flush=True)
    if not met:
        MISSED.append(figure)
