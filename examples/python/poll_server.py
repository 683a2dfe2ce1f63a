"""One thread and `poll`: an object keeps what is watched for, and gives pairs of a descriptor and an event.

    /usr/bin/python3 examples/python/poll_server.py
    nc 127.0.0.1 7007                        # type a line: it comes back

What to look at: `poll` knows numbers, not sockets, so the program keeps a table from one to the other. A number whose
socket is closed has to leave the table and the object at once: the system gives it to the next client.
"""

import select

from model import model


def serve(listener):
    listener.setblocking(False)
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    clients = {}  # from the descriptor to the socket
    unsent = {}  # and to what its client has not taken yet
    timeout = None
    while True:
        ready = poll.poll(timeout)
        if timeout:
            poll.modify(listener.fileno(), select.POLLIN)
            timeout = None
        for fd, event in ready:
            if fd == listener.fileno():
                if not accept(listener, poll, clients, unsent):
                    # There is no descriptor for the client: it waits in the kernel's queue for a tenth of a second.
                    poll.modify(fd, 0)
                    timeout = 100
                continue
            try:
                # A connection that is broken is ready for anything, with POLLERR or POLLHUP: the call tells why.
                if not unsent[fd]:
                    unsent[fd] = clients[fd].recv(4096)
                    if not unsent[fd]:
                        raise EOFError
                unsent[fd] = unsent[fd][clients[fd].send(unsent[fd]):]
            except BlockingIOError:
                pass
            except (OSError, EOFError):
                poll.unregister(fd)
                del unsent[fd]
                clients.pop(fd).close()
                continue
            # Who has not taken its answer is not asked for more.
            poll.modify(fd, select.POLLOUT if unsent[fd] else select.POLLIN)


def accept(listener, poll, clients, unsent):
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
    poll.register(fd, select.POLLIN)
    return True


if __name__ == "__main__":
    model(serve)
