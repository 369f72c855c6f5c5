"""Methods, headers, caching, the reference, metrics and logs."""

import json
import re

import pytest
import structlog
from fastapi.openapi.models import OpenAPI

from stream_app.api.app import Stores
from stream_app.api.description import examples, models
from stream_app.api.description.table_models import data_model
from stream_app.api.guard.rate_window import LocalWindow
from stream_app.domain.tables import TABLES
from tests.support.api import PREFIX, FakeCells, FakeDocuments, api, bearer, token
from tests.support.fake_view import STRANGE, example

QUESTIONS = {
    "monthlyIndex": {"operatorId": STRANGE, "groupId": STRANGE, "months": 7, "endMonth": "2026-10", "currency": "USD"},
    "chargingDistribute": {"operatorId": STRANGE, "groupId": STRANGE, "days": 7, "endDate": "2026-11-20"},
    "groups": {"operatorId": STRANGE},
    "operators": {},
}


@pytest.fixture
async def client():
    view = example()
    async with api(FakeDocuments(view), FakeCells(view)) as client:
        yield client


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("full", [True, False])
async def test_get_and_post_say_the_same(client, name, full):
    asked = QUESTIONS[name] if full else {key: value for key, value in QUESTIONS[name].items() if key == "operatorId"}
    posted = await client.post(f"{PREFIX}/{name}", json=asked, headers=bearer("*"))
    got = await client.get(f"{PREFIX}/{name}", params=asked, headers=bearer("*"))
    assert posted.status_code == 200
    assert got.content == posted.content
    assert got.headers["x-data-as-of"] == posted.headers["x-data-as-of"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", got.headers["x-data-as-of"])
    assert "etag" not in posted.headers
    assert (await client.head(f"{PREFIX}/{name}", params=asked, headers=bearer("*"))).headers["etag"]


@pytest.mark.parametrize("name", QUESTIONS)
async def test_etag_and_304(name):
    view = example()
    documents = FakeDocuments(view)
    async with api(documents, FakeCells(view)) as client:

        async def get(tag=None):
            headers = bearer("M1") | ({"If-None-Match": tag} if tag else {})
            return await client.get(f"{PREFIX}/{name}", headers=headers)

        first = await get()
        tag = first.headers["etag"]
        if name in ("monthlyIndex", "chargingDistribute"):
            assert tag == f'W/"{first.json()["data"]["version"]}"'
        assert first.headers["cache-control"] == "private, no-cache"
        assert first.headers["vary"] == "Authorization"
        documents.live = dict.fromkeys(documents.live, b"2026-11-24T09:09:09.009Z")
        for same in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            again = await get(same)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["x-data-as-of"] == "2026-11-24T09:09:09.009Z"
            assert {again.headers[header] for header in ("etag", "cache-control", "vary")} == {
                tag,
                "private, no-cache",
                "Authorization",
            }
        assert (await get('W/"0"')).status_code == 200
        for key, document in documents.documents.items():
            documents.documents[key] = re.sub(rb'"version":\d+', b'"version":9999', document.replace(b"vip", b"VIP"))
        documents.entries = {"M1": documents.entries["M1"].replace(b"Stadtwerke", b"Other")}
        changed = await get(tag)
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


async def test_post_is_never_answered_by_304(client):
    answer = await client.post(f"{PREFIX}/groups", headers=bearer() | {"If-None-Match": "*"})
    assert answer.status_code == 200


async def test_request_ids(client):
    named = await client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    assert named.headers["x-request-id"] == "abc-1.2_3"
    for odd in ("a b", "x" * 65, '"', ""):
        assert re.fullmatch(
            r"[0-9a-f]{16}", (await client.get("/n", headers={"X-Request-Id": odd})).headers["x-request-id"]
        )


async def test_no_origin_may_ask_unless_it_is_listed(client):
    asked = {"Origin": "https://crm.example.com", "Access-Control-Request-Method": "GET"}
    assert (await client.options(f"{PREFIX}/groups", headers=asked)).json()["code"] == 40501
    answer = await client.get(f"{PREFIX}/groups", headers=bearer() | {"Origin": "https://crm.example.com"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_listed_origins_may_ask():
    async with api(FakeDocuments(example()), api_cors_origins=["https://crm.example.com"]) as client:
        asked = {
            "Origin": "https://crm.example.com",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,if-none-match",
        }
        allowed = await client.options(f"{PREFIX}/groups", headers=asked)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://crm.example.com"
        answer = await client.get(f"{PREFIX}/groups", headers=bearer() | {"Origin": "https://crm.example.com"})
        assert answer.headers["access-control-allow-origin"] == "https://crm.example.com"
        assert "X-Data-As-Of" in answer.headers["access-control-expose-headers"]
        assert {part.strip() for part in answer.headers["vary"].split(",")} == {"Authorization", "Origin"}
        other = await client.options(f"{PREFIX}/groups", headers=asked | {"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in other.headers


async def test_docs_load_nothing_from_elsewhere(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert "docs/swagger-ui-bundle.js" in loaded
    assert "//" not in page.text.replace("data:,", "")
    for path in loaded:
        if not path.startswith("data:"):
            answer = await client.get(f"/{path}")
            assert answer.status_code == 200
            assert len(answer.content) > 100
    start = (await client.get("/docs/start.js")).text
    assert "validatorUrl: null" in start
    assert "http" not in start
    css = (await client.get("/docs/swagger-ui.css")).text
    assert set(re.findall(r"url\([\"']?(.{5})", css)) <= {"data:"}
    assert "@import" not in css


async def test_openapi_describes_every_question_with_examples(client):
    document = (await client.get("/openapi.json")).json()
    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1")
    for name in QUESTIONS:
        for method in ("get", "post"):
            operation = document["paths"][f"{PREFIX}/{name}"][method]
            assert operation["security"] == [{"HTTPBearer": []}]
            responses = operation["responses"]
            assert {"200", "400", "401", "403", "429", "503"} <= responses.keys()
            assert "422" not in responses
            assert responses["200"]["content"]["application/json"]["example"]["code"] == 0
            codes = [
                int(code)
                for status, response in responses.items()
                if int(status) >= 400
                for code, example_ in response["content"]["application/json"]["examples"].items()
                if example_["value"]["code"] == int(code) and int(code) // 100 == int(status)
            ]
            assert {40001, 40101, 40301, 40302, 42901, 50301} <= set(codes)
        assert "304" in document["paths"][f"{PREFIX}/{name}"]["get"]["responses"]
    names = {entry["name"] for entry in document["paths"][f"{PREFIX}/monthlyIndex"]["get"]["parameters"]}
    assert names == {"operatorId", "groupId", "months", "endMonth", "currency"}
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()


@pytest.mark.parametrize("name", QUESTIONS)
async def test_real_answers_fit_the_documented_models(client, name):
    data, example_ = {
        "groups": (models.GroupsData, examples.GROUPS_EXAMPLE),
        "operators": (models.OperatorsData, examples.OPERATORS_EXAMPLE),
        **{table.path: (data_model(table), examples.table_example(table)) for table in TABLES},
    }[name]
    answer = (await client.get(f"{PREFIX}/{name}", headers=bearer())).json()
    for said in (answer, example_):
        assert models.Envelope[data].model_validate(said).model_dump(by_alias=True) == said


async def test_metrics_count_by_route_code_and_store(client):
    await client.get(f"{PREFIX}/monthlyIndex", headers=bearer())
    await client.get(f"{PREFIX}/monthlyIndex?months=2", headers=bearer())
    await client.get(f"{PREFIX}/monthlyIndex?months=0", headers=bearer())
    await client.get("/some/path")
    text = (await client.get("/metrics")).text
    route = f'route="{PREFIX}/monthlyIndex"'
    assert f'crm_api_requests_total{{code="0",{route}}} 2.0' in text
    assert f'crm_api_requests_total{{code="40001",{route}}} 1.0' in text
    assert 'crm_api_requests_total{code="40401",route="other"} 1.0' in text
    assert f'crm_api_request_seconds_count{{code="0",{route}}} 2.0' in text
    assert 'crm_api_answers_total{store="redis"} 1.0' in text
    assert 'crm_api_answers_total{store="clickhouse"} 1.0' in text
    assert 'crm_api_store_up{store="redis"} 1.0' in text
    assert "/some/path" not in text


async def test_readyz_says_which_store_answers():
    documents, cells = FakeDocuments(example()), FakeCells()
    documents.down = True
    async with api(documents, cells) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["data"] == {"redis": False, "clickhouse": True}
        assert 'crm_api_store_up{store="redis"} 0.0' in (await client.get("/metrics")).text


async def test_logs_name_the_request_and_hold_no_token(client):
    sent = token("M1")
    with structlog.testing.capture_logs() as logs:
        headers = {"Authorization": f"Bearer {sent}", "X-Request-Id": "id-1"}
        await client.get(f"{PREFIX}/monthlyIndex?operatorId=M2&token={sent}", headers=headers)
        await client.get(f"{PREFIX}/monthlyIndex", headers={"Authorization": f"Bearer {sent}x"})
    assert [entry["code"] for entry in logs] == [40302, 40101]
    assert logs[0]["request_id"] == "id-1"
    assert sent.split(".")[1] not in str(logs)


async def test_over_the_limit_is_42901_and_says_when_to_try_again():
    async def close():
        return None

    view = example()
    found = Stores(FakeDocuments(view), FakeCells(view), LocalWindow(), close)
    async with api(found=found, api_rate=5) as client:
        limited, other, generous = bearer(rate=None), bearer(rate=None, jti="2"), bearer(rate=1000)
        answers = [await client.get(f"{PREFIX}/groups", headers=limited) for _ in range(7)]
        assert [answer.status_code for answer in answers].count(200) >= 5
        over = next(answer for answer in answers if answer.status_code != 200)
        assert (over.status_code, over.json()["code"], over.headers["retry-after"]) == (429, 42901, "1")
        assert (await client.get(f"{PREFIX}/groups", headers=other)).status_code == 200
        assert {(await client.get(f"{PREFIX}/groups", headers=generous)).status_code for _ in range(20)} == {200}
