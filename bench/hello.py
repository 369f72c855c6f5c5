"""The peer of the endpoints: the least that the framework, and the server alone, can answer, served as the API is.

A program: `hello.py PORT`. `/hello` is a route of the framework as its tutorial writes it; `/bare` is an ASGI application that is asked before the
framework is, as the endpoints are.
"""

import sys

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from stream_app.api.http import Dispatcher
from stream_app.cli.api import server_config

FRAMEWORK, BARE = "/hello", "/bare"
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"19")]


async def _hello() -> dict[str, str]:
    return {"message": "hello"}


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
    await send({"type": "http.response.body", "body": b'{"message":"hello"}'})


def _serve(port: int) -> None:
    app = FastAPI()
    app.get(FRAMEWORK)(_hello)
    config = server_config(Dispatcher({BARE: _bare}, app), host="127.0.0.1", port=port)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
