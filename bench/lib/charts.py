"""The charts."""

from . import servers, workloads
from .stats import median, ratio
from .svg import SERIES, Picture, Scale, apart, short
from .tables import SHORT, measured

ROW = 24
LABELS = 180
# A ratio beyond it is written, and its bar is cut.
CUT = 2.5


def kind(name):
    return "ours" if name.startswith("pollywog") else "theirs"


def processor(results):
    """A row for each server, a column for each workload: ratio bars."""
    found = {name: results["workloads"][key] for name, key in SHORT.items() if key in results["workloads"]}
    reference = servers.references("peers")
    names = [name for name in servers.GROUPS["peers"] if any(name in measured(one) for one in found.values())]
    width, top = 132, 82
    picture = Picture(
        f"Processor time for each request, as a ratio to {reference}",
        f"Shorter is better. Below {1.03:.2f} and above {0.97:.2f} it is a tie with {reference}.",
        LABELS + width * len(found) + 16,
    )
    legend = f"the dashed line is {reference}, and less than 3 % beside it is a tie; bars end at {CUT}"
    picture.text(16, 50, f"shorter is better; {legend}", "soft small")
    bottom = top + ROW * len(names)
    for column, (title, one) in enumerate(found.items()):
        left = LABELS + column * width
        scale = Scale(0, CUT, left, left + width - 50)
        picture.text(left, top - 10, title, "head small")
        ratios = {name: ratio(one["rounds"], name, reference) for name in names}
        ends = {name: scale(min(value, CUT)) for name, value in ratios.items() if value is not None}
        for row, name in enumerate(names):
            if name in ends:
                picture.bar(left, top + row * ROW + 3, ends[name] - left, ROW - 9, kind(name))
        picture.line(scale(1), top - 4, scale(1), bottom, "one")
        for row, name in enumerate(names):
            if name in ends:
                text = f"{ratios[name]:.2f}" if ratios[name] < 10 else f"{ratios[name]:.0f}"
                picture.text(ends[name] + 5, top + row * ROW + 15, text, "small over")
    for row, name in enumerate(names):
        picture.text(16, top + row * ROW + 15, name, "head" if kind(name) == "ours" else "")
    return picture.done(bottom + 12)


def latency(results):
    """From p50 to p99.9 for each server, on a logarithmic axis."""
    found = {key: results["workloads"][key] for key in ("rate", "hot") if key in results["workloads"]}
    picture = Picture(
        "Latency: p50, p99 and p99.9",
        "For each server a line from the median to the 99.9th percentile, microseconds on a logarithmic axis.",
        900,
    )
    legend = "filled: p50, stroke: p99, open: p99.9; counted from when a request was due"
    picture.text(16, 50, f"µs, logarithmic; {legend}", "soft small")
    top = 84
    for one in found.values():
        names = [name for name in measured(one) if median(one["rounds"], name, "p50")]
        figures = {name: [median(one["rounds"], name, each) for each in ("p50", "p99", "p99.9")] for name in names}
        every = [value for values in figures.values() for value in values]
        scale = Scale(min(every) * 0.8, max(every) * 1.25, LABELS, 870, log=True)
        bottom = top + ROW * len(names)
        picture.text(16, top - 10, one["title"], "head small")
        for tick in scale.ticks():
            picture.line(scale(tick), top, scale(tick), bottom)
            picture.text(scale(tick), bottom + 16, short(tick), "soft small", "middle")
        for row, (name, values) in enumerate(figures.items()):
            y, (low, middle, high) = top + row * ROW + ROW / 2, map(scale, values)
            colour = f"var(--{kind(name)})"
            picture.text(16, y + 4, name, "head" if kind(name) == "ours" else "")
            picture.line(low, y, high, y, "", stroke=colour, stroke_width=2)
            picture.add("circle", cx=low, cy=y, r=4.5, fill=colour)
            picture.line(middle, y - 6, middle, y + 6, "", stroke=colour, stroke_width=2.5)
            picture.add("circle", cx=high, cy=y, r=4.5, fill="var(--paper)", stroke=colour, stroke_width=2)
        top = bottom + 62
    return picture.done(top - 34)


