"""`stream-app map`: what is guessed of a topic's records, and what a map makes of them, with a real Kafka."""

import asyncio
import json
import time
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from config.settings import ROOT
from stream_app.cli import load
from stream_app.importer.topic_map import first_topic_map, outcome
from stream_app.importer.topic_records import TopicRecord
from stream_app.sources.maps.map_file import MapError
from stream_app.sources.maps.map_load import load_topic
from tests.support.kafka import flush
from tests.support.own_topics import TOPICS

NOW_MS = 1_793_700_000_000
STARTED = datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(days=22)


def records(messages):
    return [TopicRecord(0, at, NOW_MS, message.key.encode(), message.value) for at, message in enumerate(messages)]


def guessed(values, keys=None):
    """The first map for these values, as TOML has it."""
    found = [
        TopicRecord(0, at, NOW_MS, keys[at] if keys else None, json.dumps(value).encode())
        for at, value in enumerate(values)
    ]
    return tomllib.loads(first_topic_map("t", 3, found))


ROW = {
    "id": 1,
    "merchant": "M1",
    "user": "u",
    "state": "paid",
    "start_time": "2026-11-03T08:00:00Z",
    "total": "1.50",
    "currency": "eur",
}
ROWS = [ROW | {"id": number, "user": f"u{number % 3}", "total": f"{number}.25"} for number in range(1, 9)]


def test_a_first_map_of_a_table_in_postgresql_can_be_used_as_it_is():
    found = records(list(TOPICS["orders-postgresql"][1](1, STARTED))[:100])
    text = first_topic_map("app.public.orders", 3, found)
    first, *refusals = outcome(load_topic(text.encode()), found, NOW_MS)
    assert first == "100 records read: 98 sessions, 45 payments; 0 records refused"
    assert not refusals
    guess = tomllib.loads(text)
    assert (guess["topic"]["envelope"], guess["row"]["operator_id"], guess["topic"]["number"]) == (
        "debezium",
        {"path": "merchant"},
        3,
    )
    assert guess["payment"]["amount_received"] == {"path": "total"}
    assert "UNSURE" in text


@pytest.mark.parametrize(
    ("wrap", "topic"),
    [
        (lambda row: row, {}),
        (lambda row: [row], {"records": "$"}),
        (lambda row: {"op": "c", "before": None, "after": row}, {"envelope": "debezium"}),
        (lambda row: {"schema": {}, "payload": {"op": "r", "after": row}}, {"envelope": "debezium"}),
        (lambda row: {"specversion": "1.0", "data": row}, {"envelope": "cloudevents"}),
        (lambda row: {"status_code": 1000, "data": [row]}, {"envelope": "ocpi"}),
    ],
)
def test_the_envelope_is_found(wrap, topic):
    guess = guessed([wrap(row) for row in ROWS])
    assert guess["topic"] == {"name": "t", "number": 3} | topic
    assert guess["session"]["session_id"] == {"path": "id"}
    assert guess["payment"]["currency"] == {"path": "currency"}
    assert guess["session"]["status"] == {"path": "state", "values": {"paid": "COMPLETED"}}


def test_of_one_key_the_last_record_counts_but_not_where_keys_name_no_entity():
    twice = [ROWS[0], ROWS[0], *ROWS[1:]]
    assert "session_id" not in guessed(twice)["session"]
    assert guessed(twice, [str(row["id"]).encode() for row in twice])["session"]["session_id"] == {"path": "id"}
    assert guessed(ROWS, [b"station"] * 8)["session"]["session_id"] == {"path": "id"}


def test_where_several_places_may_be_meant_none_is_taken():
    guess = [row | {"amount": row["total"]} for row in ROWS]
    text = first_topic_map(
        "t", 3, [TopicRecord(0, at, NOW_MS, None, json.dumps(row).encode()) for at, row in enumerate(guess)]
    )
    assert '# amount_received = { path = "" }  # UNSURE: it might be total, amount' in text
    with pytest.raises(MapError, match="amount_received"):
        load_topic(text.encode())


@pytest.mark.parametrize("values", [[b"{"], [b"\xff"], [b"[]"], [b"7"], [None], [b'{"a": {"b\\n\\"": [[]]}}']])
def test_records_that_are_nothing_make_a_map_that_says_so(values):
    text = first_topic_map("t", 3, [TopicRecord(0, at, NOW_MS, None, value) for at, value in enumerate(values)])
    with pytest.raises(MapError, match="session_id"):
        load_topic(text.encode())


@pytest.fixture
def orders(kafka, new_topic, producer, monkeypatch):
    """A topic of three orders, one of which can't be used; the command finds Kafka by its settings."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    topic, sender = new_topic(2), producer()
    for number in (1, 2, 3):
        row = ROW | {
            "id": number,
            "start_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * number)),
        }
        sender.produce(topic, json.dumps(row | {"currency": "eur" if number < 3 else "?"}), partition=number % 2)
    flush(sender)
    return topic


def command(*arguments):
    return CliRunner().invoke(load("map"), arguments)


async def test_the_output_is_a_map_and_says_what_it_makes_of_the_records(orders):
    done = await asyncio.to_thread(command, "--topic", orders)
    assert done.exit_code == 0, done.output
    assert tomllib.loads(done.stdout)["topic"]["name"] == orders
    assert done.stdout.splitlines()[-1] == "# 3 records read: 3 sessions, 3 payments; 0 records refused"


async def test_a_map_is_tried_on_the_records(orders, tmp_path):
    """Each refusal is named with its place, its reason and the map's key."""
    text = (ROOT / "config" / "maps" / "topics" / "orders.toml").read_text().replace("shop.orders", orders)
    for old, new in {
        "station.owner": "merchant", "driver.id": "user", "order.id": "id", "order.state": "state", "order.created": "start_time",
        "order.closed": "start_time", "shop.orders": orders,
    }.items():  # fmt: skip
        text = text.replace(f'"{old}"', f'"{new}"')
    path = tmp_path / "map.toml"
    path.write_text(text)
    done = await asyncio.to_thread(command, "--topic", orders, "--map", str(path), "--records", "10")
    first, second = done.stdout.splitlines()
    assert first == "3 records read: 2 sessions, 2 payments; 1 records refused"
    assert second.startswith(f"{orders}/1/1 unknown_currency: by the map's payment.currency (currency): '?'")


async def test_a_topic_that_is_not_there_is_named(kafka, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    done = await asyncio.to_thread(command, "--topic", "nobody-made-it")
    assert done.exit_code == 1
    assert "there is no topic nobody-made-it" in str(done.exception)
