"""Coroutines by greenlet, and a hub of our own that knows which of them waits for what.

    /usr/bin/python3 examples/python/greenlet_server.py       # needs python3-greenlet
    nc 127.0.0.1 7007                                         # type a line: it comes back

What to look at: `echo` is written as for a thread of its own, and there is only one thread. Greenlet brings nothing but
`switch`: it leaves one stack and goes on with another. What decides where to go on is the hub, a loop over epoll.
"""

import functools
import select
import time

from greenlet import getcurrent, greenlet

from model import model


class Hub:
    """The greenlet that runs where all others wait."""

    def __init__(self):
        self.loop = getcurrent()
        self.epoll = select.epoll()
        self.waiting = {}  # from the descriptor to the greenlet

    def spawn(self, function, sock):
        """A greenlet of its own for `sock`. It starts when there is something to read."""
        sock.setblocking(False)
        self.epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        # Where a greenlet ends, its parent goes on.
        self.waiting[sock.fileno()] = greenlet(functools.partial(function, self, sock), parent=self.loop)

    def wait(self, sock, event):
        """Leaves the greenlet that calls this until `sock` is ready."""
        self.waiting[sock.fileno()] = getcurrent()
        self.epoll.modify(sock.fileno(), event | select.EPOLLONESHOT)
        self.loop.switch()

    def run(self):
        while True:
            for fd, _ in self.epoll.poll():
                self.waiting.pop(fd).switch()

    def accept(self, listener):
        while True:
            try:
                return listener.accept()[0]
            except BlockingIOError:
                pass
            except OSError:
                # There is no descriptor for the client. This hub has no timers: everybody waits for a moment.
                time.sleep(0.1)
            self.wait(listener, select.EPOLLIN)

    def recv(self, sock):
        while True:
            try:
                return sock.recv(4096)
            except BlockingIOError:
                self.wait(sock, select.EPOLLIN)

    def sendall(self, sock, data):
        while data:
            try:
                data = data[sock.send(data):]
            except BlockingIOError:
                self.wait(sock, select.EPOLLOUT)


def echo(hub, client):
    with client:
        try:
            while data := hub.recv(client):
                hub.sendall(client, data)
        except OSError:
            pass  # ends its connection and nothing else


def accept_all(hub, listener):
    while True:
        hub.spawn(echo, hub.accept(listener))


def serve(listener):
    hub = Hub()
    hub.spawn(accept_all, listener)
    hub.run()


if __name__ == "__main__":
    model(serve)
