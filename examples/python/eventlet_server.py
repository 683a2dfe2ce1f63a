"""Coroutines by eventlet: greenlets, with a hub over epoll in Python and sockets that go with it.

    /usr/bin/python3 examples/python/eventlet_server.py       # needs python3-eventlet
    nc 127.0.0.1 7007                                         # type a line: it comes back

What to look at: beside `gevent_server.py`, two names differ. `GreenSocket` puts what waits in front of a plain socket.
"""

import eventlet
from eventlet.greenio import GreenSocket

from model import model


def echo(client):
    with client:
        try:
            while data := client.recv(4096):
                client.sendall(data)
        except OSError:
            pass  # ends its connection and nothing else


def serve(listener):
    listener = GreenSocket(listener)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            # There is no descriptor for the client: it waits in the kernel's queue.
            eventlet.sleep(0.1)
            continue
        eventlet.spawn_n(echo, client)


if __name__ == "__main__":
    model(serve)
