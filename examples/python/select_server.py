"""One thread and `select`: three lists go in, and those of them that are ready come out.

    /usr/bin/python3 examples/python/select_server.py
    nc 127.0.0.1 7007                        # type a line: it comes back

What to look at: the lists are made anew for each call. Who has taken its answer is asked for more; who has not is only
watched until there is room for the rest, since a socket that can be written to is ready at once, all the time. The third
list is for what is neither: urgent data.
"""

import select
import socket

from model import model

# What `select` cannot watch: its sets are of a fixed size.
FD_SETSIZE = 1024


def serve(listener):
    listener.setblocking(False)
    unsent = {}  # for each client what it has not taken yet
    accepting = True
    while True:
        # When there was no descriptor for a client, it waits in the kernel's queue for a tenth of a second.
        readers, timeout = ([listener], None) if accepting else ([], 0.1)
        readers += [client for client, rest in unsent.items() if not rest]
        writers = [client for client, rest in unsent.items() if rest]
        readable, writable, exceptional = select.select(readers, writers, readers, timeout)
        accepting = True

        for client in exceptional:
            attempt(take, client, unsent, socket.MSG_OOB)
        for client in writable:
            attempt(give, client, unsent)
        for sock in readable:
            if sock is listener:
                accepting = accept(listener, unsent)
            else:
                attempt(take, sock, unsent)


def accept(listener, unsent):
    """False when there is no descriptor for the client."""
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        return True  # it has gone already
    except OSError:
        return False
    client.setblocking(False)
    if client.fileno() < FD_SETSIZE:
        unsent[client] = b""
    else:
        client.close()
    return True


def take(client, unsent, flags=0):
    """Reads what has come: `select` said that this does not block. Nothing is the end."""
    # There is one byte of urgent data at most.
    data = client.recv(1 if flags else 4096, flags)
    if not data:
        raise EOFError
    unsent[client] += data
    give(client, unsent)


def give(client, unsent):
    """Sends what there is room for."""
    unsent[client] = unsent[client][client.send(unsent[client]):]


def attempt(step, client, unsent, *more):
    """One step for a client that is still there. An error ends its connection and nothing else."""
    try:
        if client in unsent:
            step(client, unsent, *more)
    except BlockingIOError:
        pass
    except (OSError, EOFError):
        del unsent[client]
        client.close()


if __name__ == "__main__":
    model(serve)
