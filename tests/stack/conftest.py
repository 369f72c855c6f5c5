"""A machine whose usual ports are taken."""

import socket
from contextlib import ExitStack

import pytest

from config.settings import load


@pytest.fixture(scope="module")
def taken():
    """Listeners on all ports that a stack takes by default, as beside a running `make up`, where nobody is there anyway."""
    usual = load()
    with ExitStack() as stack:
        listeners = []
        for port in (9092, 6379, 9000, usual.api_port, usual.monitor_port):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue  # a real one is there
            listener.listen()
            listener.setblocking(False)
            listeners.append(listener)
        yield listeners
