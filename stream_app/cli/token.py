"""`stream-app token`: a token for local use, signed with the shared secret."""

import time
from typing import Annotated, Any

import typer
from joserfc import jwt
from joserfc.jwk import OctKey

from config.settings import Settings, load
from stream_app.local.errors import LocalError

HOURS = 24.0


def command(
    operator: Annotated[
        list[str] | None, typer.Option(help="Operator whose data may be read, '*' for all; may be repeated")
    ] = None,
    ops: Annotated[bool, typer.Option("--ops", help="For the operations page, which shows all operators")] = False,
    hours: Annotated[float, typer.Option(min=0.01, help="How long it is valid")] = HOURS,
    rate: Annotated[int | None, typer.Option(min=1, help="Requests a second, instead of the default limit")] = None,
) -> None:
    """Print a token that may read these operators, or see operations, or both."""
    if not operator and not ops:
        raise LocalError("a token for what? Say --operator, which may be repeated, or --ops.")
    print(signed(load(), operator or [], hours, rate, ops=ops))


def signed(
    settings: Settings, operators: list[str], hours: float = HOURS, rate: int | None = None, *, ops: bool = False
) -> str:
    """A token that may read these operators, if any, and see operations, if so. `Raises` LocalError without a secret to sign with."""
    if settings.jwt_secret is None:
        raise LocalError("there is no secret to sign with: run make up first, or set STREAM_APP_JWT_SECRET.")
    now = int(time.time())
    claims = {"iat": now, "exp": now + int(hours * 3600)} | claims_of(settings, operators, ops=ops)
    if rate is not None:
        claims["rate"] = rate
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(settings.jwt_secret.get_secret_value()))


def claims_of(settings: Settings, operators: list[str], *, ops: bool = False) -> dict[str, Any]:
    """What such a token says of who may do what, without its times."""
    scopes = [settings.jwt_scope] if operators else []
    scopes += [settings.jwt_ops_scope] if ops else []
    claims: dict[str, Any] = {settings.jwt_scope_claim: " ".join(scopes), settings.jwt_operators_claim: operators}
    named = {"iss": settings.jwt_issuer, "aud": settings.jwt_audience}
    return claims | {name: value for name, value in named.items() if value}


def dashboard(settings: Settings) -> str:
    """The dashboard's address, with a token for all operators where browsers don't send it."""
    return f"{settings.api_url}/#token={signed(settings, ['*'])}"


def operations(settings: Settings) -> str:
    """The operations page's address, with a token for it."""
    return f"{settings.api_url}/ops#token={signed(settings, [], ops=True)}"
