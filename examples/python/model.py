"""The frame around a server model: the command line and the listener that all of them share."""

import argparse
import os
import resource
import signal
import socket
import sys


def model(serve):
    """Listens where the command line says, says so, and runs `serve` until a signal ends the process."""
    # At once and without a traceback, as the models in Rust.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description="A server that sends back what it gets, until Ctrl-C.")
    parser.add_argument("--addr", default="127.0.0.1:7007", metavar="HOST:PORT",
                        help="where to listen; port 0 has the system pick one")
    addr = parser.parse_args().addr
    host, _, port = addr.rpartition(":")
    if not host or not port.isdecimal():
        parser.error("an address is HOST:PORT, as in 127.0.0.1:7007")

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        sys.exit(f"{os.path.basename(sys.argv[0])}: cannot listen on {addr}: {reason.partition(' (')[0]}")
    name, port = listener.getsockname()[:2]
    print(f"listening on [{name}]:{port}" if ":" in name else f"listening on {name}:{port}", flush=True)
    serve(listener)
