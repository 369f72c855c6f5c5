"""What compares outputs with the truth: the truth itself passes, and each way to be wrong is found.

Redis, ClickHouse and Kafka are real; what stands in them is written here from the truth, by the contract.
"""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import urlparse

import clickhouse_driver
import pytest
import redis
from confluent_kafka.admin import AdminClient, NewTopic

from tests.oracle import DIGITS, Truth, truth
from tests.oracle_room.differences import MONTHLY_COLUMNS, SESSION_FIGURES, decoded, encoded, murmur2
from tests.oracle_room.reading import Record
from tests.support.kafka import read_topic
from tests.support.scenario import (
    OPERATORS,
    PARTITIONS,
    as_records,
    build,
    compacted,
    diff_clickhouse,
    diff_dead_letters,
    diff_http,
    diff_redis,
    diff_topics,
    send,
    versions_never_fall,
)
from tests.support.strategies import NOW_MS

STAMP = {"partition": 3, "asOf": "2026-11-24T08:00:00.000Z", "version": 1234}
HEADERS = {"ce_id": "x", "ce_source": "/x", "ce_type": "x", "ce_specversion": "1.0", "content-type": "application/json"}


def headers(**other: str) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name.replace("__", "-"), text.encode()) for name, text in {**HEADERS, **other}.items())


@pytest.fixture(scope="module")
def found() -> Truth:
    return truth(as_records(build(7, 400, NOW_MS), NOW_MS - 500_000), now=NOW_MS)


@pytest.mark.parametrize("an_id", ["M1", "%7C", "a|b{c}%+", "大客户 a b/c:d", "%", "%%25"])
def test_ids_in_keys(an_id: str) -> None:
    assert decoded(encoded(an_id)) == an_id
    assert not set("|{}+") & set(encoded(an_id))


def test_murmur2_is_kafkas() -> None:
    assert murmur2(b"21") == 0x100000000 - 973_932_308
    assert murmur2(b"foobar") == 0x100000000 - 790_332_482
    assert murmur2(b"abc") == 479_470_107


# --- topics


def results(found: Truth) -> dict[str, dict[bytes | str, Any]]:
    monthly: dict[bytes | str, Any] = {}
    for (operator, group, month, currency), row in found.monthly.items():
        value = {
            "operatorId": operator,
            "groupId": group,
            "month": month,
            "currency": currency,
            "timezone": found.timezone(operator),
        }
        key = "|".join(encoded(part) for part in (operator, group, month, currency)).encode()
        monthly[key] = (json.dumps({**value, **row, **STAMP}).encode(), headers())
    days: dict[bytes | str, Any] = {}
    for (operator, group, day), slots in found.half_hour.items():
        value = {"operatorId": operator, "groupId": group, "date": day, "timezone": found.timezone(operator)}
        key = "|".join(encoded(part) for part in (operator, group, day)).encode()
        days[key] = (json.dumps({**value, "slots": slots, "total": sum(slots), **STAMP}).encode(), headers())
    as_of: dict[bytes | str, Any] = {b"3": (b'{"partition":3,"asOf":"2026-11-24T08:00:00.000Z"}', headers())}
    return {"crm-stats.monthly.v1": monthly, "crm-stats.half-hour.v1": days, "crm-stats.as-of.v1": as_of}


def test_the_true_topics_pass(found: Truth) -> None:
    assert diff_topics(found, results(found)) == []


def test_zeros_tombstones_and_what_left_retention_may_stand_in_topics(found: Truth) -> None:
    topics = results(found)
    zero = {**found.monthly_index("nobody")["months"][0], "operatorId": "M1", "groupId": "gone", "month": "2026-11"}
    zero |= {"currency": "EUR", "timezone": "Europe/Berlin", **STAMP}
    topics["crm-stats.monthly.v1"][b"M1|gone|2026-11|EUR"] = (json.dumps(zero).encode(), headers())
    topics["crm-stats.monthly.v1"][b"M1|ALL|2024-11|EUR"] = (None, headers())
    topics["crm-stats.monthly.v1"][b"M1|ALL|2023-11|EUR"] = (
        json.dumps({**zero, "month": "2023-11", "paymentCount": 9}).encode(),
        headers(),
    )
    assert diff_topics(found, topics) == []


