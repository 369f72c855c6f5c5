"""`stream-app token`: a token for local use, signed with the shared secret."""

import time
from typing import Annotated, Any

import typer
from joserfc import jwt
from joserfc.jwk import OctKey

from config.settings import load
from stream_app.local.errors import LocalError


def command(
    operator: Annotated[list[str], typer.Option(help="Operator whose data may be read, '*' for all; may be repeated")],
    hours: Annotated[float, typer.Option(min=0.01, help="How long it is valid")] = 24,
    rate: Annotated[int | None, typer.Option(min=1, help="Requests a second, instead of the default limit")] = None,
) -> None:
    """Print a token that may read these operators."""
    secret = load().jwt_secret
    if secret is None:
        raise LocalError("there is no secret to sign with: run make up first, or set STREAM_APP_JWT_SECRET.")
    now = int(time.time())
    claims: dict[str, Any] = {"scope": "crm:read", "operators": operator, "iat": now, "exp": now + int(hours * 3600)}
    if rate is not None:
        claims["rate"] = rate
    print(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret.get_secret_value())))
