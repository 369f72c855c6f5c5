"""The API on a real Redis and a real ClickHouse, filled by the sinks themselves; the command on a real port."""

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest
from redis.asyncio import Redis

from stream_app.domain.local_time import month_add
from stream_app.domain.report import iso_ms
from stream_app.domain.tables import MONTHLY
from stream_app.local.ports import free_port
from stream_app.sinks.redis_keys import document_key
from tests.api.real import DATABASE, LIVE_MS, STORED_MS, fill, real
from tests.support.api import PREFIX, SECRET, bearer
from tests.support.api_process import run
from tests.support.fake_view import MONTH, STRANGE, example
from tests.support.serving import NOBODY, NOBODYS

LEFT = "left"  # a group without documents: its last customer left before this month
LIVE, STORED, NEVER = iso_ms(LIVE_MS), iso_ms(STORED_MS), iso_ms(0)


@pytest.fixture
async def filled(redis_url, clickhouse_url):
    """Both stores with what the example view holds."""
    view = example()
    view.set_month("M1", STRANGE, MONTH, 480, [0, 0, 0])  # with a cell of the current month, and so with documents
    view.set_month("M1", LEFT, month_add(MONTH, -2), 470, [0, 0, 0])
    view.named["M1"][LEFT].months.clear()
    await fill(redis_url, clickhouse_url, view)
    return redis_url, clickhouse_url


QUESTIONS = [
    ("monthlyIndex", {"operatorId": "M1"}),
    ("monthlyIndex", {"operatorId": STRANGE, "groupId": STRANGE}),
    ("monthlyIndex", {"operatorId": "M1", "groupId": STRANGE}),
    ("monthlyIndex", {"operatorId": "M1", "groupId": LEFT}),
    ("chargingDistribute", {"operatorId": "M1", "groupId": LEFT}),
    ("chargingDistribute", {"operatorId": STRANGE}),
    ("chargingDistribute", {"operatorId": "M1"}),
    ("groups", {"operatorId": "M1"}),
    ("operators", {}),
]


async def test_every_question_is_answered_alike_by_redis_and_by_clickhouse(filled):
    redis_url, clickhouse_url = filled
    for name, body in QUESTIONS:
        async with real(redis_url, NOBODYS) as client:
            one = await client.post(f"{PREFIX}/{name}", json=body, headers=bearer(["M1", STRANGE, "yen"]))
        async with real(NOBODY, clickhouse_url) as client:
            other = await client.post(f"{PREFIX}/{name}", json=body, headers=bearer(["M1", STRANGE, "yen"]))
        as_of = {"asOf": STORED} if "asOf" in one.json()["data"] else {}
        assert other.json()["data"] == one.json()["data"] | as_of
        if name != "operators":  # other partitions of the token's operators hold nothing in this world
            assert (one.headers["x-data-as-of"], other.headers["x-data-as-of"]) in ((LIVE, STORED), (NEVER, NEVER))


async def test_other_windows_come_from_clickhouse(filled):
    async with real(*filled) as client:

        async def ask(name, **body):
            return (await client.post(f"{PREFIX}/{name}", json=body, headers=bearer("*"))).json()["data"]

        months = (await ask("monthlyIndex", operatorId="M1", months=25))["months"]
        assert [month["receivedAmount"] for month in months[-2:]] == ["1230.00", "10.01"]
        assert [month["receivedAmount"] for month in months[:12]] == ["0.00"] * 12
        dollars = await ask("monthlyIndex", operatorId="M1", currency="USD", months=1)
        assert (dollars["months"][0]["receivedAmount"], dollars["currencies"]) == ("0.05", ["EUR", "USD"])
        assert (await ask("chargingDistribute", operatorId="M1", groupId="vip", days=92))["total"] == 3
        assert (await ask("chargingDistribute", operatorId="M1", groupId="vip", days=1))["total"] == 0
        assert (await ask("monthlyIndex", operatorId="nobody", months=2))["timezone"] == "UTC"
        assert (await ask("monthlyIndex", operatorId="M1", endMonth="1971-01", months=12))["months"][0][
            "sessionCount"
        ] == 0


