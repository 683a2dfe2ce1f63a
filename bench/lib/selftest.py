"""All of that, checked on figures that are made up: a fault put into each part is seen."""

import copy
import xml.etree.ElementTree
from unittest import mock

from . import charts, counts, measure, rounds, servers, stats, svg, tables, workloads


def cell(cpu, requests=100_000, seconds=1.0, p50=100.0):
    return {
        "requests": requests, "seconds": seconds, "cpu_us": cpu, "user_us": cpu / 4, "system_us": cpu * 3 / 4,
        "both_us": cpu * 3,
        "peak_kb": 2_000, "p50": p50, "p90": 2 * p50, "p99": 3 * p50, "p99.9": 4 * p50, "max": 5 * p50,
    }


def sample():
    """Three rounds on a machine that becomes twice as slow: ratios hold, and figures do not."""
    loads = []
    for slow in (1, 2, 4):
        loads.append({
            "raw epoll": cell(5.0 * slow), "raw epoll again": cell(5.05 * slow, requests=104_000),
            "pollywog": cell(5.5 * slow, requests=90_000), "smol": cell(5.15 * slow, p50=250.0),
        })
    loads[1].pop("smol")
    one = {"title": "Echo", "group": "peers", "seconds": 1, "rounds": loads, "failed": {"gevent": "it ended"},
           "calls": {"raw epoll": 2.0, "pollywog": 2.02}}
    held = {"raw epoll": {"bytes": 57.0, "empty_kb": 1_500}, "smol": {"bytes": 1_900.5, "empty_kb": 3_000}}
    idle = {"title": "Idle", "group": "peers", "seconds": 1, "failed": {}, "rounds": [held]}
    grown = {key: {**copy.deepcopy(one), "failed": {}} for key in ("growth-10", "growth-1000")}
    tasks = {
        "rounds": 3,
        "rows": [{"row": "spawn", "unit": "ns", "group": "tasks",
                  "peers": {"pollywog": [80, 90, 1_000], "smol": [7.25]}}],
        "facts": [{"peer": "pollywog", "future_bytes": 24, "handles": "us", "alive": "all"}],
        "growth": [{"row": "timers", "key": "timer", "unit": "ns",
                    "peers": {"pollywog": [[1, 10.0], [1_000, 20.0]], "smol": [[1, 3]]}}],
    }
    machine = {"processor": "P", "cores": 2, "kernel": "6.1", "rust": "1.95", "versions": {"mio": "1.2"}}
    return {"machine": machine, "missing": {"libuv": "Debian's libuv1-dev"},
            "workloads": {"echo-50": one, "rate": copy.deepcopy(one), "idle": idle, **grown}, "tasks": tasks}


def test_ratios_are_taken_within_rounds():
    found = sample()["workloads"]["echo-50"]["rounds"]
    assert stats.median(found, "pollywog", "cpu_us") == 11.0
    assert abs(stats.ratio(found, "pollywog", "raw epoll") - 1.1) < 1e-9
    # The medians of smol's two rounds and of the other's three are of different machines.
    assert abs(stats.ratio(found, "smol", "raw epoll") - 1.03) < 1e-9
    assert stats.ratio(found, "gevent", "raw epoll") is None and stats.median(found, "gevent", "cpu_us") is None


def test_a_tie_is_less_than_three_percent():
    assert stats.is_tie(1.0) and stats.is_tie(1.029) and stats.is_tie(0.971)
    assert not stats.is_tie(1.03) and not stats.is_tie(0.97) and not stats.is_tie(None)


def test_a_tie_is_no_less_than_the_noise():
    results = sample()["workloads"]["echo-50"]
    for one in results["rounds"]:
        one["raw epoll again"]["cpu_us"] = one["raw epoll"]["cpu_us"] * 0.88
    assert tables.ratio_text(results, "pollywog") == "1.10 ≈" and tables.ratio_text(results, "raw epoll") == "1.00"


def test_the_table_says_what_was_found():
    lines = tables.load_table(sample()["workloads"]["echo-50"]).splitlines()
    assert lines[0] == ("| server | CPU µs | of raw epoll's | user µs | system µs | both cores µs | requests/s | p50 µs "
                        "| p99 µs | p99.9 µs | peak KiB | system calls |"), lines[0]
    assert lines[2:5] == [
        "| raw epoll | 10.00 | 1.00 | 2.50 | 7.50 | 30.00 | 100,000 | 100 | 300 | 400 | 2,000 | 2.00 |",
        "| raw epoll again | 10.10 | 1.01 ≈ | 2.52 | 7.57 | 30.30 | 104,000 ≈ | 100 | 300 | 400 | 2,000 | – |",
        "| pollywog | 11.00 | 1.10 | 2.75 | 8.25 | 33.00 | 90,000 | 100 | 300 | 400 | 2,000 | 2.02 |",
    ], lines
    assert lines[5].startswith("| smol | 12.88 | 1.03 | ") and len(lines) == 6, lines


def test_busy_is_what_the_two_cores_did_and_no_other():
    stat = ("cpu 9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 1000 1000 8 16 1000 0 0\n"
            "cpu1 32 0 0 1 0 0 64 0 0 0\ncpu2 7 7 7 7 7 7 7 7 0 0\nintr 5\n")
    with mock.patch.object(measure, "cores", return_value=(0, 1)), \
            mock.patch.object(measure.Path, "read_text", return_value=stat):
        assert measure.busy() * measure.TICK == 127, measure.busy()