def idle(results):
    """Bytes for each idle connection."""
    found = results["workloads"]["idle"]
    names = measured(found)
    values = {name: median(found["rounds"], name, "bytes") for name in names}
    picture = Picture(
        f"Resident bytes for each of {workloads.HELD:,} idle connections",
        "Shorter is better. Memory of the server process; the kernel's is not in it.",
        900,
    )
    scale, top = Scale(0, max(values.values()) or 1, LABELS, 800), 46
    for row, (name, value) in enumerate(values.items()):
        y = top + row * ROW
        picture.text(16, y + 15, name, "head" if kind(name) == "ours" else "")
        picture.bar(LABELS, y + 3, scale(max(value, 0)) - LABELS, ROW - 9, kind(name))
        picture.text(scale(max(value, 0)) + 6, y + 15, f"{value:,.0f}", "small")
    return picture.done(top + ROW * len(names) + 12)


def curves(title, description, unit, across, series):
    """Lines on a logarithmic axis across: `series` is {name: [(how many, figure)]}. Names stand at the ends."""
    picture = Picture(title, description, 900)
    left, right, top, bottom = 64, 690, 70, 430
    counts = sorted({count for points in series.values() for count, _ in points})
    every = [value for points in series.values() for _, value in points]
    steep = min(every) > 0 and max(every) > 20 * min(every)
    x = Scale(counts[0], counts[-1], left, right, log=True)
    y = Scale(min(every) * 0.8 if steep else 0, max(every) * 1.1, bottom, top, log=steep)
    picture.text(16, 50, f"{unit}{', logarithmic' if steep else ''}; across: {across}, logarithmic", "soft small")
    for tick in y.ticks():
        picture.line(left, y(tick), right, y(tick))
        picture.text(left - 8, y(tick) + 4, short(tick), "soft small", "end")
    for count in counts:
        picture.line(x(count), bottom, x(count), bottom + 5)
        picture.text(x(count), bottom + 20, f"{count:,}", "soft small", "middle")
    ends = apart([y(points[-1][1]) for points in series.values()], 17)
    # Ours has the same colour everywhere.
    others = [name for name in series if kind(name) != "ours"]
    colours = {name: (index if index < 1 else index + 1) % SERIES for index, name in enumerate(others)}
    colours |= {name: 1 for name in series if kind(name) == "ours"}
    for (name, points), end in zip(series.items(), ends):
        colour = f"var(--s{colours[name]})"
        path = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in points)
        thick = 3 if kind(name) == "ours" else 1.8
        more = {"stroke_dasharray": "5 4"} if list(series).index(name) >= SERIES else {}
        picture.add("polyline", points=path, fill="none", stroke=colour, stroke_width=thick, **more)
        last = x(points[-1][0])
        for count, value in points:
            picture.add("circle", cx=x(count), cy=y(value), r=2.5, fill=colour)
        picture.line(last + 4, y(points[-1][1]), right + 16, end, "", stroke=colour, stroke_width=0.8)
        picture.text(right + 20, end + 4, f"{name}: {short(points[-1][1])}", "head" if kind(name) == "ours" else "",
                     style=f"fill: {colour}")
    return picture.done(bottom + 36)


def connections(results):
    """Processor time for each request against the number of connections."""
    series = {}
    for workload in workloads.WORKLOADS:
        found = results["workloads"].get(workload.key) if workload.growth else None
        for name in measured(found) if found else ():
            if not name.endswith(" again"):
                series.setdefault(name, []).append((workload.growth, median(found["rounds"], name, "cpu_us")))
    if not series:
        return None
    return curves(
        "How the cost of a request grows with connections",
        "Echo of 64 bytes: processor time of the server for each request, by the number of connections that ask.",
        "CPU µs for each request", "connections", series,
    )


def all_of(results):
    """{file name: picture}, of what was measured."""
    charts = {}
    known = results["workloads"]
    if any(key in known for key in SHORT.values()):
        charts["cpu.svg"] = processor(results)
    if "rate" in known or "hot" in known:
        charts["latency.svg"] = latency(results)
    if "idle" in known and measured(known["idle"]):
        charts["idle.svg"] = idle(results)
    if grown := connections(results):
        charts["growth-connections.svg"] = grown
    for row in (results.get("tasks") or {}).get("growth", []):
        series = {peer: [tuple(point) for point in points] for peer, points in row["peers"].items() if points}
        charts[f"growth-{row['key']}.svg"] = curves(
            f"How the cost grows: {row['row']}", f"{row['unit']} for each, by how many there are.",
            f"{row['unit']} for each", "how many", series,
        )
    return charts
