#!/usr/bin/python3
"""asyncio's protocols, on its own loop or on uvloop's; both set TCP_NODELAY by themselves."""

import asyncio

import common


class Connection(asyncio.BufferedProtocol):
    """What both modes have in common. With a buffer of its own, the loop does not make one of 256 KiB for each read."""

    def __init__(self):
        self.buffer = memoryview(bytearray(common.BUFFER))

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, _):
        return self.buffer

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


class Echo(Connection):
    """Sends back what comes. The loop may keep what it cannot write yet, so it gets a copy."""

    def buffer_updated(self, count):
        self.transport.write(bytes(self.buffer[:count]))


class Http(Connection):
    """Answers requests."""

    kept = b""

    def buffer_updated(self, count):
        answers, self.kept = common.answer(self.kept + self.buffer[:count])
        if answers:
            self.transport.write(answers)
        if len(self.kept) >= common.BUFFER:
            self.transport.close()


async def serve(options):
    """Listens for ever."""
    protocol = {"echo": Echo, "http": Http}[options.mode]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", options.port, backlog=common.BACKLOG)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


def main():
    options = common.options(loop=["asyncio", "uvloop"])
    if options.loop == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
