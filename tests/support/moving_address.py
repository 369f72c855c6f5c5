"""An address that leads to one server and then to another, as a virtual address or a name does when a primary fails over.

Connections that were made before stay with the server that they were made to.
"""

import asyncio
from types import TracebackType
from typing import Self

from stream_app.local import ports


class MovingAddress:
    """Passes on what comes to `port`; `leads_to` is the port of the server that new connections are made to."""

    def __init__(self, leads_to: int) -> None:
        self.leads_to = leads_to
        self.port = ports.free_port()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, ports.HOST, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(ports.HOST, self.leads_to)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pass_on(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while said := await source.read(65_536):
            target.write(said)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()
