"""Connections that fail as networks do: ports of loopback that lead to servers, and can delay, break, or swallow what goes through them.

One thread serves all links. What a link does is changed from any thread, at any time, and holds for connections that are open, too.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Self, TypeVar

from stream_app.local.ports import HOST, free_port

T = TypeVar("T")
_CHUNK: Final = 64 * 1024


class Weather(NamedTuple):
    """What a link does. `delay_s` to each direction; `breaks`: every connection is reset; what is swallowed never arrives."""

    delay_s: float = 0.0
    breaks: bool = False
    swallows_there: bool = False
    swallows_back: bool = False


CALM: Final = Weather()


class Link:
    """A port that leads to another. Its methods are called in any thread."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.weather = CALM
        self.connections = 0  # since it is there
        self._tasks: set[asyncio.Task[None]] = set()  # of open connections: the loop holds none of them
        self._writers: dict[asyncio.StreamWriter, bool] = {}  # both sides of open connections: has it lost something?

    def serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, to its end, whenever that comes: a task that is cancelled before its first step runs nothing of its own."""
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(near, back))
        self._tasks.add(task)
        task.add_done_callback(lambda _: back.transport.abort())
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self.weather.breaks:
            return
        try:
            far, there = await asyncio.open_connection(HOST, self.target)
        except OSError:
            return
        self._writers |= {back: False, there: False}
        directions = (
            asyncio.create_task(self._carry(near, there, lambda: self.weather.swallows_there)),
            asyncio.create_task(self._carry(far, back, lambda: self.weather.swallows_back)),
        )
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)  # none of our protocols half-closes
        finally:  # nothing is awaited: what ends the links may come at each await
            for direction in directions:
                direction.cancel()
            for writer in (back, there):
                self._writers.pop(writer, None)
                writer.transport.abort()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, swallows: Callable[[], bool]
    ) -> None:
        """Bytes of one direction, until its end."""
        loop = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def read() -> None:
            with suppress(OSError):
                while data := await source.read(_CHUNK):
                    if swallows():
                        self._writers[sink] = True
                    else:
                        await late.put((loop.time() + self.weather.delay_s, data))
            await late.put((0.0, b""))

        reading = asyncio.create_task(read())
        try:
            with suppress(OSError):
                while True:
                    due, data = await late.get()
                    if not data:
                        break
                    if (wait := due - loop.time()) > 0:
                        await asyncio.sleep(wait)
                    sink.write(data)
                    await sink.drain()
        finally:
            reading.cancel()

    def end(self) -> None:
        """Connections end as soon as the loop runs on."""
        for task in self._tasks:
            task.cancel()

    def turn(self, weather: Weather) -> None:
        """Another weather from now on; connections that lost something don't live on, as a stream with a hole can't exist."""
        before, self.weather = self.weather, weather
        for writer, lost in list(self._writers.items()):
            if weather.breaks or (lost and before != weather):
                writer.transport.abort()


class Links:
    """All links of a test, and the thread that serves them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._links: list[Link] = []
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, target: int, port: int | None = None) -> Link:
        """A new link to a port of loopback, from a free one."""
        return self._call(self._open(target, port or free_port()))

    def turn(self, link: Link, weather: Weather) -> None:
        """Change what a link does."""

        async def turn() -> None:
            link.turn(weather)

        self._call(turn())

    async def _open(self, target: int, port: int) -> Link:
        link = Link(port, target)
        self._links.append(link)
        self._servers.append(await asyncio.start_server(link.serve, HOST, port))
        return link

    async def _end(self) -> None:
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # a connection may begin meanwhile
            for link in self._links:
                link.end()
            # Those of asyncio's own accept: cancelled, or without their server, they would leave a socket open.
            await asyncio.wait(tasks)
        for server in self._servers:
            server.close()
        for _ in range(2):  # in which aborted connections close their sockets
            await asyncio.sleep(0)

    def _call(self, work: "asyncio.Future[T] | object") -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)  # type: ignore[arg-type, no-any-return]
