"""The dashboard and the operations page: their files, as they were built, and what a browser lets them do.

Place: routes of the API's application. The pages ask the API like any other client, so none of these routes needs a
token. Invariants: nothing of another host is loaded or framed, nothing inline is run; a browser asks each time whether
its copy is still the one of this release, since the files keep their names. A file that was not built is an error at
start.
"""

import gzip
import re
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BUILT: Final = files(__package__).joinpath("built")
_TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "ops.html": "text/html; charset=utf-8",
    "ops.js": "text/javascript; charset=utf-8",
    "ops.css": "text/css; charset=utf-8",
}
_PATHS: Final = {"index.html": "/", "ops.html": "/ops"}
# Pictures of charts are drawn from blobs; the icon is a data address.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
_REFUSED: Final = re.compile(r"\s*[qQ]=0(\.0*)?\s*")  # the weight of an encoding that is not accepted


class NotBuilt(Exception):  # noqa: N818  # a state of the checkout
    """A file of the dashboard is missing; says which, and what makes it."""


class _File(NamedTuple):
    body: bytes
    zipped: bytes
    tag: str  # of the content, so weak: it is the same zipped or not
    media_type: str


def routes(ancestors: Sequence[str], built: Traversable = BUILT) -> list[Route]:
    """The page and its files; `ancestors`: origins that may embed it, and hand over a token. `Raises` NotBuilt."""
    found = {name: _file(_read(built, name), media_type) for name, media_type in _TYPES.items()}
    found["dashboard.json"] = _file(orjson.dumps({"ancestors": list(ancestors)}), "application/json")
    headers = _headers(ancestors)
    return [_route(_PATHS.get(name, f"/{name}"), file, headers) for name, file in found.items()]


def _read(built: Traversable, name: str) -> bytes:
    try:
        return built.joinpath(name).read_bytes()
    except FileNotFoundError:
        raise NotBuilt(f"the dashboard's {name} is missing: run make dashboard") from None


def _file(body: bytes, media_type: str) -> _File:
    return _File(body, gzip.compress(body, 9, mtime=0), f'W/"{sha256(body).hexdigest()[:24]}"', media_type)


def _headers(ancestors: Sequence[str]) -> dict[str, str]:
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _POLICY.format(ancestors=" ".join(ancestors) or "'none'"),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    # Browsers that know frame-ancestors ignore it; it can't name an origin.
    return headers if ancestors else headers | {"X-Frame-Options": "DENY"}


def _route(path: str, file: _File, headers: dict[str, str]) -> Route:
    async def send(request: Request) -> Response:
        request.scope["trace"].route = "/"
        told = headers | {"ETag": file.tag}
        if file.tag in (entry.strip() for entry in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=told)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            told["Content-Encoding"] = "gzip"
            return Response(file.zipped, headers=told, media_type=file.media_type)
        return Response(file.body, headers=told, media_type=file.media_type)

    return Route(path, send)


def _takes_gzip(accepted: str) -> bool:
    """Is gzip among the encodings that are accepted?"""
    for entry in accepted.split(","):
        name, _, weight = entry.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return _REFUSED.fullmatch(weight) is None
    return False