def test_a_wrong_figure_is_found_in_each_topic(found: Truth) -> None:
    for topic, name in (("crm-stats.monthly.v1", "paymentCount"), ("crm-stats.half-hour.v1", "slots")):
        topics = results(found)
        key = next(key for key, (value, _) in topics[topic].items() if json.loads(value)[name] not in (0, [0] * 48))
        value = json.loads(topics[topic][key][0])
        value[name] = value[name] + 1 if name == "paymentCount" else [0] * 48
        topics[topic][key] = (json.dumps(value).encode(), headers())
        assert diff_topics(found, topics)


@pytest.mark.parametrize("topic", ["crm-stats.monthly.v1", "crm-stats.half-hour.v1"])
def test_a_missing_record_is_found(found: Truth, topic: str) -> None:
    topics = results(found)
    topics[topic].popitem()
    assert len(diff_topics(found, topics)) == 1


@pytest.mark.parametrize("change", [{"version": "1"}, {"asOf": 5}, {"partition": None}, {"timezone": "x"}, {"more": 1}])
def test_a_wrong_field_is_found(found: Truth, change: dict[str, Any]) -> None:
    topics = results(found)
    monthly = topics["crm-stats.monthly.v1"]
    key, (value, kept) = next(iter(monthly.items()))
    monthly[key] = (json.dumps({**json.loads(value), **change}).encode(), kept)
    assert diff_topics(found, topics)


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion", "content-type"])
def test_a_missing_header_is_found(found: Truth, name: str) -> None:
    topics = results(found)
    monthly = topics["crm-stats.monthly.v1"]
    key, (value, kept) = next(iter(monthly.items()))
    monthly[key] = (value, tuple(header for header in kept if header[0] != name))
    assert len(diff_topics(found, topics)) == 1


def result(partition: int, offset: int, version: int, **other: Any) -> Record:
    return Record(
        "crm-stats.monthly.v1", partition, offset, 0, b"k", json.dumps({"version": version, **other}).encode()
    )


def test_versions_that_grow_pass() -> None:
    assert versions_never_fall([result(0, 0, 1, a=1), result(0, 1, 1, a=1), result(0, 9, 5, a=2)]) == []


@pytest.mark.parametrize(
    "records",
    [
        [result(0, 0, 2), result(0, 1, 1)],
        [result(0, 0, 2, a=1), result(0, 1, 2, a=2)],
        [result(0, 0, 1), result(1, 1, 2)],
        [result(0, 0, 2), Record("crm-stats.monthly.v1", 0, 1, 0, b"k", None), result(0, 2, 1)],
    ],
)
def test_versions_that_fall_are_found(records: list[Record]) -> None:
    assert len(versions_never_fall(records)) == 1


# --- dead letters


def letters(found: Truth) -> list[Record]:
    return [
        Record(
            "crm-stats.dead-letters", 0, number, NOW_MS, "/".join(map(str, place)).encode(), record.value or b"",
            (
                ("reason", found.bad[place].encode()), ("detail", b"because"), ("source-topic", place[0].encode()),
                ("source-partition", str(place[1]).encode()), ("source-offset", str(place[2]).encode()),
                ("source-key", record.key), ("failed-at", b"2026-11-24T08:00:00.000Z"),
            ),
        )
        for number, (place, record) in enumerate(found.sources.items())
    ]  # fmt: skip


def test_the_true_dead_letters_pass(found: Truth) -> None:
    assert diff_dead_letters(found, letters(found)) == []
    assert diff_dead_letters(found, letters(found) * 2) == []


def test_wrong_dead_letters_are_found(found: Truth) -> None:
    right = letters(found)
    assert len(diff_dead_letters(found, right[1:])) == 1
    assert len(diff_dead_letters(found, [*right, right[0]._replace(key=b"charging.sessions/0/999999")])) == 1
    assert len(diff_dead_letters(found, [*right[1:], right[0]._replace(value=b"other")])) == 1
    for number, (name, _) in enumerate(right[0].headers):
        if name != "source-key":
            rest = tuple(header for n, header in enumerate(right[0].headers) if n != number)
            assert len(diff_dead_letters(found, [right[0]._replace(headers=rest), *right[1:]])) == 1, name