def test_the_page_has_every_part():
    results = sample()
    text = tables.page(results)
    assert results == sample(), "the page changes what it shows"
    for part in ("- libuv: not installed (Debian's libuv1-dev)\n", "- Echo, gevent: it ended\n",
                 "| smol | 1,900 | 3,000 |", "| spawn | 90 | 7.2 |", "has 24 bytes. Alive: all.",
                 "| pollywog | us |", "| pollywog | 10 | 20 |", "| smol | 3 | – |",
                 "CPU µs for each request, by connections | 10 | 1,000 |", "\n\n3 rounds of 1 s\n\n", "\n\n1 round\n\n", "mio 1.2"):
        assert part in text, f"no {part!r} in:\n{text}"
    assert "| pollywog | 1.10 | – |\n" in tables.short(sample()), tables.short(sample())


def test_a_part_of_a_page_is_made_anew_and_the_rest_stays():
    page = "a\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nb\n"
    new = tables.replaced(page, "bench", "new \\1")
    assert new == "a\n<!-- bench: begin -->\n\nnew \\1\n<!-- bench: end -->\nb\n", new
    assert tables.replaced(new, "bench", "new \\1") == new
    for wrong in ("nothing", page + page):
        try:
            tables.replaced(wrong, "bench", "new")
        except ValueError:
            continue
        raise AssertionError(wrong)


def test_the_charts_are_well_formed_and_show_every_figure():
    made = charts.all_of(sample())
    assert sorted(made) == ["cpu.svg", "growth-connections.svg", "growth-timer.svg", "idle.svg", "latency.svg"]
    for name, text in made.items():
        root = xml.etree.ElementTree.fromstring(text)
        tags = [child.tag.rpartition("}")[2] for child in root]
        assert tags[:2] == ["title", "desc"] and root[0].text and root[1].text, name
    assert ">1.10<" in made["cpu.svg"] and ">1,900<" in made["idle.svg"] and "smol: 3" in made["growth-timer.svg"]


def test_labels_keep_apart():
    moved = svg.apart([10.0, 11.0, 100.0, 10.5], 17)
    order = sorted(moved)
    assert all(after - before > 16.9 for before, after in zip(order, order[1:])), moved
    assert moved[0] < moved[3] < moved[1] < moved[2]


def test_the_order_turns():
    names = ["a", "b", "c"]
    orders = [rounds.turned(names, number) for number in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert {order[0] for order in orders} == set(names) and orders[0] == names and orders[1] == ["a", "c", "b"], orders


def test_what_the_counters_say_is_read():
    summary = ("% time     seconds  usecs/call     calls    errors syscall\n"
               " 75.00    0.000300           3       100         7 read\n"
               "100.00    0.000400           2       {}   total\n")
    assert counts.calls_of(summary.format("   200         7")) == 200
    assert counts.calls_of(summary.format("   200          ")) == 200
    assert counts.calls_of("nothing") is None
    assert counts.instructions_of("==1== Collected : 12345\n") == 12345


def test_every_workload_has_a_name_of_its_own_and_servers():
    assert len(workloads.BY_KEY) == len(workloads.WORKLOADS)
    for workload in workloads.WORKLOADS:
        assert set(workload.servers) <= set(servers.GROUPS[workload.group]), workload
    assert [workload.key for workload in workloads.chosen(["echo-50", "kv"])] == ["echo-50", "kv-1", "kv-16"]
    assert set(tables.SHORT.values()) <= set(workloads.BY_KEY) and set(workloads.SMOKE) <= set(workloads.BY_KEY)
    try:
        workloads.chosen(["echo-51"])
    except KeyError as error:
        assert error.args == ("echo-51",)
    else:
        raise AssertionError("echo-51")


# A fault in each part, and the test that has to see it.
FAULTS = [
    ("the mean for the median", stats.statistics, "median", lambda known: sum(known) / len(known),
     test_ratios_are_taken_within_rounds),
    ("a wider tie", tables, "TIE_CPU", 0.15, test_the_table_says_what_was_found),
    ("ties that are not marked", tables, "tied", lambda value, tolerance, text: text,
     test_the_table_says_what_was_found),
    ("noise that is forgotten", tables, "noise", lambda found, reference: 0.0, test_a_tie_is_no_less_than_the_noise),
    ("ratios of medians", tables, "ratio", lambda found, server, reference, name="cpu_us":
        (stats.median(found, server, name) or 0) / stats.median(found, reference, name),
     test_the_table_says_what_was_found),
    ("peers that vanish", tables, "missing_row", lambda name, why: "", test_the_page_has_every_part),
    ("bars that are all as long", charts, "ratio", lambda *of: 1.0,
     test_the_charts_are_well_formed_and_show_every_figure),
    ("an order that stays", rounds, "turned", lambda names, number: names, test_the_order_turns),
]


def run():
    """0 when all of them pass, and each fault is seen."""
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    for test in tests:
        test()
    missed = []
    for what, where, name, fault, test in FAULTS:
        with mock.patch.object(where, name, fault):
            missed += [what] if passes(test) else []
    for what in missed:
        print(f"a fault that nobody sees: {what}")
    print(f"{len(tests)} tests, {len(FAULTS)} faults, {len(missed)} of them not seen")
    return bool(missed)


def passes(test):
    try:
        test()
    except AssertionError:
        return False
    return True
