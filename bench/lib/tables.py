"""Tables, and the parts of pages that hold them."""

import re
import statistics

from . import servers, workloads
from .stats import TIE_CPU, TIE_RATE, is_tie, median, noise, ratio

NONE = "–"
# For the main page: what a column is called, and which workload it is.
SHORT = {
    "64 B, 1": "echo-1",
    "64 B, 50": "echo-50",
    "64 B, 1,000": "echo-1000",
    "16 KiB, 50": "echo-16k",
    "HTTP, 64": "http",
    "connect, echo, close": "reconnect",
}
SHORT_PEERS = ("pollywog", "tokio", "smol", "monoio")


def number(value, digits=2):
    if value is None:
        return NONE
    # Two digits of a small figure.
    return f"{value:,.{digits}f}" if digits == 0 or value >= 1 or value == 0 else f"{value:.3g}"


def tied(value, tolerance, text):
    """A figure that says when it is not told from the reference's."""
    return f"{text} ≈" if is_tie(value, tolerance) else text


def ratio_text(found, server):
    """Of processor time; a tie where it is not told from the reference's, or from what that differs by itself."""
    reference = servers.references(found["group"])
    value = ratio(found["rounds"], server, reference)
    if value is None or server == reference:
        return NONE if value is None else f"{value:.2f}"
    return tied(value, max(TIE_CPU, noise(found["rounds"], reference)), f"{value:.2f}")


