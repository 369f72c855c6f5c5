"""Every row of the error table, and what else is refused."""

import pytest

from config.settings import ROOT
from stream_app.api.errors import WHEN
from tests.support.api import PREFIX, FakeCells, FakeDocuments, api, bearer
from tests.support.fake_view import example

QUESTIONS = ["monthlyIndex", "chargingDistribute", "groups", "operators"]
MONTHLY, DISTRIBUTION = "monthlyIndex", "chargingDistribute"


def refused(answer, code):
    """The error's message; the answer has its code, status and form."""
    assert answer.json().keys() == {"code", "message"}
    assert (answer.json()["code"], answer.status_code) == (code, code // 100)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    return answer.json()["message"]


@pytest.mark.parametrize(
    ("name", "body", "parameter"),
    [
        (MONTHLY, {"operatorId": 5}, "operatorId"),
        (MONTHLY, {"operatorId": ""}, "operatorId"),
        (MONTHLY, {"operatorId": "x" * 201}, "operatorId"),
        (MONTHLY, {"operatorId": "a\u0085b"}, "operatorId"),
        (MONTHLY, {"operatorId": ["M1"]}, "operatorId"),
        (MONTHLY, {"groupId": True}, "groupId"),
        (MONTHLY, {"groupId": "\n"}, "groupId"),
        (MONTHLY, {"months": 0}, "months"),
        (MONTHLY, {"months": 26}, "months"),
        (MONTHLY, {"months": -1}, "months"),
        (MONTHLY, {"months": True}, "months"),
        (MONTHLY, {"months": 6.0}, "months"),
        (MONTHLY, {"months": "6"}, "months"),
        (MONTHLY, {"months": 2**70}, "months"),
        (MONTHLY, {"endMonth": "2026-13"}, "endMonth"),
        (MONTHLY, {"endMonth": "2026-1"}, "endMonth"),
        (MONTHLY, {"endMonth": "2026-11\n"}, "endMonth"),
        (MONTHLY, {"endMonth": "\uff12\uff10\uff12\uff16-11"}, "endMonth"),
        (MONTHLY, {"endMonth": 202611}, "endMonth"),
        (MONTHLY, {"endMonth": "1969-12"}, "endMonth"),
        (MONTHLY, {"endMonth": "9999-12"}, "endMonth"),
        (MONTHLY, {"currency": "eur"}, "currency"),
        (MONTHLY, {"currency": "XXQ"}, "currency"),
        (MONTHLY, {"currency": 978}, "currency"),
        (DISTRIBUTION, {"days": 0}, "days"),
        (DISTRIBUTION, {"days": 93}, "days"),
        (DISTRIBUTION, {"days": None, "endDate": "2026-02-30"}, "endDate"),
        (DISTRIBUTION, {"endDate": "20261124"}, "endDate"),
        (DISTRIBUTION, {"endDate": "2026-W48-2"}, "endDate"),
        (DISTRIBUTION, {"endDate": "2030-01-01"}, "endDate"),
        (DISTRIBUTION, {"endDate": "2000-01-01"}, "endDate"),
        ("groups", {"operatorId": 1}, "operatorId"),
    ],
)
async def test_40001_names_the_parameter(name, body, parameter):
    view = example()
    async with api(FakeDocuments(view), FakeCells(view)) as client:
        answer = await client.post(f"{PREFIX}/{name}", json=body, headers=bearer())
    assert refused(answer, 40001).startswith(f"{parameter}: ")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"null", b"\xff", b'{"operatorId":"\\ud800"}', b"\xef\xbb\xbf{}"])
async def test_40001_for_a_body_that_is_no_json_object(body):
    async with api() as client:
        for name in QUESTIONS:
            answer = await client.post(f"{PREFIX}/{name}", content=body, headers=bearer())
            assert refused(answer, 40001).startswith("body: ")
        assert "over" in refused(await client.post(f"{PREFIX}/groups", content=b" " * 20_000, headers=bearer()), 40001)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("operatorId=M1&operatorId=M1", "operatorId"),
        ("x=1&x=2", "x"),
        ("operatorId=%FF", "operatorId"),
        ("operatorId=", "operatorId"),
        ("months=", "months"),
        ("months=6.0", "months"),
        ("months=%2B6", "months"),
        ("months=٦", "months"),
        ("months=" + "9" * 5000, "months"),
        ("endMonth=now", "endMonth"),
        ("a=" + "b" * 20_000, "query"),
    ],
)
async def test_40001_for_a_query_that_can_not_be_used(query, parameter):
    async with api() as client:
        answer = await client.get(f"{PREFIX}/monthlyIndex?{query}", headers=bearer())
    assert refused(answer, 40001).startswith(f"{parameter}: ")


