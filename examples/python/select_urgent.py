"""Urgent data: what select's third list is for.

    /usr/bin/python3 examples/python/select_urgent.py

What to look at: the byte `!` was sent last and is read first. It brings the socket into the third list and has a call of
its own. The byte has a place among the others all the same: who reads past it has lost it.
"""

import select
import socket


def ready(sock, *lists):
    """In which of these lists the socket comes back."""
    asked = [[sock] if name in lists else [] for name in ("readable", "writable", "exceptional")]
    readable, writable, exceptional = select.select(*asked, 10)
    names = zip(("readable", "writable", "exceptional"), (readable, writable, exceptional))
    return ", ".join(name for name, found in names if found) or "nothing"


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
    receiver.settimeout(10)

    sender.send(b"in order")
    sender.send(b"!", socket.MSG_OOB)
    print("eight bytes, an urgent one:", ready(receiver, "exceptional"), "+", ready(receiver, "readable"))
    print("recv(1, MSG_OOB)          :", receiver.recv(1, socket.MSG_OOB))
    print("what is left              :", ready(receiver, "readable", "exceptional"))
    print("recv(100)                 :", receiver.recv(100))

    sender.send(b"?", socket.MSG_OOB)
    sender.send(b"past it")
    print("an urgent one, and seven  :", ready(receiver, "exceptional"), "+", ready(receiver, "readable"))
    print("recv(100)                 :", receiver.recv(100))
    sender.close()
    print("the end                   :", ready(receiver, "readable", "exceptional"), receiver.recv(100))


if __name__ == "__main__":
    main()
