#!/usr/bin/python3
"""gevent: a greenlet for each connection."""

import socket

from gevent.server import StreamServer

import common


def echo(stream, _):
    """Sends back what comes."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(common.BUFFER))
    while count := stream.recv_into(buffer):
        stream.sendall(buffer[:count])


def http(stream, _):
    """Answers common."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kept = b""
    while len(kept) < common.BUFFER and (came := stream.recv(common.BUFFER - len(kept))):
        answers, kept = common.answer(kept + came if kept else came)
        if answers:
            stream.sendall(answers)


def quiet(handle):
    """A connection that breaks is over, and that is all."""

    def handle_quietly(stream, addr):
        try:
            handle(stream, addr)
        except OSError:
            pass

    return handle_quietly


def main():
    options = common.options()
    handle = {"echo": echo, "http": http}[options.mode]
    server = StreamServer(("127.0.0.1", options.port), quiet(handle), backlog=common.BACKLOG)
    server.start()
    print(f"listening on {server.server_host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
