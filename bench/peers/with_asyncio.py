#!/usr/bin/python3
"""asyncio's protocols, on its own loop or on uvloop's. The buffer is the loop's, of 256 KiB or so; both loops set
TCP_NODELAY by themselves."""

import asyncio

import common


class Echo(asyncio.Protocol):
    """A connection."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


class Http(Echo):
    """The same for common."""

    kept = b""

    def data_received(self, data):
        answers, self.kept = common.answer(self.kept + data if self.kept else data)
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
