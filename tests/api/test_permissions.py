"""Whose token is accepted, and for what."""

import base64
import http.server
import json
import math
import threading
import time

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from stream_app.domain import probe
from tests.support.api import PREFIX, SECRET, FakeCells, FakeDocuments, api, bearer, token
from tests.support.fake_view import STRANGE, example


async def code(client, headers, **body):
    return (await client.post(f"{PREFIX}/monthlyIndex", json=body, headers=headers)).json()["code"]


@pytest.fixture
async def client():
    async with api(FakeDocuments(example())) as client:
        yield client


@pytest.mark.parametrize(
    ("operators", "asked", "expected"),
    [
        ("M1", "M1", 0),
        ("M1", None, 0),
        (["M1", "yen"], "yen", 0),
        (["M1", "yen"], STRANGE, 40302),
        ("*", STRANGE, 0),
        (["*"], "M1", 0),
        ([], "M1", 40302),
        ("*", probe.OPERATOR, 40302),  # the monitor's, which nobody is to see
        ([probe.OPERATOR], probe.OPERATOR, 0),
        ([STRANGE], STRANGE, 0),
        ([STRANGE], None, 0),
        ("m1", "M1", 40302),
        ("M1 yen", "M1", 40302),
        ([1, None, "M1"], "M1", 0),
    ],
)
async def test_data_permission(client, operators, asked, expected):
    assert await code(client, bearer(operators), operatorId=asked) == expected
    if isinstance(operators, str):
        assert await code(client, bearer([operators]), operatorId=asked) == expected


async def test_an_implied_operator_that_is_unknown_is_an_error_that_quotes_the_claim():
    """One string is one operator, whatever it holds: commas and blanks may stand in an id."""
    view = example()
    async with api(FakeDocuments(view), FakeCells(view)) as client:
        for operators in ("M1,yen", "M1 yen", ["M1,yen"], "new"):
            headers = bearer(operators)
            for path in ("monthlyIndex", "chargingDistribute", "groups", "stream"):
                said = (await client.get(f"{PREFIX}/{path}", headers=headers)).json()
                assert said["code"] == 40001
                assert repr(operators if isinstance(operators, str) else operators[0]) in said["message"]
        assert await code(client, bearer("new"), operatorId="new") == 0
        assert await code(client, bearer("M1")) == 0


@pytest.mark.parametrize("down", ["redis", "clickhouse"])
async def test_an_implied_operator_is_an_error_only_where_both_stores_say_so(down):
    documents, cells = FakeDocuments(example()), FakeCells(example())
    async with api(documents, cells) as client:
        (documents if down == "redis" else cells).down = True
        assert await code(client, bearer("new")) == 0


async def test_a_claim_of_operators_may_be_one_string_or_missing(client):
    assert await code(client, {"Authorization": f"Bearer {token(operators=None)}"}) == 40001
    sent = token("M1")
    assert await code(client, {"Authorization": f"bearer   {sent}"}) == 0


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("crm:read", 0),
        ("openid crm:read profile", 0),
        (["x", "crm:read"], 0),
        ("crm:reader", 40301),
        ("CRM:READ", 40301),
        ("", 40301),
        (5, 40301),
        ({"crm:read": 1}, 40301),
    ],
)
async def test_interface_permission(client, scope, expected):
    assert await code(client, bearer(scope=scope)) == expected


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": time.time() - 1},
        {"nbf": time.time() + 86_400},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": math.nan},
        {"nbf": []},
    ],
)
async def test_times_are_checked(client, claims):
    assert await code(client, bearer(**claims)) == 40101


@pytest.mark.parametrize(("leeway", "ahead", "expected"), [(10, 5, 0), (10, 20, 40101), (0, 5, 40101), (60, 50, 0)])
async def test_a_token_is_taken_a_little_before_its_time(leeway, ahead, expected):
    async with api(FakeDocuments(example()), jwt_leeway_seconds=leeway) as client:
        assert await code(client, bearer(nbf=time.time() + ahead)) == expected
        assert await code(client, bearer(exp=time.time() - 0.1)) == 40101


async def test_a_token_ends_while_it_is_known():
    async with api(FakeDocuments(example())) as client:
        ends = time.time() + 2
        headers = bearer(exp=ends)
        assert await code(client, headers) == 0
        while await code(client, headers) == 0:
            assert time.time() < ends + 2
        assert await code(client, headers) == 40101


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


GOOD = {"scope": "crm:read", "operators": ["M1"]}


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer a.b.c.d.e",
        f"Bearer {part({'alg': 'none'})}.{part(GOOD)}.",
        f"Bearer {part({'alg': 'None'})}.{part(GOOD)}.",
        f"Bearer {part({'alg': ['HS256']})}.{part(GOOD)}.x",
        f"Bearer {part([])}.{part(GOOD)}.x",
        f"Bearer {part({'alg': 'HS256', 'crit': ['b64'], 'b64': False})}.{part(GOOD)}.x",
        f"Bearer {token(secret='another secret that is long enough')}",
        f"Bearer {token()}x",
        "Bearer " + "a" * 20_000,
    ],
)
async def test_a_token_that_is_not_one_is_refused(client, authorization):
    assert await code(client, {"Authorization": authorization}) == 40101


