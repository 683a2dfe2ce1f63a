"""Who is measured, and how they are built."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PEERS = ROOT / "bench" / "peers"
SOURCES = ROOT / "bench" / "src" / "bin"

# The first of a group is what the others are compared with, and the second is the first under another name: what it
# differs by is noise.
GROUPS = {
    "peers": {
        "raw epoll": "{release}/server_raw_epoll",
        "raw epoll again": "{release}/server_raw_epoll",
        "mio": "{release}/server_mio",
        "pollywog": "{release}/server_pollywog",
        "pollywog, lent buffer": "{release}/server_pollywog_lent",
        "tokio current_thread": "{release}/server_tokio",
        "smol": "{release}/server_smol",
        "monoio, epoll": "{release}/server_monoio --driver epoll",
        "monoio, io_uring": "{release}/server_monoio --driver io_uring",
        "glommio": "{release}/server_glommio",
        "compio, epoll": "{release}/server_compio --driver epoll",
        "compio, io_uring": "{release}/server_compio --driver io_uring",
        "libuv": "{release}/server_libuv",
        "Go, GOMAXPROCS=1": "{release}/server_go",
        "asyncio": "/usr/bin/python3 {peers}/with_asyncio.py --loop asyncio",
        "uvloop": "/usr/bin/python3 {peers}/with_asyncio.py --loop uvloop",
        "gevent": "/usr/bin/python3 {peers}/with_gevent.py",
    },
    "hyper": {
        "mio": "{release}/http_mio",
        "mio again": "{release}/http_mio",
        "pollywog": "{release}/http_pollywog",
    },
    "kv": {
        "mio": "{release}/kv_mio",
        "mio again": "{release}/kv_mio",
        "pollywog": "{release}/examples/kv --addr 127.0.0.1:0",
    },
}
# What may be missing on a machine, and where it comes from.
OPTIONAL = {
    "libuv": "Debian's libuv1-dev",
    "Go, GOMAXPROCS=1": "Debian's golang-go",
    "uvloop": "Debian's python3-uvloop",
    "gevent": "Debian's python3-gevent",
}
# Valgrind runs neither io_uring nor what makes its own stacks and code.
NO_CALLGRIND = {"monoio, io_uring", "glommio", "compio, io_uring", "Go, GOMAXPROCS=1", "asyncio", "uvloop", "gevent"}
MODULES = {"uvloop", "gevent"}
CRATES = ["mio", "tokio", "smol", "async-io", "monoio", "glommio", "compio", "hyper"]


def references(group):
    """The name that the others of a group are compared with."""
    return next(iter(GROUPS[group]))


def release():
    """Where the programs are."""
    return TARGET / "release"


def command(group, server, mode):
    """What starts a server on a port that the system picks."""
    words = [word.format(release=release(), peers=PEERS) for word in GROUPS[group][server].split()]
    return [*words, "--port", "0", "--mode", mode] if group == "peers" else words


def build():
    """Everything, as far as it can be."""
    examples = ["-p", "pollywog-examples", "--example", "client", "--example", "kv"]
    for what in [["-p", "pollywog-bench", "--bins"], examples]:
        subprocess.run(["cargo", "build", "--release", *what], cwd=ROOT, check=True)
    subprocess.run([PEERS / "build", release()], cwd=ROOT, check=True)


def build_quickly():
    """What a smoke test needs, optimised but not across crates, which is most of the time; in a place of its own."""
    global TARGET
    TARGET = TARGET / "smoke"
    environment = os.environ | {
        "CARGO_TARGET_DIR": str(TARGET),
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        "CARGO_PROFILE_RELEASE_DEBUG": "0",
    }
    programs = {Path(words.split()[0]).name for words in GROUPS["peers"].values() if words.startswith("{release}")}
    bins = [word for name in sorted(programs) if (SOURCES / f"{name}.rs").exists() for word in ("--bin", name)]
    what = ["-p", "pollywog-bench", *bins, "-p", "pollywog-examples", "--example", "client"]
    subprocess.run(["cargo", "build", "--release", *what], cwd=ROOT, check=True, env=environment)
    subprocess.run([PEERS / "build", release()], cwd=ROOT, check=True)


def missing():
    """The servers that this machine cannot run: {(group, server): why}."""
    found = {}
    for group, servers in GROUPS.items():
        for server in servers:
            program = Path(command(group, server, "echo")[0])
            module = server in MODULES and program.exists() and subprocess.run(
                [program, "-c", f"import {server}"], capture_output=True
            ).returncode
            if not program.exists() or module:
                found[group, server] = OPTIONAL.get(server, f"there is no {program.name}")
    return found


def first_line(*words):
    """Of what a program prints; nothing if there is no such program."""
    if not shutil.which(words[0]):
        return None
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else None


def machine():
    """What was measured on, and the versions of what was measured."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    lock = (ROOT / "Cargo.lock").read_text()
    versions = {}
    for crate in CRATES:
        known = re.findall(rf'\[\[package\]\]\nname = "{crate}"\nversion = "([^"]+)"', lock)
        if known:
            versions[crate] = max(known, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
    modules = "import importlib.metadata as m; print(*(f'{n}={m.version(n)}' for n in ('uvloop', 'gevent')))"
    others = {
        "libuv": first_line("pkg-config", "--modversion", "libuv"),
        "go": (first_line("go", "version") or "").removeprefix("go version go").split(" ")[0],
        "python": (first_line("/usr/bin/python3", "--version") or "").removeprefix("Python "),
        **dict(pair.split("=") for pair in (first_line("/usr/bin/python3", "-c", modules) or "").split()),
    }
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "rust": (first_line("rustc", "--version") or "").removeprefix("rustc "),
        "versions": versions | {name: version for name, version in others.items() if version},
    }
