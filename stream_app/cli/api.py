"""`stream-app api`: serves the HTTP interface until it is told to stop."""

import asyncio
import errno
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from config.settings import Settings, load
from stream_app import memory
from stream_app.access.errors import AccessError
from stream_app.access.tls import check_certificate
from stream_app.api.app import create_app
from stream_app.api.logs import configure
from stream_app.cli.access import check_stores
from stream_app.dashboard.page import NotBuilt
from stream_app.local.errors import LocalError

_BACKLOG = 2048
_UNREAD_MS_MAX = 20_000  # that a client may leave what was sent to it, before its connection is ended


class _Server(uvicorn.Server):
    """Tells the application before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._ending.set()
        await super().shutdown(sockets)


def command() -> None:
    """Serve the HTTP interface on api_host and api_port."""
    settings = load()
    if settings.jwt_secret is None and not settings.jwt_jwks_url:
        raise LocalError(
            "nothing to check tokens with: set STREAM_APP_JWT_SECRET or STREAM_APP_JWT_JWKS_URL, or run make up."
        )
    tls = _tls(settings)
    check_stores(settings, "api")
    listening = _listen(settings)
    configure(settings.api_log_level)
    ending = asyncio.Event()
    try:
        app = create_app(settings, ending=ending)
    except NotBuilt as error:
        raise LocalError(f"{error}.") from None
    memory.leave_out_start()
    _Server(server_config(app, **tls), ending).run(sockets=[listening])


def server_config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """How the interface is served; the benchmarks serve their peers in the same way."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="auto",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        **more,
    )


def _tls(settings: Settings) -> dict[str, Any]:
    """TLS of the interface, as uvicorn takes it. `Raises` LocalError for files that can't be used."""
    if not settings.api_ssl_certfile:
        return {}
    password = settings.api_ssl_key_password.get_secret_value() if settings.api_ssl_key_password else ""
    try:
        check_certificate(settings.api_ssl_certfile, settings.api_ssl_keyfile, password)
    except AccessError as error:
        raise LocalError(f"{error}.") from None
    return {
        "ssl_certfile": settings.api_ssl_certfile,
        "ssl_keyfile": settings.api_ssl_keyfile or None,
        "ssl_keyfile_password": password,
    }


def _listen(settings: Settings) -> socket.socket:
    """The socket, bound here so that a busy port is one sentence. `Raises` LocalError."""
    where = f"{settings.api_host}:{settings.api_port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS_MAX)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalError(f"{where} is in use: stop what listens there, or set STREAM_APP_API_PORT.") from None
        raise LocalError(f"can't listen on {where}: {error.strerror or error}.") from None
    return listening