@pytest.mark.parametrize("operators", [[], ["M1", "M2"], ["*"], ["*", "M1"]])
async def test_40001_when_no_operator_is_named_or_implied(operators):
    async with api() as client:
        for name in QUESTIONS[:3]:
            answer = await client.post(f"{PREFIX}/{name}", json={}, headers=bearer(operators))
            assert refused(answer, 40001).startswith("operatorId: missing")


async def test_unknown_parameters_and_nulls_are_ignored():
    view = example()
    async with api(FakeDocuments(view)) as client:
        plain = await client.post(f"{PREFIX}/monthlyIndex", headers=bearer())
        assert plain.json()["code"] == 0
        body = {"operatorId": None, "groupId": None, "months": None, "endMonth": None, "currency": None, "later": {}}
        assert (await client.post(f"{PREFIX}/monthlyIndex", json=body, headers=bearer())).content == plain.content
        assert (await client.get(f"{PREFIX}/monthlyIndex?later=1", headers=bearer())).content == plain.content


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_the_codes_of_permissions(name, method):
    async with api() as client:

        async def ask(headers, **query):
            return await client.request(method, f"{PREFIX}/{name}", headers=headers, params=query)

        no_token = await ask({})
        refused(no_token, 40101)
        assert no_token.headers["www-authenticate"] == "Bearer"
        refused(await ask(bearer(scope="crm:write")), 40301)
        refused(await ask(bearer(scope=None)), 40301)
        if name != "operators":
            over = {"operatorId": "M2"}
            asked = {"params": over} if method == "GET" else {"json": over}
            answer = await client.request(method, f"{PREFIX}/{name}", headers=bearer("M1"), **asked)
            refused(answer, 40302)
            refused(await client.request(method, f"{PREFIX}/{name}", headers=bearer([]), **asked), 40302)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_50301_when_neither_store_can_answer(name):
    view = example()
    documents, cells = FakeDocuments(view), FakeCells(view)
    documents.down = cells.down = True
    async with api(documents, cells) as client:
        for headers in (bearer(), bearer("unknown")):
            answer = await client.post(f"{PREFIX}/{name}", headers=headers)
            refused(answer, 50301)
            assert answer.headers["retry-after"] == "1"
        ready = await client.get("/readyz")
        assert ready.json()["code"] == 50301
        assert ready.status_code == 503
        assert (await client.get("/healthz")).json() == {"code": 0, "message": "ok", "data": {}}


async def test_50301_when_redis_has_nothing_and_clickhouse_is_down():
    cells = FakeCells()
    cells.down = True
    async with api(FakeDocuments(), cells) as client:
        for name in QUESTIONS:
            refused(await client.post(f"{PREFIX}/{name}", headers=bearer()), 50301)


async def test_50301_for_months_past_retention_without_clickhouse():
    view = example()
    cells = FakeCells(view)
    cells.down = True
    async with api(FakeDocuments(view), cells) as client:
        body = {"groupId": "unknown", "months": 25}
        refused(await client.post(f"{PREFIX}/monthlyIndex", json=body, headers=bearer()), 50301)


async def test_unknown_paths_and_methods_have_the_envelope_too():
    async with api() as client:
        refused(await client.get("/nothing"), 40401)
        refused(await client.get(f"{PREFIX}/monthlyIndex/"), 40401)
        for path in (f"{PREFIX}/groups", "/healthz"):
            answer = await client.delete(path, headers=bearer())
            refused(answer, 40501)
            assert "GET" in answer.headers["allow"]


async def test_a_fault_is_50001_without_a_word_about_its_inside():
    documents = FakeDocuments()

    async def broken(keys):
        raise ZeroDivisionError("secret inside")

    documents.read = broken
    async with api(documents) as client:
        answer = await client.post(f"{PREFIX}/groups", json={"operatorId": "M1"}, headers=bearer())
    assert answer.json()["code"] == 50001
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_table_is_in_the_docs():
    page = (ROOT / "docs" / "api.md").read_text()
    assert [code for code in WHEN if f"| {code} | {code // 100} | {WHEN[code]} |" not in page] == []
