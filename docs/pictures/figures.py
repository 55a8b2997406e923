"""The pictures of the benchmark, from the tables of docs/benchmarks.md."""

import math
import pathlib
import re

from picture import AMBER, BLUE, FILLS, GREEN, GREY, RED, SOFT, Picture

PAGE = pathlib.Path(__file__).parents[1] / "benchmarks.md"


def figures():
    """Returns the rows of the first table of docs/benchmarks.md: the figure of auth-service and the figure beside it, by name."""
    page = PAGE.read_text()
    # A picture, a text, and the line with the date and the machine precede the table.
    _, _, date, table = page.split("\n## Figures\n\n")[1].split("\n\n")[:4]
    rows = {}
    for line in table.splitlines()[2:]:
        name, ours, against = line.strip("|").split("|")[:3]
        numbers = [re.findall(r"[\d.]+", cell) for cell in (ours, against)]
        rows[name.strip()] = [float(numbers[0][0]), float(numbers[1][-1]) if numbers[1] else None]
    return rows, date


def benchmarks():
    rows, date = figures()
    p = Picture(
        "Latency, cost and throughput of GET /user",
        "Bars for the 99th percentile of latency, for the CPU time of a request, and for the throughput with 1,000 and "
        "with 1,000,000 users, each beside a floor that does only the necessary work. The page has the figures.",
        486,
    )
    y = 34

    def group(title, unit, bars):
        nonlocal y
        p.text(24, y, title, size=15, bold=True)
        most = max(value for _, value, _ in bars)
        for label, value, colour in bars:
            y += 28
            width = 390 * value / most
            p.text(300, y + 5, label, "end")
            p.parts.append(
                f'<rect x="310" y="{y - 9}" width="{width:.1f}" height="19" rx="3" fill="{FILLS[colour]}"'
                f' stroke="{colour}"/>'
            )
            p.text(318 + width, y + 5, f"{value:,g} {unit}")
        y += 48

    latency, storm = rows["user: p99 at 5000 req/s"], rows["user in a storm: p99 at 5000 req/s"]
    group("GET /user, latency: 99th percentile at 5,000 requests a second", "ms", [
        ("floor: the least possible work", latency[1], GREY),
        ("auth-service", latency[0], BLUE),
        ("before a storm of sign-ins", storm[1], BLUE),
        ("during the storm", storm[0], AMBER),
    ])
    cpu, refresh = rows["user: CPU"], rows["refresh: CPU"]
    group("Cost: CPU time of the server for a request", "µs", [
        ("floor: the least possible work", cpu[1], GREY),
        ("auth-service, GET /user", cpu[0], BLUE),
        ("auth-service, refresh", refresh[0], BLUE),
    ])
    many, floor = rows["user with 1000000 users"], rows["floor (b) with 1000000 users"]
    group("GET /user, throughput against the number of users", "req/s", [
        ("floor, 1,000 users", floor[1], GREY),
        ("floor, 1,000,000 users", floor[0], GREY),
        ("auth-service, 1,000 users", many[1], BLUE),
        ("auth-service, 1,000,000 users", many[0], BLUE),
    ])
    p.text(24, y - 12, f"Medians of a run of cargo bench, {date.split(', Debian')[0]}", size=12, colour=SOFT)
    return p


