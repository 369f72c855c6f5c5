"""What the API makes of the monitor: who may see it, how often it is asked, and what is said while it is away."""

import asyncio
import json

import pytest

from stream_app.api.operations import MonitorClient, trimmed_status
from stream_app.local.ports import free_port
from tests.support.api import PREFIX, api, bearer
from tests.support.monitor_stub import monitor_that_says, recorded
from tests.support.waiting import until

GROUPS = {"ingest": "crm-stats-ingest", "ledger": "crm-stats-ledger-1"}
OPS = {"scope": "ops:read", "operators": None}


@pytest.fixture
def monitor():
    with monitor_that_says(recorded("well")) as monitor:
        yield monitor


async def ask(client, **claims):
    answer = await client.get("/ops/status", headers=bearer(**(OPS | claims)))
    body = answer.json()
    assert body["code"] // 100 == answer.status_code or body["code"] == 0
    return body


async def test_it_tells_what_the_monitor_says_with_the_names_of_our_groups(monitor):
    async with api(api_monitor_url=f"{monitor.url}/", app_id="crm-stats") as client:
        data = (await ask(client))["data"]
        assert (data["answers"], data["failure"], data["awaySeconds"], data["operators"]) == (True, None, None, [])
        assert 0 <= data["knownSeconds"] < 60
        assert data["groups"] == GROUPS
        for name in ("now_ms", "kafka", "results", "sinks", "sources", "dead_letters", "words"):
            assert data["status"][name] == monitor.says[name]
        head = await client.head("/ops/status", headers=bearer(**OPS))
        assert (head.status_code, head.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, 0),
        ({"scope": "crm:read ops:read"}, 0),
        ({"scope": ["x", "ops:read"]}, 0),
        ({"scope": "crm:read", "operators": ["*"]}, 40303),
        ({"scope": "ops:reader"}, 40303),
        ({"scope": None}, 40303),
        ({"exp": 1}, 40101),
    ],
)
async def test_it_needs_a_permission_of_its_own(monitor, claims, code):
    async with api(api_monitor_url=monitor.url) as client:
        body = await ask(client, **claims)
        assert body["code"] == code
        assert (monitor.asked == 1) == ("data" in body) == (code == 0)
        assert (await client.get("/ops/status")).json()["code"] == 40101


async def test_the_permission_is_a_setting_and_gives_no_statistics(monitor):
    async with api(api_monitor_url=monitor.url, jwt_ops_scope="watch", jwt_scope_claim="scp") as client:
        assert (await ask(client, scope=None, scp="watch"))["code"] == 0
        assert (await ask(client))["code"] == 40303
        asked = await client.post(f"{PREFIX}/operators", json={}, headers=bearer("*", scope=None, scp="watch"))
        assert asked.json()["code"] == 40301


async def test_other_methods_are_refused(monitor):
    async with api(api_monitor_url=monitor.url) as client:
        answer = await client.post("/ops/status", headers=bearer(**OPS))
        assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, 40501, "GET, HEAD")


async def test_many_viewers_cost_the_monitor_one_answer(monitor):
    watched = MonitorClient(monitor.url, 5, GROUPS)
    monitor.talks.clear()
    waiting = [asyncio.create_task(watched.data()) for _ in range(50)]
    await until("it is asked", lambda: _said(monitor.asked))
    monitor.talks.set()
    times = {json.loads(data)["status"]["now_ms"] for data in await asyncio.gather(*waiting)}
    assert (times, monitor.asked) == ({monitor.says["now_ms"]}, 1)


async def _said(value):
    return value


async def told(watched, wanted):
    """What is told, once it is what is wanted."""

    async def reached():
        data = json.loads(await watched.data())
        return data if wanted(data) else None

    return await until("that is told", reached)


def answers(data):
    return data["answers"]


def is_away(data):
    return not data["answers"]


async def test_what_was_known_last_stays_and_is_said_to_be_old():
    with monitor_that_says(recorded("well")) as monitor:
        watched = MonitorClient(monitor.url, 0.3, GROUPS)
        before = await told(watched, answers)
        monitor.talks.clear()
        hung = await told(watched, is_away)
        assert (hung["failure"], hung["status"]) == ("timeout", before["status"])
        assert hung["knownSeconds"] >= 1
        assert 0 <= hung["awaySeconds"] <= hung["knownSeconds"]
    gone = await told(watched, lambda data: data["failure"] == "unreachable")
    assert gone["status"] == before["status"]
    assert gone["awaySeconds"] >= hung["awaySeconds"]
    with monitor_that_says(recorded("redis"), monitor.port) as again:
        back = await told(watched, answers)
        assert (back["failure"], back["awaySeconds"]) == (None, None)
        assert back["status"]["now_ms"] == again.says["now_ms"]
    await watched.close()


@pytest.mark.parametrize("says", [b"", b"<html>", b"[]", b"{}", b'{"groups": 5}'], ids=str)
async def test_what_is_no_answer_of_a_monitor_is_told_so(monitor, says):
    monitor.says = says
    data = json.loads(await MonitorClient(monitor.url, 5, GROUPS).data())
    assert (data["answers"], data["failure"], data["status"], data["knownSeconds"]) == (False, "unusable", None, None)


async def test_an_error_of_the_monitor_is_no_answer(monitor):
    monitor.status = 503
    data = json.loads(await MonitorClient(monitor.url, 5, GROUPS).data())
    assert (data["failure"], data["status"]) == ("unusable", None)
    nobody = MonitorClient(f"http://127.0.0.1:{free_port()}", 5, GROUPS)
    assert json.loads(await nobody.data())["failure"] == "unreachable"


async def test_the_worst_off_are_asked_for_while_results_are_behind(monitor):
    watched = MonitorClient(monitor.url, 5, GROUPS)
    assert (await told(watched, answers))["operators"] == []
    monitor.says = recorded("ingest")
    data = await told(watched, lambda data: data["operators"])
    assert data["operators"] == monitor.operators["operators"]
    monitor.says = recorded("well")
    await told(watched, lambda data: not data["operators"])
    await watched.close()


def test_of_partitions_only_those_that_are_not_well_are_shown_the_furthest_behind_first():
    def row(partition, status, seconds):
        return {"partition": partition, "status": status, "lag_seconds": seconds}

    many = [row(number, "STOP", number) for number in range(100)]
    group = {"partitions": [row(200, "OK", 0.0), *many, row(300, "STALL", None)]}
    found = trimmed_status({"groups": [group]})["groups"][0]["partitions"]
    assert [each["partition"] for each in found] == list(range(99, 49, -1))
