"""The dashboard's files over HTTP: what a browser may do with them, and when it asks for them again."""

import gzip

import pytest
from pydantic import ValidationError

from config.settings import load
from stream_app.api.app import create_app
from stream_app.dashboard.page import BUILT, NotBuilt, routes
from tests.support.api import api, settings

FILES = {
    "/": "text/html; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/app.css": "text/css; charset=utf-8",
    "/worker.js": "text/javascript; charset=utf-8",
    "/ops": "text/html; charset=utf-8",
    "/ops.js": "text/javascript; charset=utf-8",
    "/ops.css": "text/css; charset=utf-8",
    "/dashboard.json": "application/json",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", FILES)
async def test_every_file_comes_without_a_token_and_with_all_headers(path):
    async with api() as client:
        answer = await client.get(path, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        headers = dict(answer.headers)
        assert headers.pop("x-request-id")
        assert headers.pop("etag").startswith('W/"')
        assert headers == {
            "cache-control": "no-cache",
            "content-length": str(len(answer.content)),
            "content-security-policy": POLICY,
            "content-type": FILES[path],
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "vary": "Accept-Encoding",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        }


@pytest.mark.parametrize("path", FILES)
async def test_a_browser_has_the_file_until_a_release_changes_it(path):
    async with api() as client:
        first = await client.get(path)
        tag = first.headers["etag"]
        again = await client.get(path, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-cache"
        assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
        head = await client.head(path)
        assert (head.status_code, head.headers["etag"]) == (200, tag)
        assert head.headers["content-length"] == first.headers["content-length"]
        assert (await client.post(path)).status_code == 405


async def test_files_are_sent_gzipped_to_those_that_take_it():
    whole = BUILT.joinpath("app.js").read_bytes()
    async with api() as client:

        async def sent(accepted):
            request = client.build_request("GET", "/app.js", headers={"Accept-Encoding": accepted})
            answer = await client.send(request, stream=True)
            raw = b"".join([part async for part in answer.aiter_raw()])
            return answer.headers.get("content-encoding"), raw

        for accepted in ("gzip", "br, gzip;q=0.5", "*", "deflate, GZIP ;q=1.0"):
            encoding, raw = await sent(accepted)
            assert (encoding, gzip.decompress(raw)) == ("gzip", whole), accepted
        for accepted in ("", "br", "gzip;q=0", "gzip; q=0.000, br"):
            assert await sent(accepted) == (None, whole), accepted


async def test_allowed_ancestors_may_embed_it_and_are_told_to_the_page():
    ancestors = ["https://crm.example.com", "http://localhost:3000"]
    async with api(api_frame_ancestors=ancestors) as client:
        page = await client.get("/")
        assert page.headers["content-security-policy"] == POLICY.replace(
            "frame-ancestors 'none'", "frame-ancestors https://crm.example.com http://localhost:3000"
        )
        assert "x-frame-options" not in page.headers
        told = await client.get("/dashboard.json")
        assert told.json() == {"ancestors": ancestors}
    async with api() as client:
        other = await client.get("/dashboard.json")
        assert other.json() == {"ancestors": []}
        assert other.headers["etag"] != told.headers["etag"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://crm.example.com/",
        "https://*.example.com",
        "*",
        "crm.example.com",
        "https://CRM.example.com",
        "https://a; b",
    ],
)
def test_what_is_no_origin_is_refused_at_start(monkeypatch, origin):
    monkeypatch.setenv("STREAM_APP_API_FRAME_ANCESTORS", f'["{origin}"]')
    with pytest.raises(ValidationError, match="api_frame_ancestors"):
        load()


def test_a_file_that_was_not_built_is_an_error_at_start(tmp_path, monkeypatch):
    for name in ("index.html", "app.js", "app.css"):
        (tmp_path / name).write_text("x")
    with pytest.raises(NotBuilt, match=r"worker.js is missing: run make dashboard"):
        routes([], tmp_path)
    monkeypatch.setattr("stream_app.dashboard.page.routes", lambda ancestors: routes(ancestors, tmp_path))
    with pytest.raises(NotBuilt):
        create_app(settings())
