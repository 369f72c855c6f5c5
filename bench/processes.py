"""HTTP processes of the benchmarks: the API as it is shipped, and tokens for it."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from joserfc import jwt
from joserfc.jwk import OctKey

from bench.context import Context
from bench.stack import Space
from stream_app.local.ports import free_port
from stream_app.local.processes import Running, wait_ready
from stream_app.local.stack import answers_http

_READY_SECONDS_MAX = 60.0
_SECRET = "of the benchmarks, for no other use"


class Server(NamedTuple):
    """A process that is asked."""

    running: Running
    address: str


def start_api(ctx: Context, space: Space) -> Server:
    """The API on the state of a space, ready."""
    port = free_port()
    env = {**space.env, "STREAM_APP_API_PORT": str(port), "STREAM_APP_JWT_SECRET": _SECRET}
    program = Path(sys.executable).parent / "stream-app"
    return ready(ctx, ctx.stack.start("api", [program, "api"], env), port, "/readyz")


def ready(ctx: Context, running: Running, port: int, path: str) -> Server:
    """A process that answers on a port, once it answers this path."""
    address = f"http://127.0.0.1:{port}"
    wait_ready(ctx.stack.run, running, answers_http(address + path), _READY_SECONDS_MAX)
    return Server(running, address)


def token(operator: str) -> str:
    """For one operator, without a limit that matters."""
    claims = {"scope": "crm:read", "operators": [operator], "rate": 1_000_000}
    claims["exp"] = int((datetime.now(UTC) + timedelta(hours=2)).timestamp())
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(_SECRET))
