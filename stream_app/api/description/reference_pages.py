"""/openapi.json and /docs: the reference, shown by files that come with us.

Invariant: no page loads anything from another host.
"""

from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_STATIC: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CRM statistics: HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"


def routes(openapi: bytes) -> list[Route]:
    """The OpenAPI document, and the pages that show it."""
    static = {name: files(__package__).joinpath("static", name).read_bytes() for name in _STATIC}

    async def schema(request: Request) -> Response:
        request.scope["trace"].route = "/openapi.json"
        return Response(openapi, media_type="application/json")

    async def page(request: Request) -> Response:
        request.scope["trace"].route = "/docs"
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    def file(name: str) -> Route:
        async def send(request: Request) -> Response:
            request.scope["trace"].route = "/docs"
            headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
            return Response(static[name], media_type=_STATIC[name], headers=headers)

        return Route(f"/docs/{name}", send)

    return [Route("/openapi.json", schema), Route("/docs", page), *map(file, _STATIC)]
