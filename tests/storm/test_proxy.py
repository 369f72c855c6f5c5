"""A link delays, breaks and swallows, and carries everything again afterwards."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from stream_app.local.ports import free_port
from tests.support.proxy import CALM, Link, Links, Weather


class Echo:
    """A server that gives everything back, and keeps what it got."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.got = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.got += data
                    connection.sendall(data)
            except OSError:
                pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def links() -> Iterator[Links]:
    with Links() as made:
        yield made


def call(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def said(connection: socket.socket, what: bytes) -> bytes:
    """What comes back for what is sent."""
    connection.sendall(what)
    return connection.recv(65536)


def test_what_goes_through_arrives_in_order(echo, links):
    with call(links.to(echo.port)) as connection:
        whole = bytes(range(256)) * 4000
        connection.sendall(whole)
        back = b""
        while len(back) < len(whole):
            back += connection.recv(65536)
    assert back == whole == echo.got


def test_a_delay_holds_for_connections_that_are_open_and_for_both_directions(echo, links):
    link = links.to(echo.port)
    with call(link) as connection:
        said(connection, b"a")
        links.turn(link, Weather(delay_s=0.2))
        began = time.monotonic()
        assert said(connection, b"b") == b"b"
        assert time.monotonic() - began >= 0.4


def test_broken_connections_are_reset_and_new_ones_too_until_it_is_calm(echo, links):
    link = links.to(echo.port)
    with call(link) as connection:
        said(connection, b"a")
        links.turn(link, Weather(breaks=True))
        with pytest.raises(ConnectionError):
            connection.sendall(b"b") or _ended(connection.recv(1))
    with pytest.raises(ConnectionError), call(link) as connection:
        said(connection, b"c") or _ended(b"")
    links.turn(link, CALM)
    with call(link) as connection:
        assert said(connection, b"d") == b"d"
    assert echo.got == b"ad"


def _ended(data: bytes) -> None:
    """An orderly end is no better than a reset: the connection is gone."""
    if not data:
        raise ConnectionResetError


@pytest.mark.parametrize(
    ("weather", "arrives"), [(Weather(swallows_there=True), b"a"), (Weather(swallows_back=True), b"ab")]
)
def test_what_is_swallowed_never_arrives_and_the_connection_ends_when_it_is_calm(echo, links, weather, arrives):
    link = links.to(echo.port)
    with call(link) as connection:
        said(connection, b"a")
        links.turn(link, weather)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            said(connection, b"b")
        assert echo.got == arrives
        links.turn(link, CALM)
        with pytest.raises(ConnectionError):
            _ended(said(connection, b"c"))
    with call(link) as connection:
        assert said(connection, b"d") == b"d"


def test_a_server_that_is_away_resets_connections_and_is_reached_when_it_is_back(links):
    link = links.to(free_port())
    with pytest.raises(ConnectionError), call(link) as connection:
        _ended(said(connection, b"a"))
    server = Echo()
    link.target = server.port
    with call(link) as connection:
        assert said(connection, b"b") == b"b"
    server.close()


def test_links_that_end_while_connections_begin_and_end_leave_no_socket_open(echo):
    for _ in range(10):
        with Links() as links, ExitStack() as connections:
            link = links.to(echo.port)
            for _ in range(20):
                said(connections.enter_context(call(link)), b"a")
            for _ in range(20):
                connections.enter_context(call(link))
    gc.collect()  # a socket that is left open warns, which is an error
