"""Which keys of a JWKS verify which tokens, and how its document is fetched, from a real server."""

import asyncio
import contextlib
import re

import httpx
import pytest
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey, OctKey, RSAKey

from stream_app.api.fetch import FETCH_ERRORS, fetch_json, new_client
from stream_app.api.guard.jwks import key_sets

RSA, OTHER_RSA = (RSAKey.generate_key(2048).as_dict(kid=kid) for kid in ("r", "s"))
EC, P384 = (ECKey.generate_key(curve, private=False).as_dict(kid=curve) for curve in ("P-256", "P-384"))
SHARED = OctKey.generate_key(256).as_dict(private=True, kid="o")

ROWS = [  # the keys of the document, algorithm and key id of a token, id of the key that verifies it
    ("by its id", [RSA, OTHER_RSA], "RS256", "s", "s"),
    ("an id that no key has", [RSA, OTHER_RSA], "RS256", "t", None),
    ("an id of a key of another type", [RSA, EC], "ES256", "r", None),
    ("without an id the only key of the algorithm", [RSA, EC], "RS256", None, "r"),
    ("without an id and two keys of the algorithm", [RSA, OTHER_RSA, EC], "RS256", None, None),
    ("the only one that is meant for the algorithm", [RSA, OTHER_RSA | {"alg": "RS512"}], "RS256", None, "r"),
    ("the only one that is meant for signatures", [RSA, OTHER_RSA | {"use": "enc"}], "RS256", None, "r"),
    ("the only one that may verify", [RSA, OTHER_RSA | {"key_ops": ["encrypt"]}], "RS256", None, "r"),
    ("another curve", [P384], "ES256", "P-384", None),
    ("a shared secret is no public key", [SHARED], "RS256", "o", None),
    (
        "beside keys that can't be read",
        [{"kty": "RSA"}, {"kty": "new"}, {}, 5, {"kty": []}, EC],
        "ES256",
        None,
        "P-256",
    ),
    ("with empty members", [RSA | {"key_ops": [], "oth": [], "x5c": [], "use": "", "alg": ""}], "RS256", "r", "r"),
    (
        "with members of null",
        [EC | dict.fromkeys(("key_ops", "use", "alg", "x5t", "d")), RSA],
        "ES256",
        "P-256",
        "P-256",
    ),
    ("with members that are not of the RFC's types", [RSA | {"x5c": 5, "oth": {}, "exp": "soon"}], "RS256", "r", "r"),
    ("beside one with a member of another type", [RSA | {"key_ops": 5}, OTHER_RSA], "RS256", "s", "s"),
    ("an empty set", [], "RS256", None, None),
]


@pytest.mark.parametrize(
    ("keys", "algorithm", "kid", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_token_is_verified_with(keys, algorithm, kid, expected):
    sets = key_sets({"keys": keys})
    try:
        assert sets[algorithm].get_by_kid(kid).kid == expected
    except InvalidKeyIdError:
        assert expected is None


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "keys"])
def test_what_is_no_jwks_is_an_error(document):
    with pytest.raises(ValueError, match="not a JWKS"):
        key_sets(document)


@contextlib.asynccontextmanager
async def answering(head, *parts, pause=0.0):
    """Address of a server that sends these bytes, with a pause before each part."""

    serving = []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + head + b"\r\nconnection: close\r\n\r\n")
            for part in parts:
                await asyncio.sleep(pause)
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await asyncio.gather(*serving)


async def fetched(head, *parts, pause=0.0):
    async with answering(head, *parts, pause=pause) as url, new_client(proxies=False) as client:
        return await fetch_json(client, url, seconds_max=0.5, bytes_max=100)


async def test_a_document_in_parts_is_read_whole():
    assert await fetched(b"200 OK", b'{"keys"', b": []}") == {"keys": []}


@pytest.mark.parametrize(
    ("head", "parts", "error"),
    [
        (b"500 Oh", [b"{}"], httpx.HTTPStatusError),
        (b"302 Found", [b"{}"], httpx.HTTPStatusError),
        (b"200 OK", [b"no JSON"], ValueError),
        (b"200 OK", [b'"', b"x" * 60, b"x" * 60, b'"'], ValueError),  # over 100 bytes
        (b"200 OK", [b" "] * 20, TimeoutError),  # each in time, all of them not
    ],
)
async def test_what_is_not_a_document_is_one_of_the_errors(head, parts, error):
    with pytest.raises(error) as raised:
        await fetched(head, *parts, pause=0.05)
    assert isinstance(raised.value, FETCH_ERRORS)


async def test_a_document_is_asked_for_in_the_name_of_the_service():
    """Filters before an issuer refuse those of Python's libraries."""
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, new_client(proxies=False) as client:
        await fetch_json(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seconds_max=5, bytes_max=9)
    (agent,) = re.findall(rb"(?mi)^user-agent: (.*)\r$", heads[0])
    assert re.fullmatch(rb"crm-stats/[0-9.]+", agent)


async def test_nobody_listening_is_one_of_the_errors():
    async with new_client(proxies=False) as client:
        with pytest.raises(FETCH_ERRORS):
            await fetch_json(client, "http://127.0.0.1:1/", seconds_max=0.5, bytes_max=100)
