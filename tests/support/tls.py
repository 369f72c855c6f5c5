"""Servers that speak TLS, of tests: a proxy before a server that does not, and one that only shakes hands."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stream_app.local.ports import HOST
from tests.support.secured import Certificate


@contextmanager
def tls_proxy(certificate: Certificate, target_port: int | None, host: str = HOST) -> Iterator[int]:
    """The port of a proxy that ends TLS before a port of loopback; None: connections are ended after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    listening = socket.create_server((host, 0))
    threading.Thread(target=_accept, args=(listening, context, target_port), daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _accept(listening: socket.socket, context: ssl.SSLContext, target_port: int | None) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(plain, context, target_port), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, target_port: int | None) -> None:
    """One thread reads and writes the TLS side, for an SSLSocket takes no two at once."""
    with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as near:
        if target_port is None:
            return
        with socket.create_connection((HOST, target_port)) as far:
            near.settimeout(0.005)
            far.settimeout(0.005)
            while True:
                for source, sink in ((near, far), (far, near)):
                    try:
                        data = source.recv(65_536)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    sink.settimeout(5)
                    sink.sendall(data)
                    sink.settimeout(0.005)
