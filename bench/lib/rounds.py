"""Rounds, interleaved: each runs every server once, in an order that turns."""

import json
import subprocess
import sys
import time

from . import counts, servers
from .measure import Failed, measure


# What the short tables do not show has half as many rounds.
HALF = {"active", "rate", "hot"}


class Progress:
    """A line on standard error: what runs, and how long it will take. A terminal has it change."""

    def __init__(self, total, quiet=False):
        self.total, self.done, self.start, self.quiet, self.last = total, 0, time.monotonic(), quiet, 0

    def step(self, what):
        self.done += 1
        now = time.monotonic()
        rest = (now - self.start) / self.done * max(0, self.total - self.done)
        line = f"{self.done}/{self.total}, {rest / 60:.0f} min {rest % 60:02.0f} s left: {what}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif now - self.last > 10:
            self.last = now
            print(line, file=sys.stderr, flush=True)

    def end(self):
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def turned(names, number):
    """The same in an order that begins elsewhere each time, and runs backwards every other time."""
    place = number % len(names)
    order = names[place:] + names[:place]
    return order[::-1] if number % 2 else order


class Run:
    """What is measured, and what was found."""

    def __init__(self, workloads, chosen_servers, rounds, seconds, limit):
        self.workloads, self.rounds, self.seconds = workloads, rounds, seconds
        self.deadline = time.monotonic() + limit
        self.missing = servers.missing()
        self.chosen = chosen_servers
        self.results = {
            workload.key: {
                "title": workload.title, "group": workload.group, "seconds": seconds, "rounds": [], "failed": {},
            }
            for workload in workloads
        }
        self.counts = {}

    def known(self, workload):
        """The servers that run it here. What the others are compared with is among them."""
        names = [name for name in servers.GROUPS[workload.group] if (workload.group, name) not in self.missing]
        names = [name for name in names if not workload.servers or name in workload.servers]
        if self.chosen and workload.group == "peers":
            reference = servers.references("peers")
            names = [name for name in names if name == reference or name in self.chosen]
        return names

    def rounds_of(self, workload):
        # Memory hardly differs from one time to the next, and a curve has many points.
        few = workload.kind == "idle" or workload.growth
        return max(1, self.rounds // 4 if few else self.rounds // 2 if workload.key in HALF else self.rounds)

    def measure(self):
        """All rounds, or as many as there is time for."""
        total = sum(self.rounds_of(workload) * len(self.known(workload)) for workload in self.workloads)
        progress = Progress(total)
        for number in range(self.rounds):
            for workload in self.workloads:
                if number >= self.rounds_of(workload):
                    continue
                if number and time.monotonic() > self.deadline:
                    progress.end()
                    print(f"the time is over: {number} rounds of {self.rounds}", file=sys.stderr)
                    return
                self.round(workload, number, progress)
        progress.end()

    def round(self, workload, number, progress):
        found, one = self.results[workload.key], {}
        for server in turned(self.known(workload), number):
            progress.step(f"round {number + 1}, {workload.key}, {server}")
            if server in found["failed"]:
                continue
            try:
                one[server] = measure(workload, server, self.seconds)
            except (Failed, OSError, ValueError) as error:
                found["failed"][server] = str(error)
        found["rounds"].append(one)

    def count(self):
        """System calls and instructions."""
        jobs = list(counts.jobs(self.workloads, self.known))
        progress = Progress(len(jobs))

        def done(job, figure):
            what, workload, server = job
            progress.step(f"{what}, {workload.key}, {server}")
            found = self.results[workload.key]
            if isinstance(figure, Exception):
                found["failed"][f"{server}: {what}"] = str(figure)
            else:
                found.setdefault(what, {})[server] = figure

        counts.count_all(self.workloads, self.known, done)
        progress.end()

    def failures(self):
        """One line each."""
        return [
            f"{key}: {server}: {why}" for key, found in self.results.items() for server, why in found["failed"].items()
        ]


def tasks(quick):
    """What tasks and timers cost: the program pins and repeats by itself."""
    command = [servers.release() / "tasks", "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=900)
    if done.returncode != 0:
        raise Failed(f"{command[0].name} ended with {done.returncode}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Failed(f"{command[0].name} says no JSON: {done.stdout[:80]!r}") from None
