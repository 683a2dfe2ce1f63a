"""Coroutines by gevent: greenlets, with a hub (libev's or libuv's loop) and sockets that go with it.

    /usr/bin/python3 examples/python/gevent_server.py         # needs python3-gevent
    nc 127.0.0.1 7007                                         # type a line: it comes back

What to look at: `greenlet_server.py` without its first half. `recv` looks as if it blocked, and nothing in the text says
where the others get their turn: at every call of a socket that has to wait, and nowhere else.
"""

import gevent
import gevent.socket

from model import model


def echo(client):
    with client:
        try:
            while data := client.recv(4096):
                client.sendall(data)
        except OSError:
            pass  # ends its connection and nothing else


def serve(listener):
    listener = gevent.socket.socket(fileno=listener.detach())
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            # There is no descriptor for the client: it waits in the kernel's queue.
            gevent.sleep(0.1)
            continue
        gevent.spawn(echo, client)


if __name__ == "__main__":
    model(serve)
