"""One thread and `epoll`: the kernel keeps what is watched for, and gives those that are ready and no others.

    /usr/bin/python3 examples/python/epoll_server.py
    nc 127.0.0.1 7007                        # type a line: it comes back

What to look at: beside `poll_server.py`, hardly a line differs. What differs is who remembers: `poll` hands its whole
list to the kernel at each call, `epoll` only what changes, so what is watched for is changed only where it has to be.
It is level-triggered here: what was left unread is reported again.
"""

import select

from model import model


def serve(listener):
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    clients = {}  # from the descriptor to the socket
    unsent = {}  # and to what its client has not taken yet
    timeout = None
    while True:
        ready = epoll.poll(timeout)
        if timeout:
            epoll.modify(listener.fileno(), select.EPOLLIN)
            timeout = None
        for fd, event in ready:
            if fd == listener.fileno():
                if not accept(listener, epoll, clients, unsent):
                    # There is no descriptor for the client: it waits in the kernel's queue for a tenth of a second.
                    epoll.modify(fd, 0)
                    timeout = 0.1
                continue
            waited = bool(unsent[fd])
            try:
                # A connection that is broken is ready for anything, with EPOLLERR or EPOLLHUP: the call tells why.
                if not waited:
                    unsent[fd] = clients[fd].recv(4096)
                    if not unsent[fd]:
                        raise EOFError
                unsent[fd] = unsent[fd][clients[fd].send(unsent[fd]):]
            except BlockingIOError:
                pass
            except (OSError, EOFError):
                # Closing takes it out, but not where another process has the socket too.
                epoll.unregister(fd)
                del unsent[fd]
                clients.pop(fd).close()
                continue
            # Who has not taken its answer is not asked for more.
            if bool(unsent[fd]) != waited:
                epoll.modify(fd, select.EPOLLOUT if unsent[fd] else select.EPOLLIN)


def accept(listener, epoll, clients, unsent):
    """False when there is no descriptor for the client."""
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        return True  # it has gone already
    except OSError:
        return False
    client.setblocking(False)
    fd = client.fileno()
    clients[fd], unsent[fd] = client, b""
    epoll.register(fd, select.EPOLLIN)
    return True


if __name__ == "__main__":
    model(serve)
