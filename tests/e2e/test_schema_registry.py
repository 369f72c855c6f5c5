"""A topic of one's own in Avro, by a schema registry that comes and goes: from its records to results."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import ROOT
from tests.e2e.test_own_topics import months_of, sums_of
from tests.support import avro_topics
from tests.support.deployment import Deployment
from tests.support.kafka import flush, read_topic
from tests.support.own_topics import TOPICS
from tests.support.schema_registry import SchemaRegistry, avro
from tests.support.waiting import wait_until

MAP = (ROOT / "config" / "maps" / "topics" / "orders-postgresql.toml").read_text()
AWAY = (503, b"<html>")


@pytest.fixture
def registry():
    """A stand-in: a real one has more to be installed than all of the service (tests/support/schema_registry.py)."""
    made = SchemaRegistry(user=("crm", "pass:word"))
    yield made
    made.close()


def reasons(deployment: Deployment) -> dict[bytes, bytes]:
    """The reasons of the dead letters, by the place of the record."""
    letters = read_topic(deployment.kafka, "crm-stats.dead-letters")
    return {letter.key: dict(letter.headers)["reason"] for letter in letters if letter.value}


def test_a_topic_in_avro_shows_in_the_results(deploy, registry, tmp_path):
    """Debezium's changes by two versions of a schema. While the registry is away they are waited for, and other topics go on."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "orders.toml").write_text(avro_topics.map_of(MAP))
    deployment: Deployment = deploy(
        sources_dir=str(tmp_path / "maps"),
        schema_registry_url=registry.url,
        schema_registry_username="crm",
        schema_registry_password="pass:word",
    )
    assert registry.schema("charging.payments-value")["title"].startswith("A payment")
    asked = registry.asked.total()
    deployment.env["STREAM_APP_SCHEMA_REGISTRY_CONTRACTS"] = "false"
    assert deployment.run_command("up", "--servers-only").returncode == 0
    assert registry.asked.total() == asked
    numbers = tuple(registry.add(schema, subject=f"{avro_topics.TOPIC}-value") for schema in avro_topics.SCHEMAS)
    _, make, sums = TOPICS["orders-postgresql"]
    last_month = (
        datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    ).replace(day=1)
    messages = list(make(1, last_month + timedelta(days=2)))
    wanted = sums(messages)
    registry.broken = AWAY
    deployment.start_worker(1)
    deployment.wait_ready(1)
    producer = deployment.producer()
    for number in range(20):  # more fetches than ingest has under way at once
        producer.produce(avro_topics.TOPIC, b"not in wire format" if number == 7 else avro(numbers[0], "int", 7))
        flush(producer)
    producer.produce(avro_topics.TOPIC, avro(numbers[1] + 100, "int", 7))
    for message in avro_topics.written(messages, numbers):
        producer.produce(avro_topics.TOPIC, message.value, message.key)
    payment = {
        "payment_id": "p", "operator_id": "S1", "status": "SUCCEEDED", "amount_received": 150, "currency": "EUR",
        "paid_at": deployment.now_ms(), "customer_id": "c",
    }  # fmt: skip
    producer.produce("charging.payments", json.dumps(payment))
    flush(producer)
    wait_until("the registry is waited for", lambda: "The schema registry is waited for" in deployment.log("worker-1"))
    wait_until("another topic shows", lambda: deployment.redis.get("crm:{S1}:monthly:ALL"))
    assert months_of(deployment, "S1")[-1]["receivedAmount"] == "1.50"
    assert set(reasons(deployment).values()) <= {b"not_wire_format"}  # what no schema is needed for
    registry.broken = None
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    for operator, expected in wanted.items():
        (month,) = [each for each in months_of(deployment, operator) if each["month"] == last_month.strftime("%Y-%m")]
        assert sums_of(month) == expected
    found_reasons = sorted(reasons(deployment).values())
    assert found_reasons == sorted([b"not_wire_format", b"unknown_schema", *[b"not_of_schema"] * 19])
    found = deployment.run_command("map", "--topic", avro_topics.TOPIC, "--records", "1000")
    assert found.returncode == 0, found.stderr
    assert 'envelope = "debezium"\nformat = "avro"\n' in found.stdout
