"""System calls and user instructions for each request.

The load is in lockstep: every connection sends a request, then every connection receives its answer. A figure is the
difference of two runs of different length, so that what start, connects and end cost cancels out. So the same program
gives nearly the same figures on a busy machine too.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from . import servers
from .measure import PATIENCE, Failed, cores, start_server

# Rounds of the short and of the long run.
ROUNDS = (5, 45)
PAUSE = 0.002
GET = b"GET / HTTP/1.1\r\nHost: pollywog\r\n\r\n"
WATCHERS = {
    "calls": ["strace", "-f", "-c", "-o"],
    "instructions": ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"],
}


# Server and load share a core, and the server does not preempt the load: it finds all that a round has sent.
BATCH = ["chrt", "--batch", "0"]


def receive(one, size):
    while size:
        got = len(one.recv(min(size, 1 << 20)))
        if not got:
            raise Failed("the server closed a connection")
        size -= got


def receive_answer(one):
    """One of HTTP whose length is not known yet: how long it was."""
    seen = b""
    while not seen.endswith(b"\r\n\r\n"):
        got = one.recv(1)
        if not got:
            raise Failed("the server closed a connection")
        seen += got
    body = int(re.search(rb"(?i)content-length: (\d+)", seen)[1])
    receive(one, body)
    return len(seen) + body


def connect(address):
    host, _, port = address.rpartition(":")
    one = socket.create_connection((host, int(port)), timeout=PATIENCE)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def drive(address, mode, connections, size, reconnect, held, rounds):
    """The load: its sockets, still open."""
    request = GET if mode == "http" else b"p" * size
    held = [connect(address) for _ in range(held)]
    sockets = [] if reconnect else [connect(address) for _ in range(connections)]
    length = size
    if mode == "http":
        for one in sockets:
            one.sendall(request)
            length = receive_answer(one)
    for _ in range(rounds):
        if connections == 1:
            # The request comes when the server sleeps, and not while its watcher holds it up.
            time.sleep(PAUSE)
        asking = [connect(address) for _ in range(connections)] if reconnect else sockets
        for one in asking:
            one.sendall(request)
        for one in asking:
            receive(one, length)
        for one in asking if reconnect else ():
            one.close()
    return held + sockets


def run(what, workload, server, rounds, core):
    """What one run cost altogether."""
    with tempfile.NamedTemporaryFile(mode="r") as report:
        watcher = [*WATCHERS[what], report.name] if what == "calls" else WATCHERS[what]
        command = servers.command(workload.group, server, workload.mode)
        process, address = start_server(command, [*BATCH, *watcher], core)
        with process:
            try:
                sockets = drive(address, workload.mode, **workload.counted, rounds=rounds)
            except OSError as error:
                raise Failed(str(error)) from None
            # strace starts the server, and ends after it; valgrind is the server.
            target = process.pid if what == "instructions" else child(process.pid)
            os.kill(target, signal.SIGTERM)
            try:
                said = process.process.communicate(timeout=PATIENCE)[1].decode(errors="replace")
            except subprocess.TimeoutExpired:
                os.kill(target, signal.SIGKILL)
                raise Failed("it does not end") from None
            for one in sockets:
                one.close()
            text = report.read()
    total = calls_of(text) if what == "calls" else instructions_of(said)
    if total is None:
        raise Failed(f"{WATCHERS[what][0]} told nothing: {said.strip()[-200:]}")
    return total


def calls_of(summary):
    """The calls in the last line of `strace -c`: share, seconds, microseconds for each, calls, failures if any."""
    found = re.search(r"^100\.00 +[\d.]+ +\d+ +(\d+) .*total$", summary, re.M)
    return int(found[1]) if found else None


def instructions_of(said):
    """What callgrind says at its end."""
    found = re.search(r"Collected : (\d+)", said)
    return int(found[1]) if found else None


def child(pid):
    """The process that another one has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return int(children.read().split()[0])


def count(what, workload, server, core):
    """For each request."""
    connections = workload.counted["connections"]
    # A few connections need more rounds for the same number of requests.
    factor = max(1, min(10, 50 // connections))
    short, long = (run(what, workload, server, rounds * factor, core) for rounds in ROUNDS)
    return round((long - short) / ((ROUNDS[1] - ROUNDS[0]) * factor * connections), 3)


def jobs(workloads, known):
    """What is to be counted: (what, workload, server)."""
    for workload in workloads:
        if workload.counted is None:
            continue
        for server in known(workload):
            if server.endswith(" again"):
                continue
            yield "calls", workload, server
            if workload.instructions and server not in servers.NO_CALLGRIND:
                yield "instructions", workload, server


def count_all(workloads, known, done):
    """All of it, on every core at once, since time is not what is counted. Calls `done(job, figure or Failed)`."""
    free = list(set(cores()))

    def one(job):
        core = free.pop()
        os.sched_setaffinity(0, {core})
        try:
            return count(*job, core)
        except (Failed, OSError, IndexError) as error:
            return error
        finally:
            free.append(core)

    with ThreadPoolExecutor(len(free)) as pool:
        wanted = list(jobs(workloads, known))
        for job, figure in zip(wanted, pool.map(one, wanted)):
            done(job, figure)
