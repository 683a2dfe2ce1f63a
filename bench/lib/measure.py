"""One server under one load."""

import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

from . import servers

TICK = os.sysconf("SC_CLK_TCK")
# How long a program may take to say what is waited for; no run takes a tenth of it unless the machine is crowded.
PATIENCE = 30
WRK = Path(__file__).with_name("wrk.lua")


class Failed(Exception):
    """A run that gave nothing: why."""


def cores():
    """The cores of server and load; the same where there is one."""
    known = sorted(os.sched_getaffinity(0))
    return known[0], known[min(1, len(known) - 1)]


def pinned(core):
    return ["taskset", "-c", str(core)]


class Process:
    """A program of ours, and what it says. It is killed at the end, and nothing else is."""

    def __init__(self, command, **more):
        self.command = command
        try:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                **more,
            )
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from None
        self.pid = self.process.pid
        self.seen = {self.process.stdout: b"", self.process.stderr: b""}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The group is its own: what a watcher has started ends with it.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for stream in (self.process.stdin, *self.seen):
            if stream:
                stream.close()

    def expect(self, pattern, stream="stdout", patience=PATIENCE):
        """The first match in what it says there; the rest is kept for the next call."""
        wanted, open_streams = getattr(self.process, stream), set(self.seen)
        deadline = time.monotonic() + patience
        while True:
            found = re.search(pattern.encode(), self.seen[wanted], re.M)
            if found:
                self.seen[wanted] = self.seen[wanted][found.end():]
                return found
            rest = deadline - time.monotonic()
            if rest <= 0 or wanted not in open_streams:
                said = b"".join(self.seen.values()).decode(errors="replace").strip().split("\n")[-1]
                ended = "ended" if wanted not in open_streams else f"said nothing for {patience:.0f} s"
                raise Failed(f"`{' '.join(map(str, self.command))}` {ended}: {said}")
            for ready in select.select(list(open_streams), [], [], min(rest, 1))[0]:
                more = os.read(ready.fileno(), 65536)
                self.seen[ready] += more
                if not more:
                    open_streams.discard(ready)

    def write(self, text):
        try:
            self.process.stdin.write(text.encode())
        except BrokenPipeError:
            pass

    def ended(self, patience=PATIENCE):
        """Waits for its end."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(map(str, self.command))}` does not end") from None


def start_server(command, watcher=(), core=None):
    """A server that listens: its process and its address."""
    core = cores()[0] if core is None else core
    server = Process([*pinned(core), *watcher, *command], stdin=subprocess.DEVNULL)
    try:
        found = server.expect(r"listening on (\S+)\n")
    except Failed:
        server.__exit__()
        raise
    return server, found[1].decode()


def busy():
    """Seconds that the cores of server and load have worked, for whomever."""
    names = {f"cpu{core}" for core in cores()}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user, nice, system, irq, softirq
    return sum(int(fields[at]) for fields in lines if fields[0] in names for at in (1, 2, 3, 6, 7)) / TICK


def spent(pid):
    """What a process has used so far, as `processor_time`, and how long the cores were busy."""
    return *processor_time(pid), busy()


def processor_time(pid):
    """(user, system, both) seconds of a process: the sum from the scheduler's nanoseconds, the parts by the ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]) / TICK, int(fields[12]) / TICK
    exact = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            exact += int((thread / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            return user, system, user + system
    # Threads that have ended are in the ticks alone.
    return user, system, exact if abs(exact - user - system) < 3 / TICK else user + system


def memory(pid, field):
    """Kilobytes: VmRSS now, VmHWM at most."""
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def accepted(pid, connections):
    """Waits until a server has accepted so many: a client is connected before that."""
    deadline = time.monotonic() + PATIENCE
    while len(os.listdir(f"/proc/{pid}/fd")) <= connections:
        if time.monotonic() > deadline:
            raise Failed(f"the server has not accepted {connections} connections")
        time.sleep(0.01)


def cell(requests, seconds, before, after, server, latencies):
    """What a table needs of one run."""
    if not requests:
        raise Failed("no request was answered")
    total = after[2] - before[2]
    ticks = after[0] - before[0] + after[1] - before[1]
    user = (after[0] - before[0]) / ticks if ticks else 0.0
    return {
        "requests": requests,
        "seconds": round(seconds, 4),
        "cpu_us": round(total / requests * 1e6, 4),
        "user_us": round(total * user / requests * 1e6, 4),
        "system_us": round(total * (1 - user) / requests * 1e6, 4),
        "both_us": round((after[3] - before[3]) / requests * 1e6, 4),
        "peak_kb": memory(server.pid, "VmHWM"),
        **latencies,
    }


def ask_client(workload, server, address, seconds):
    """The client of the examples: it says when it is connected, and is told when to begin."""
    client = servers.release() / "examples" / "client"
    command = [*pinned(cores()[1]), client, "--addr", address, "--json", "--wait", *workload.arguments.split()]
    with Process([*command, "--seconds", seconds], stdin=subprocess.PIPE) as client:
        connections = int(client.expect(r"connected: (\d+)\n", "stderr")[1])
        if "--reconnect" not in command:
            accepted(server.pid, connections)
        before, resident = spent(server.pid), memory(server.pid, "VmRSS")
        if workload.kind == "idle":
            return {"resident_kb": resident}
        client.write("\n")
        report = json.loads(client.expect(r"^\{.*\}\n", patience=seconds + PATIENCE)[0])
        after = spent(server.pid)
        client.process.stdin.close()
        client.ended()
    requests = sum(one["requests"] - one["unanswered"] for one in report["classes"])
    watched = next(one for one in report["classes"] if one["name"] == workload.watched)
    latencies = {name: watched[name] / 1_000 for name in ("p50", "p90", "p99", "p99.9", "max")}
    failures = {name: watched[name] for name in ("errors", "unanswered") if watched[name]}
    return cell(requests, report["seconds"], before, after, server, latencies | failures)


def ask_wrk(workload, server, address, seconds):
    """wrk counts whole seconds."""
    seconds = max(1, round(seconds))
    command = [*pinned(cores()[1]), "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", WRK, f"http://{address}/"]
    before = spent(server.pid)
    with Process(command) as wrk:
        report = json.loads(wrk.expect(r"^\{.*\}\n", patience=seconds + PATIENCE)[0])
        after = spent(server.pid)
    if report.pop("errors"):
        raise Failed(f"{' '.join(map(str, command))}: connections or answers failed")
    return cell(report.pop("requests"), report.pop("seconds"), before, after, server, report)


def ask_redis(workload, server, address, seconds):
    """redis-benchmark asks so many times, however long that takes."""
    pipeline = int(workload.arguments)
    host, _, port = address.rpartition(":")
    requests = int(seconds * 25_000) * pipeline
    command = ["redis-benchmark", "-h", host, "-p", port, "-c", "50", "-P", str(pipeline), "-n", str(requests)]
    command = [*pinned(cores()[1]), *command, "-r", "10000", "-q", "-t", "set,get"]
    before, start = spent(server.pid), time.monotonic()
    with Process(command) as benchmark:
        benchmark.expect(r"GET: [\d.]+ requests per second.*\n", patience=20 * seconds + PATIENCE)
        elapsed, after = time.monotonic() - start, spent(server.pid)
    return cell(2 * requests, elapsed, before, after, server, {})


ASK = {"client": ask_client, "idle": ask_client, "wrk": ask_wrk, "redis": ask_redis}


def measure(workload, server, seconds):
    """One run."""
    process, address = start_server(servers.command(workload.group, server, workload.mode))
    with process:
        try:
            if workload.kind == "idle":
                before = memory(process.pid, "VmRSS")
                full = ask_client(workload, process, address, seconds)["resident_kb"]
                count = int(workload.arguments.split()[1])
                return {"bytes": round((full - before) * 1024 / count, 1), "empty_kb": before}
            return ASK[workload.kind](workload, process, address, seconds)
        except (FileNotFoundError, ProcessLookupError):
            raise Failed("the server ended") from None
