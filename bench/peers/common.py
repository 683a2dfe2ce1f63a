"""What the servers in Python share: the command line, the parse and the answer."""

import argparse

BUFFER = 4096
BACKLOG = 1024
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n"


def options(**more):
    """The options; `more` names further ones and what they may be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0: the system picks")
    parser.add_argument("--mode", choices=["echo", "http"], default="echo")
    for name, choices in more.items():
        parser.add_argument(f"--{name}", choices=choices, default=choices[0])
    return parser.parse_args()


def answer(came):
    """The answers to the whole requests that `came` begins with, and what is left of it."""
    used = count = 0
    while (place := came.find(b"\r\n\r\n", used)) >= 0:
        count += 1
        used = place + 4
    return ANSWER * count, came[used:]