async def test_a_changed_payload_is_refused(client):
    head, _, signature = token("M1").split(".")
    assert await code(client, {"Authorization": f"Bearer {head}.{part(GOOD)}.{signature}"}) == 40101


async def test_issuer_and_audience_are_checked_when_set():
    async with api(FakeDocuments(example()), jwt_issuer="https://id", jwt_audience="crm") as client:
        assert await code(client, bearer(iss="https://id", aud="crm")) == 0
        assert await code(client, bearer(iss="https://id", aud=["x", "crm"])) == 0
        assert await code(client, bearer(iss="https://id")) == 40101
        assert await code(client, bearer(iss="https://other", aud="crm")) == 40101
        assert await code(client, bearer(aud="crm")) == 40101


async def test_names_of_claims_are_settings():
    names = {"jwt_scope_claim": "scp", "jwt_operators_claim": "https://x/ops", "jwt_scope": "read"}
    async with api(FakeDocuments(example()), **names) as client:
        assert await code(client, bearer(scp=["read"], **{"https://x/ops": ["M1"]})) == 0
        assert await code(client, bearer("M1", scope="read")) == 40301


class Issuer:
    """A JWKS over HTTP that counts how often it is asked."""

    def __init__(self):
        self.document, self.asked, self.status = {"keys": []}, 0, 200
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.document).encode())

            def log_message(self, *_):
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.close()


RSA = RSAKey.generate_key(2048, {"kid": "r"})
EC = ECKey.generate_key("P-256", {"kid": "e"})


async def test_rs256_and_es256_by_a_jwks_that_is_asked_once(issuer):
    oct_key = OctKey.import_key("shared, but in a JWKS: not a secret", {"kid": "o"})
    issuer.document = {"keys": [RSA.as_dict(), EC.as_dict(), oct_key.as_dict(), {"kty": "RSA"}, {"kty": "new"}, 5]}
    async with api(FakeDocuments(example()), jwt_secret=None, jwt_jwks_url=issuer.url) as client:
        for count in range(3):
            assert await code(client, bearer(alg="RS256", key=RSA, kid="r", count=count)) == 0
            assert await code(client, bearer(alg="ES256", key=EC, kid="e", count=count)) == 0
            assert await code(client, bearer(alg="RS256", key=RSA, count=count)) == 0
        assert issuer.asked == 1
        # Not with a key of the wrong kind, a shared secret, or the public key as one.
        assert await code(client, bearer(alg="ES256", key=EC, kid="r")) == 40101
        assert await code(client, bearer(key=oct_key, kid="o")) == 40101
        assert await code(client, bearer(secret=SECRET)) == 40101
        for public in (json.dumps(RSA.as_dict()).encode(), RSA.as_dict()["n"].encode()):
            assert await code(client, bearer(key=OctKey.import_key(public), kid="r")) == 40101
        other = RSAKey.generate_key(2048)
        assert await code(client, bearer(alg="RS256", key=other, kid="r")) == 40101
        for kid in ("unknown-1", "unknown-2", "unknown-3"):
            assert await code(client, bearer(alg="RS256", key=other, kid=kid)) == 40101
        assert issuer.asked == 1, "a flood of unknown key ids must not reach the issuer"


def written_anew(sent):
    """An ES256 token with n - s in place of s in its signature, which verifies as well."""
    signed, _, signature = sent.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = (order - int.from_bytes(raw[32:])).to_bytes(32)
    return f"{signed}.{base64.urlsafe_b64encode(raw[:32] + other).rstrip(b'=').decode()}"


async def test_a_token_is_one_in_the_rate_limit_however_its_signature_is_written(issuer):
    issuer.document = {"keys": [EC.as_dict()]}
    async with api(FakeDocuments(example()), jwt_secret=None, jwt_jwks_url=issuer.url) as client:
        sent = token(alg="ES256", key=EC, kid="e", rate=2)
        codes = [await code(client, {"Authorization": f"Bearer {each}"}) for each in (sent, written_anew(sent)) * 3]
    assert codes[:2] == [0, 0]
    assert set(codes[2:]) == {42901}


async def test_both_ways_side_by_side_and_keys_outlive_the_issuer(issuer):
    issuer.document = {"keys": [RSA.as_dict()]}
    async with api(FakeDocuments(example()), jwt_jwks_url=issuer.url, jwt_jwks_seconds=1) as client:
        assert await code(client, bearer()) == 0
        assert await code(client, bearer(alg="RS256", key=RSA, kid="r")) == 0
        issuer.status = 500
        asked_until = time.time() + 1.2
        while time.time() < asked_until:
            assert await code(client, bearer(alg="RS256", key=RSA, kid="r", now=time.time())) == 0


async def test_an_issuer_that_never_answered_is_no_fault_of_the_token(issuer):
    issuer.status = 500
    async with api(FakeDocuments(example()), jwt_secret=None, jwt_jwks_url=issuer.url) as client:
        assert await code(client, bearer(alg="RS256", key=RSA, kid="r")) == 50302
