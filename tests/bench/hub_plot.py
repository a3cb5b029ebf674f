# SPDX-License-Identifier: Apache-2.0
"""Draws how a hub's cost grows with its devices, as SVG."""
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 340, 70, 70, 46, 52
INK, GRID, RATE, WIRE, DISK = "#333333", "#dddddd", "#1f6f8b", "#c1662f", "#7a5195"


def nice(top):
    """A round number at or above."""
    top = max(top, 1)
    power = 10 ** math.floor(math.log10(top))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= top)


def text(x, y, words, color=INK, anchor="middle", size=13, more=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="{anchor}" font-size="{size}"{more}>{words}</text>'


def line(points, color):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>{dots}'


def draw_growth(points, path):
    """points: dicts of devices, rate (records/s), wire and disk (bytes a record), from few devices to many."""
    low, high = math.log10(points[0]["devices"]), math.log10(points[-1]["devices"])
    rate_top, bytes_top = nice(max(p["rate"] for p in points)), nice(max(max(p["wire"], p["disk"]) for p in points))

    def x(point):
        return LEFT + (math.log10(point["devices"]) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value, top):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img">',
             "<title>Records a second and bytes a record of one replica on PostgreSQL, by connected devices</title>",
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for step in range(5):
        at = y(step, 4)
        parts += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>',
                  text(LEFT - 8, at + 4, f"{rate_top * step / 4:,.0f}", RATE, "end"),
                  text(WIDTH - RIGHT + 8, at + 4, f"{bytes_top * step / 4:,.0f}", INK, "start")]
    for point in points:
        parts.append(text(x(point), HEIGHT - BOTTOM + 20, f"{point['devices']:,}"))
    parts += [text(WIDTH / 2, HEIGHT - 10, "connected devices"),
              line([(x(p), y(p["rate"], rate_top)) for p in points], RATE),
              line([(x(p), y(p["wire"], bytes_top)) for p in points], WIRE),
              line([(x(p), y(p["disk"], bytes_top)) for p in points], DISK),
              text(LEFT, 22, "records/s (left)", RATE, "start"),
              text(WIDTH / 2, 22, "bytes a record on the wire (right)", WIRE),
              text(WIDTH - RIGHT, 22, "in the database (right)", DISK, "end"), "</svg>"]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")
