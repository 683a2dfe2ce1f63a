"""What is asked of the servers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Workload:
    """`kind` says who asks: `client` (that of the examples), `wrk`, `redis`, or `idle` (nobody: memory is measured)."""

    key: str
    title: str
    kind: str
    arguments: str = ""
    group: str = "peers"
    mode: str = "echo"
    # What of the client's report counts for latency: with a hot one beside quiet ones these.
    watched: str = "asking"
    # How a request is counted: connections and bytes of a lockstep driver; None where it is not.
    counted: dict | None = None
    instructions: bool = False
    # Of these servers alone.
    servers: tuple = field(default=())
    # A part of a curve, which has no table of its own.
    growth: int = 0

    @property
    def section(self):
        """The part before the dash: `echo-50` is of `echo`."""
        return self.key.split("-")[0]


def echo(key, title, size, connections, more="", **others):
    return Workload(key, title, "client", f"--size {size} --connections {connections} {more}".strip(), **others)


def lockstep(connections, size=64, reconnect=False, held=0):
    return {"connections": connections, "size": size, "reconnect": reconnect, "held": held}


HELD = 8_000
# Below what the slowest of the servers that are compiled can do.
RATE = 20_000
GROWTH = (10, 100, 1_000, 3_000, 8_000)
GROWING = ("raw epoll", "raw epoll again", "pollywog", "tokio current_thread", "smol", "monoio, epoll",
           "monoio, io_uring", "libuv")

WORKLOADS = [
    echo("echo-1", "Echo: 64 bytes over 1 connection", 64, 1, counted=lockstep(1), instructions=True),
    echo("echo-50", "Echo: 64 bytes over 50 connections", 64, 50, counted=lockstep(50), instructions=True),
    echo("echo-1000", "Echo: 64 bytes over 1,000 connections", 64, 1_000, counted=lockstep(1_000)),
    echo("echo-16k", "Echo: 16 KiB over 50 connections", 16_384, 50, counted=lockstep(50, 16_384), instructions=True),
    Workload("http", "HTTP, kept alive, over 64 connections", "wrk", mode="http", counted=lockstep(64),
             instructions=True),
    echo("reconnect", "Connect, echo, close, over 16 connections", 64, 16, "--reconnect",
         counted=lockstep(16, reconnect=True), instructions=True),
    echo("active", "Echo: 64 bytes over 1,000 connections, 50 of them active", 64, 1_000, "--active 50",
         counted=lockstep(50, held=950)),
    echo("rate", f"Echo at a rate: {RATE:,} requests a second of 64 bytes over 50 connections", 64, 50,
         f"--rate {RATE}"),
    echo("hot", "One hot sender beside 200 quiet ones: what the quiet ones wait", 64, 201, "--hot 1 --rate 2000",
         watched="quiet"),
    Workload("idle", f"{HELD:,} idle connections", "idle", f"--connections {HELD} --idle"),
    *(echo(f"growth-{count}", f"Echo: 64 bytes over {count:,} connections", 64, count, servers=GROWING, growth=count)
      for count in GROWTH),
    Workload("hyper", "HTTP on hyper, kept alive, over 64 connections", "wrk", group="hyper", mode="http"),
    Workload("kv-1", "Keys and values: SET and GET over 50 connections", "redis", "1", group="kv"),
    Workload("kv-16", "Keys and values: SET and GET over 50 connections, 16 at once", "redis", "16", group="kv"),
]
BY_KEY = {workload.key: workload for workload in WORKLOADS}
SMOKE = ("echo-50", "http", "reconnect", "hot")


def chosen(names):
    """The workloads of those names, or of those sections. Raises KeyError with the first that is neither."""
    for name in names:
        if not any(name in (workload.key, workload.section) for workload in WORKLOADS):
            raise KeyError(name)
    return [workload for workload in WORKLOADS if {workload.key, workload.section} & set(names)]