def table(head):
    """Returns the table of docs/benchmarks.md whose first cell is `head`: the other cells of the head, and the figures by row.

    Also returns the line before the table, which has the date and the machine.
    """
    page = PAGE.read_text()
    before, after = page.split(f"\n\n| {head} |")
    lines = (head + " |" + after.split("\n\n")[0]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rows = {name: [float(cell) for cell in row] for name, *row in cells[2:]}
    return cells[0][1:], rows, before.rsplit("\n", 1)[-1].split(", Debian")[0]


def apart(heights, least):
    """Moves labels at these heights apart, so that neighbours keep the distance `least`."""
    order = sorted(range(len(heights)), key=lambda n: heights[n])
    moved = dict.fromkeys(order)
    for before, n in zip([None, *order], order):
        moved[n] = heights[n] if before is None else max(heights[n], moved[before] + least)
    return [moved[n] for n in range(len(heights))]


def latency():
    percentiles, rows, date = table("latency in ms")
    p = Picture(
        "Latency curves of GET /user at 5,000 requests a second",
        "A line for each server shows the latency at the 10th to the 99.99th percentile, on a logarithmic scale: the floor, "
        "auth-service, a Go server, and auth-service before and during a storm of sign-ins. The page has the figures.",
        474,
    )
    left, right, top, bottom = 70, 600, 76, 396
    figures = [figure for row in rows.values() for figure in row]
    low, high = min(figures) * 0.9, max(figures) * 1.1

    def x(percentile):
        # Each further nine is as far from the one before, because it is ten times as rare.
        nines = -math.log10(1 - float(percentile[1:]) / 100)
        return left + (right - left) * nines / 4

    def y(milliseconds):
        return bottom - (bottom - top) * math.log(milliseconds / low) / math.log(high / low)

    p.text(24, 34, "GET /user, latency at 5,000 requests a second", size=15, bold=True)
    p.text(24, 58, "milliseconds, logarithmic", size=12, colour=SOFT)
    ticks = [factor * 10**exponent for exponent in range(-2, 4) for factor in (1, 2, 5)]
    heights = {f"{tick:g}": y(tick) for tick in ticks if low <= tick <= high}
    p.grid(left, right, bottom, heights, {percentile: x(percentile) for percentile in percentiles})
    p.text((left + right) / 2, bottom + 40, "percentile: at p99, one request in a hundred takes longer", "middle", 12, SOFT)
    lines = {
        "floor (b), 5000 req/s": ("floor: the least possible work", GREY, False),
        "auth-service, 5000 req/s": ("auth-service", BLUE, False),
        "Go net/http, 5000 req/s": ("the same work in Go", GREEN, False),
        "auth-service before the storm, 5000 req/s": ("auth-service before a storm", BLUE, True),
        "auth-service in a storm, 5000 req/s": ("auth-service in a storm", RED, False),
    }
    labels = apart([y(rows[name][-1]) for name in lines], 18)
    for (name, (label, colour, dashed)), label_y in zip(lines.items(), labels):
        p.curve([(x(at), y(figure)) for at, figure in zip(percentiles, rows[name])], colour, label, label_y, dashed)
    p.text(24, 458, f"Medians of cargo bench, {date}", size=12, colour=SOFT)
    return p


def cost():
    _, rows, date = table("CPU of a request in µs")
    p = Picture(
        "Cost curves of GET /user against the number of users",
        "Two lines show the CPU time that a request takes in auth-service and in Redis, with 1,000 to 1,000,000 users on a "
        "logarithmic scale. The page has the figures.",
        374,
    )
    left, right, top, bottom = 70, 640, 76, 296
    users = [int(name.split()[0].replace(",", "")) for name in rows]
    high = max(figure for row in rows.values() for figure in row) * 1.2

    def x(count):
        return left + (right - left) * math.log(count / users[0]) / math.log(users[-1] / users[0])

    def y(microseconds):
        return bottom - (bottom - top) * microseconds / high

    p.text(24, 34, "GET /user, cost against the number of users", size=15, bold=True)
    p.text(24, 58, "microseconds of CPU for a request", size=12, colour=SOFT)
    heights = {f"{tick}": y(tick) for tick in range(0, int(high) + 1, 5)}
    p.grid(left, right, bottom, heights, {f"{count:,}": x(count) for count in users})
    p.text((left + right) / 2, bottom + 40, "users, logarithmic", "middle", 12, SOFT)
    for n, (label, colour) in enumerate([("auth-service", BLUE), ("Redis", RED)]):
        points = [(x(count), y(row[n])) for count, row in zip(users, rows.values())]
        p.curve(points, colour, label, points[-1][1])
    p.text(24, 358, f"Medians of cargo bench, {date}", size=12, colour=SOFT)
    return p