async def test_a_document_lost_in_redis_comes_from_clickhouse(filled):
    client = Redis.from_url(filled[0])
    await client.delete(document_key(MONTHLY, "M1", "ALL"))
    await client.aclose()
    async with real(*filled) as client:
        data = (await client.get(f"{PREFIX}/monthlyIndex", headers=bearer("M1"))).json()["data"]
    assert (data["months"][-1]["receivedAmount"], data["asOf"]) == ("10.01", STORED)


async def test_neither_is_50301_and_not_ready():
    async with real(NOBODY, NOBODYS) as client:
        for name, body in QUESTIONS:
            answer = await client.post(f"{PREFIX}/{name}", json=body, headers=bearer("*"))
            assert answer.json()["code"] == 50301
        assert (await client.get("/readyz")).status_code == 503


async def test_a_redis_that_hangs_costs_the_first_answer_its_timeout_and_no_other(filled):
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
    try:
        async with real(url, filled[1]) as client:
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                answer = await client.get(f"{PREFIX}/groups", headers=bearer("M1"))
                times.append(time.perf_counter() - begun)
                assert answer.json()["code"] == 0
        assert times[0] < 2
        assert max(times[1:]) < 0.25
    finally:
        silent.close()


async def test_the_limit_is_one_for_all_processes(filled):
    async with real(*filled) as one, real(*filled) as two:
        headers = bearer("M1", rate=40)
        begun = time.monotonic()
        asked = [client.get(f"{PREFIX}/groups", headers=headers) for _ in range(60) for client in (one, two)]
        answers = await asyncio.gather(*asked)
        seconds = time.monotonic() - begun
    passed = [answer.status_code for answer in answers].count(200)
    assert 30 <= passed <= 40 * (1 + seconds)
    assert {answer.json()["code"] for answer in answers} == {0, 42901}


async def test_the_limit_holds_in_the_process_while_redis_is_down(filled):
    async with real(NOBODY, filled[1]) as client:
        headers = bearer("M1", rate=3)
        codes = [(await client.get(f"{PREFIX}/operators", headers=headers)).json()["code"] for _ in range(6)]
    assert codes[0] == 0
    assert 42901 in codes


async def test_the_command_serves_and_ends_on_a_signal(filled):
    port = free_port()
    stores = {"REDIS_URL": filled[0], "CLICKHOUSE_URL": filled[1], "STREAM_APP_CLICKHOUSE_DATABASE": DATABASE}
    process = run(port, **stores, STREAM_APP_JWT_SECRET=SECRET)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(600):
                try:
                    ready = await client.get("/readyz")
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
            assert ready.json()["data"] == {"redis": True, "clickhouse": True}
            answer = await client.get(f"{PREFIX}/monthlyIndex", headers=bearer("M1"))
            assert answer.json()["data"]["asOf"] == LIVE
            assert "server" not in answer.headers
            tag = {"If-None-Match": answer.headers["etag"]}
            assert (await client.get(f"{PREFIX}/monthlyIndex", headers=bearer("M1") | tag)).status_code == 304
            assert (await client.head(f"{PREFIX}/monthlyIndex", headers=bearer("M1"))).content == b""
            assert (
                await client.get(f"{PREFIX}/monthlyIndex", headers={"Authorization": "Bearer x"})
            ).status_code == 401
            busy = run(port, STREAM_APP_JWT_SECRET=SECRET)
            assert busy.communicate(timeout=60)[1] == (
                f"stream-app api: 127.0.0.1:{port} is in use: stop what listens there, or set STREAM_APP_API_PORT.\n"
            )
            assert busy.returncode == 1
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"Application shutdown complete.", "refused"} <= {line["event"] for line in lines}
    assert process.returncode in (0, -signal.SIGTERM)


def test_without_anything_to_check_tokens_with_the_command_says_so():
    process = run(free_port())
    _, said = process.communicate(timeout=60)
    assert said == (
        "stream-app api: nothing to check tokens with: set STREAM_APP_JWT_SECRET or STREAM_APP_JWT_JWKS_URL, or run make up.\n"
    )
    assert process.returncode == 1
