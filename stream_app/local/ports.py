"""Ports of loopback: which are free.

A free port can be taken by another before its user binds it: whoever starts a server here tries again on another one.
"""

import random
import socket

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A port of loopback that no server listens on now, and that was not given before in this process.

    Below those that connections get: a client that tries again and again would take the port of a server that restarts, from itself.
    """
    while True:
        port = random.choice(RANGE)  # noqa: S311  # spreads stacks, hides nothing
        if port not in _given and is_free(port):
            _given.add(port)
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as candidate:
        # What a closed connection leaves behind for a minute does not hinder a server, so it must not count.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
            candidate.listen()
        except OSError:
            return False
    return True


def answers(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether a server listens on this port of loopback."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False
