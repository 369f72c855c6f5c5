"""Ids of any characters: the same answer by GET and POST, however they are encoded, from Redis and from ClickHouse."""

import json
import random
from urllib.parse import quote, quote_plus

import pytest

from stream_app.domain.events import ALL
from stream_app.domain.report import iso_ms
from stream_app.formats.murmur2 import partition_for
from tests.api.real import LIVE_MS, STORED_MS, fill, real
from tests.support.api import PREFIX, bearer, settings
from tests.support.fake_view import MONTH, TODAY, FakeView
from tests.support.serving import NOBODY, NOBODYS

PIECES = ["|", "{", "}", "{}", ":", "%", "%7C", "%2B", "+", '"', "'", "\\", "/", "?", "#", "&", "=", " ", ";", ",", "*"]
PIECES += ["大客户", "🚗", "é", "e\u0301", "\u2028", "\ufeff", "null", "ALL", "a", "<b>", "\\u0041", "$1", "0"]
RANDOM = random.Random(5)
IDS = [*PIECES, "🚗" * 200, "%" * 200, *("".join(RANDOM.choices(PIECES, k=4)) for _ in range(12))]
OPERATORS = [one for one in dict.fromkeys(IDS) if one != ALL]
WAYS = {"Redis first": (True, True), "Redis only": (True, False), "ClickHouse only": (False, True)}


def groups_of(index):
    """Of the operator at this index: named like itself, and like the next one."""
    return dict.fromkeys([OPERATORS[index], OPERATORS[(index + 1) % len(OPERATORS)]])


def views():
    found = {}
    for index, operator in enumerate(OPERATORS):
        partition = partition_for(operator.encode(), settings().events_partitions)
        view = found.setdefault(partition, FakeView(partition))
        view.add_operator(operator, name=operator)
        for number, group in enumerate([ALL, *groups_of(index)]):
            received = index * 10 + number
            view.set_month(operator, group, MONTH, 1000 + received, [1, 1, 0], EUR=[received, 0, 0, 1, 1, 0])
            view.set_day(operator, group, TODAY, 1000 + received, {number: index + 1})
    return list(found.values())


@pytest.fixture
async def filled(redis_url, clickhouse_url):
    await fill(redis_url, clickhouse_url, *views())
    return redis_url, clickhouse_url


def written(ids):
    """The ids in every way that means the same: (method, query, body)."""
    yield "POST", "", json.dumps(ids)
    yield "POST", "", json.dumps(ids, ensure_ascii=False)
    for encoded in (lambda text: quote(text, safe=""), quote_plus):
        yield "GET", "&".join(f"{key}={encoded(value)}" for key, value in ids.items()), None


async def asked(client, name, headers, turn=None, **ids):
    """The answer's data, the same for each way to write the ids; with a turn only of the way whose turn it is."""
    ways = list(written(ids))
    answers = [
        await client.request(method, f"{PREFIX}/{name}?{query}", content=body and body.encode(), headers=headers)
        for method, query, body in (ways if turn is None else [ways[turn % len(ways)]])
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    return answers[0].json()["data"]


@pytest.mark.parametrize("way", WAYS)
async def test_every_id_is_answered_as_itself(filled, way):
    redis, clickhouse = WAYS[way]
    stores = filled[0] if redis else NOBODY, filled[1] if clickhouse else NOBODYS
    headers = bearer(OPERATORS)
    async with real(*stores) as client:
        for index, operator in enumerate(OPERATORS):
            for number, group in enumerate([ALL, *groups_of(index)]):
                turn = None if redis else index + number  # ClickHouse of 2018 takes its time
                data = await asked(client, "monthlyIndex", headers, turn, operatorId=operator, groupId=group)
                received = index * 10 + number
                assert (data["operatorId"], data["groupId"], data["version"]) == (operator, group, 1000 + received)
                assert data["months"][-1]["receivedAmount"] == f"{received // 100}.{received % 100:02d}"
                assert data["asOf"] == iso_ms(LIVE_MS if redis else STORED_MS)
                data = await asked(client, "chargingDistribute", headers, turn, operatorId=operator, groupId=group)
                assert (data["operatorId"], data["groupId"], data["total"]) == (operator, group, index + 1)
                assert data["slots"][number]["chargeCount"] == index + 1
            listed = await asked(client, "groups", headers, turn, operatorId=operator)
            names = [ALL, *sorted(groups_of(index).keys() - {ALL})]
            assert listed == {"groups": [{"groupId": group, "name": None} for group in names]}
        known = await asked(client, "operators", headers)
        assert [(entry["operatorId"], entry["name"]) for entry in known["operators"]] == [
            (one, one) for one in sorted(OPERATORS)
        ]


async def test_ids_that_nobody_has_are_zeros_everywhere(filled):
    strange = ["".join(RANDOM.choices(PIECES, k=5)) for _ in range(4)]
    headers = bearer([*strange, OPERATORS[0]])
    answers = []
    for redis, clickhouse in WAYS.values():
        async with real(filled[0] if redis else NOBODY, filled[1] if clickhouse else NOBODYS) as client:
            answers.append(
                [
                    {**await asked(client, name, headers, turn, operatorId=operator, groupId=group), "asOf": ""}
                    for name in ("monthlyIndex", "chargingDistribute")
                    for operator in (*strange, OPERATORS[0])
                    for turn, group in enumerate(strange)
                ]
            )
    assert answers[0] == answers[1] == answers[2]