def row_of(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(head, rows):
    """The first column is text, the others are figures."""
    return row_of(head) + "|---|" + "---:|" * (len(head) - 1) + "\n" + "".join(row_of(row) for row in rows)


def times(found):
    """How often and how long it was measured."""
    count = len(found["rounds"])
    rounds = f"{count} {'round' if count == 1 else 'rounds'}"
    seconds = None if "bytes" in next(iter(found["rounds"][0].values()), {}) else found.get("seconds")
    return f"{rounds} of {seconds} s" if seconds else rounds


def measured(found):
    """The servers of a workload that have a figure, in the order of their group."""
    return [name for name in servers.GROUPS[found["group"]] if any(name in one for one in found["rounds"])]


def load_table(found):
    reference = servers.references(found["group"])
    rounds = [
        {name: cell | {"rate": cell["requests"] / cell["seconds"]} for name, cell in one.items()}
        for one in found["rounds"]
    ]
    head = ["server", "CPU µs", f"of {reference}'s", "user µs", "system µs", "both cores µs", "requests/s"]
    names = measured(found)
    latencies = [name for name in ("p50", "p99", "p99.9") if any(median(rounds, one, name) for one in names)]
    counted = [name for name in ("calls", "instructions") if name in found]
    head += [f"{name} µs" for name in latencies] + ["peak KiB"]
    head += [{"calls": "system calls", "instructions": "instructions"}[name] for name in counted]
    rows = []
    for name in names:
        rate = number(median(rounds, name, "rate"), 0)
        rate = rate if name == reference else tied(ratio(rounds, name, reference, "rate"), TIE_RATE, rate)
        row = [name, number(median(rounds, name, "cpu_us")), ratio_text(found, name)]
        row += [number(median(rounds, name, one)) for one in ("user_us", "system_us", "both_us")] + [rate]
        row += [number(median(rounds, name, one), 0) for one in [*latencies, "peak_kb"]]
        row += [number(found[one].get(name), {"calls": 2, "instructions": 0}[one]) for one in counted]
        rows.append(row)
    return table(head, rows)


def idle_table(found):
    rows = [
        [name, number(median(found["rounds"], name, "bytes"), 0), number(median(found["rounds"], name, "empty_kb"), 0)]
        for name in measured(found)
    ]
    return table(["server", "bytes for each connection", "KiB without any"], rows)


def growth_table(results):
    """Processor time against the number of connections: one column for each number."""
    points = {
        workload.growth: results["workloads"][workload.key]
        for workload in workloads.WORKLOADS
        if workload.growth and workload.key in results["workloads"]
    }
    if not points:
        return ""
    names = measured(next(iter(points.values())))
    rows = [[name, *(number(median(found["rounds"], name, "cpu_us")) for found in points.values())] for name in names]
    return table(["CPU µs for each request, by connections", *(f"{count:,}" for count in points)], rows)


def missing_row(name, why):
    return f"- {name}: not installed ({why})\n"


def notes(results):
    """What could not be measured."""
    text = "".join(missing_row(name, why) for name, why in results.get("missing", {}).items())
    for found in results["workloads"].values():
        text += "".join(f"- {found['title']}, {name}: {why}\n" for name, why in found["failed"].items())
    return text


def machine_line(results):
    facts = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    line = f"{facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, rustc {facts['rust']}; {versions}"
    return line


def executor_tables(tasks):
    """What tasks and timers cost: a table for each unit and group, a row for each operation."""
    text = ""
    groups = dict.fromkeys((row.get("group", ""), row["unit"]) for row in tasks["rows"])
    for group, unit in groups:
        rows = [row for row in tasks["rows"] if (row.get("group", ""), row["unit"]) == (group, unit)]
        peers = list(dict.fromkeys(peer for row in rows for peer in row["peers"]))
        cells = [[row["row"], *(executor_cell(row, peer) for peer in peers)] for row in rows]
        text += "\n" + table([f"{group or 'operation'} ({unit})", *peers], cells)
    if facts := tasks.get("facts"):
        text += f"\nThe future of a trivial task has {facts[0]['future_bytes']} bytes. Alive: {facts[0]['alive']}. "
        text += f"{tasks.get('absent', '')}\n\n"
        text += row_of(["executor", "what a task is, and what its handle holds"]) + "|---|---|\n"
        text += "".join(row_of([fact["peer"], fact["handles"]]) for fact in facts)
    for row in tasks.get("growth", []):
        counts = sorted({point[0] for points in row["peers"].values() for point in points})
        cells = [
            [peer, *(number(dict(map(tuple, points)).get(count), 0) for count in counts)]
            for peer, points in row["peers"].items()
        ]
        text += "\n" + table([f"{row['row']} ({row['unit']}), by how many", *(f"{count:,}" for count in counts)], cells)
    return text


def executor_cell(row, peer):
    samples = row["peers"].get(peer)
    if not samples:
        return NONE
    value = statistics.median(samples)
    return number(value, 0 if value >= 10 else 1)


def page(results):
    """results.md."""
    text = f"What `bench/run` found on {machine_line(results)}.\n\n"
    text += "Medians. CPU is the server's, for each request; its ratio is taken within each round. ≈ is a tie: less than "
    text += f"{TIE_CPU:.0%} of CPU, or {TIE_RATE:.0%} of requests/s. "
    text += "The same program under a second name shows the noise; where that is more than 3 %, less than it is a tie.\n"
    for key, found in results["workloads"].items():
        if workloads.BY_KEY[key].growth:
            continue
        text += f"\n## {found['title']}\n\n{times(found)}\n\n"
        text += idle_table(found) if key == "idle" else load_table(found)
    growth = growth_table(results)
    text += f"\n## How it grows with connections\n\n{growth}" if growth else ""
    if results.get("tasks"):
        text += f"\n## Tasks and timers\n{executor_tables(results['tasks'])}"
    left_out = notes(results)
    return text + (f"\n## Not measured\n\n{left_out}" if left_out else "")


def short(results):
    """For the main page: ratios, a row for each server; and tasks."""
    columns = {name: key for name, key in SHORT.items() if key in results["workloads"]}
    found = results["workloads"]
    names = [name for name in servers.GROUPS["peers"] if any(name in measured(found[key]) for key in columns.values())]
    reference = servers.references("peers")
    rows = [
        [name, *(ratio_text(found[key], name) for key in columns.values())]
        + ([number(median(found["idle"]["rounds"], name, "bytes"), 0)] if "idle" in found else [])
        for name in names
        if name != reference
    ]
    head = [f"CPU of {reference}'s", *columns, *(["idle bytes"] if "idle" in found else [])]
    text = table(head, rows)
    tasks = results.get("tasks")
    if tasks:
        peers = dict.fromkeys(peer for row in tasks["rows"] for peer in row["peers"] if peer.startswith(SHORT_PEERS))
        rows = [
            [f"{row['row']} ({row['unit']})", *(executor_cell(row, peer) for peer in peers)] for row in tasks["rows"]
        ]
        text += "\n" + table(["operation", *peers], rows)
    return text + f"\n{machine_line(results)}.\n"


def replaced(text, name, content):
    """A page with the part between its markers made anew. Raises ValueError when it has none."""
    pattern = rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)"
    new, count = re.subn(pattern, lambda found: f"{found[1]}\n{content}\n{found[2]}", text, flags=re.S)
    if count != 1:
        raise ValueError(f"no `<!-- {name}: begin -->` and `end`, or more than one")
    return new