# --- HTTP


def answer(found: Truth, path: str, body: dict[str, Any]) -> dict[str, Any]:
    operator, group = body.get("operatorId", ""), body.get("groupId", "ALL")
    if path.endswith("/operators"):
        return found.operators_answer()
    if path.endswith("/groups"):
        return found.groups(operator)
    if path.endswith("/monthlyIndex"):
        return (
            found.monthly_index(operator, group, body.get("months", 6), body.get("endMonth"), body.get("currency"))
            | STAMP
        )
    return found.charging_distribute(operator, group, body.get("days", 30), body.get("endDate")) | STAMP


def test_the_true_answers_pass(found: Truth) -> None:
    assert diff_http(found, lambda path, body: copy.deepcopy(answer(found, path, body))) == []


@pytest.mark.parametrize("path", ["operators", "groups", "monthlyIndex", "chargingDistribute"])
def test_a_wrong_answer_is_found(found: Truth, path: str) -> None:
    def get(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        data = answer(found, asked, body)
        return {**data, "total": -1, "currencies": []} if asked.endswith(path) else data

    assert diff_http(found, get, ["M1"])


# --- Redis


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.flushall()
    client.close()


def test_redis(found: Truth, redis_client: redis.Redis) -> None:
    redis_client.hset("crm:as-of", "3", "2026-11-24T08:00:00.000Z")
    for operator, entry in found.operators.items():
        name = f"crm:{{{encoded(operator)}}}"
        redis_client.hset("crm:operators", operator, json.dumps(entry))
        redis_client.set(f"{name}:groups", json.dumps(found.groups(operator)))
        for group in {"ALL", "gone"} | found.groups_with_data(operator):
            redis_client.set(
                f"{name}:monthly:{encoded(group)}", json.dumps(found.monthly_index(operator, group) | STAMP)
            )
            data = found.charging_distribute(operator, group) | STAMP
            redis_client.set(f"{name}:distribution:{encoded(group)}", json.dumps(data))
    assert diff_redis(found, redis_client) == []
    data = found.monthly_index("M1", "ALL")
    data["months"][5]["paymentCount"] += 1
    redis_client.set("crm:{M1}:monthly:ALL", json.dumps(data | STAMP))
    assert len(diff_redis(found, redis_client)) == 1
    redis_client.delete("crm:{M1}:distribution:ALL")
    assert len(diff_redis(found, redis_client)) == 2
    redis_client.hset("crm:operators", "ghost", "{}")
    assert len(diff_redis(found, redis_client)) == 3
    redis_client.delete("crm:{M1}:groups")
    assert len(diff_redis(found, redis_client)) == 4


# --- ClickHouse


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[clickhouse_driver.Client]:
    address = urlparse(clickhouse_url)
    client = clickhouse_driver.Client(address.hostname or "127.0.0.1", address.port or 9000)
    client.execute("DROP DATABASE IF EXISTS oracle_room")
    client.execute("CREATE DATABASE oracle_room")
    figures = ", ".join(f"{name} {_type(name)}" for name in MONTHLY_COLUMNS)
    client.execute(
        f"CREATE TABLE oracle_room.ads_operation_crm_monthly_current "
        f"(operator_id String, group_id String, stat_month Date, currency String, {figures}) ENGINE = Memory"
    )
    client.execute(
        "CREATE TABLE oracle_room.ads_operation_crm_charging_distri_current "
        "(operator_id String, group_id String, stat_date Date, slot UInt8, charge_count UInt64) ENGINE = Memory"
    )
    yield client
    client.execute("DROP DATABASE oracle_room")
    client.disconnect()


def _type(column: str) -> str:
    if column == "per_capita_frequency":
        return "Decimal(18,2)"
    if "energy" in column:
        return "Decimal(38,3)"
    return "Decimal(38,4)" if column.endswith("_amount") or column == "per_capita_payment" else "UInt64"


def test_clickhouse(found: Truth, clickhouse: clickhouse_driver.Client) -> None:
    def insert(table: str, *rows: tuple[Any, ...]) -> None:
        clickhouse.execute(f"INSERT INTO oracle_room.ads_operation_crm_{table}_current VALUES", list(rows))

    monthly = [
        (operator, group, date.fromisoformat(f"{month}-01"), currency, *row.values())
        for (operator, group, month, currency), row in found.monthly.items()
    ]
    insert("monthly", *monthly)
    insert(
        "charging_distri",
        *(
            (operator, group, date.fromisoformat(day), slot, count)
            for (operator, group, day), slots in found.half_hour.items()
            for slot, count in enumerate(slots)
        ),
    )
    frozen = ("M1", "ALL", date(2020, 1, 1), "EUR", *monthly[0][4:])
    # A row whose currency has no counted payment (any more): zero money beside the live session columns.
    live = found.monthly["M1", "ALL", "2026-11", "EUR"]
    unused = [
        value if name in SESSION_FIGURES else 0 if isinstance(value, int) else "0" for name, value in live.items()
    ]
    currency = next(c for c in DIGITS if ("M1", "ALL", "2026-11", c) not in found.monthly)
    insert("monthly", frozen, ("M1", "ALL", date(2026, 11, 1), currency, *unused))
    assert diff_clickhouse(found, clickhouse, "oracle_room") == []
    insert("monthly", monthly[0])
    assert len(diff_clickhouse(found, clickhouse, "oracle_room")) == 1
    insert("monthly", ("M1", "ghosts", date(2026, 11, 1), "EUR", *monthly[0][4:]))
    assert len(diff_clickhouse(found, clickhouse, "oracle_room")) > 2
    insert("charging_distri", ("M1", "ghosts", date(2026, 11, 20), 5, 1))
    assert any("half-hours" in line for line in diff_clickhouse(found, clickhouse, "oracle_room"))


# --- the scenario, and Kafka


def test_a_scenario_is_deterministic_and_has_everything() -> None:
    sends = build(5, 6000, NOW_MS)
    assert sends == build(5, 6000, NOW_MS)
    assert sends != build(6, 6000, NOW_MS)
    assert all(one.partition < PARTITIONS[one.topic] for one in sends)
    records = as_records(sends, NOW_MS - 500_000)
    found = truth(records, now=NOW_MS)
    assert {operator.id for operator in OPERATORS} <= set(found.operators)
    reasons = "tombstone not_json missing_field wrong_type out_of_range bad_id bad_time unknown_status unknown_currency unknown_zone"
    assert set(found.bad.values()) == {*reasons.split(), "reserved_group", "in_the_future", "too_late"}
    assert truth(records, now=NOW_MS, ordered=True).bad.keys() == found.bad.keys()
    values = Counter((one.topic, one.value) for one in sends)
    assert sum(values.values()) - len(values) >= 0.2 * len(sends)
    without = truth(as_records(build(5, 6000, NOW_MS, late=False), NOW_MS), now=None, wall_now=NOW_MS)
    assert "too_late" not in without.bad.values()


def test_what_is_sent_is_read_back(kafka: str) -> None:
    topic = "oracle-room.crm.groups"
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics([NewTopic(topic, 3, 1)]).values():
        made.result()
    sends = [one._replace(topic=topic, partition=n % 3) for n, one in enumerate(build(1, 50, NOW_MS))]
    assert send(kafka, sends) == len(sends)
    expected = as_records(sends, 0)
    found = read_topic(kafka, topic)

    def content(record: Record) -> tuple[Any, ...]:
        return record.partition, record.offset, record.key, record.value

    assert sorted(map(content, found), key=lambda c: c[:2]) == sorted(map(content, expected), key=lambda c: c[:2])
    given = {(r.partition, r.offset): s.timestamp_ms for r, s in zip(expected, sends, strict=True) if s.timestamp_ms}
    assert {(r.partition, r.offset): r.timestamp_ms for r in found if (r.partition, r.offset) in given} == given
    assert compacted([*found, found[0]._replace(value=None)])[found[0].key or b""] == (None, ())
