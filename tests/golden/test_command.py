"""`stream-app contract-test` with a real Kafka: what it writes, what it prints, and what it refuses."""

import json
import re
import uuid

import pytest
from typer.testing import CliRunner

from config import settings as config
from stream_app.cli import load
from stream_app.golden.records import TOPICS, rounds
from stream_app.golden.view import right_view
from stream_app.local.errors import LocalError
from stream_app.sinks.topics import ResultRecords
from tests.support.kafka import flush, read_topic


@pytest.fixture
def prefix(kafka, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("STREAM_APP_EVENTS_PARTITIONS", "3")
    return f"golden-{uuid.uuid4().hex[:12]}"


def command(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(load("contract-test"), arguments)


def refused(*arguments):
    """What is said instead."""
    done = command(*arguments)
    assert isinstance(done.exception, LocalError), done.output
    return str(done.exception)


def test_it_makes_its_topics_and_writes_all_records_those_of_aborted_transactions_too(kafka, prefix):
    done = command("--topics", prefix)
    settings = config.load()
    whole = rounds(ResultRecords(settings.ce_type_prefix, settings.ce_source))
    names = {topic: f"{prefix}.{topic}" for topic in TOPICS}
    assert json.loads(done.stdout) == {"view": right_view(whole, names)}
    for topic, name in names.items():
        committed = [each for one in whole for each in one.committed if each.topic == topic]
        aborted = [each for one in whole for each in one.aborted if each.topic == topic]
        found = read_topic(kafka, name)
        assert sorted((r.key, r.value or b"") for r in found) == sorted(
            (e.record.key, e.record.value or b"") for e in committed
        )
        assert {r.partition for r in found} == {
            e.partition(1 if topic == "as-of.v1" else settings.events_partitions) for e in committed
        }
        if aborted:
            assert len(read_topic(kafka, name, "read_uncommitted")) == len(committed) + len(aborted)
        if topic == "monthly.v1":
            assert [json.loads(r.value)["version"] for r in found if r.key == b"M1|older|2026-01|EUR"] == [20, 7]


def test_it_can_be_repeated(kafka, prefix):
    first, second = command("--topics", prefix), command("--topics", prefix)
    assert first.stdout == second.stdout
    keys = [record.key for record in read_topic(kafka, f"{prefix}.as-of.v1")]
    assert keys.count(b"65533") == 6


def test_a_view_is_checked_without_kafka(prefix, tmp_path, monkeypatch):
    view = tmp_path / "view.json"
    view.write_text(command("--topics", prefix).stdout)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = command("--topics", prefix, "--check", str(view))
    assert (done.exit_code, done.stdout) == (0, "")
    assert re.fullmatch(r"\d+ keys are right, 0 differences\n", done.stderr)
    held = json.loads(view.read_text())
    del held["view"][f"{prefix}.monthly.v1"]["M1|back|2026-01|EUR"]
    view.write_text(json.dumps(held))
    done = command("--topics", prefix, "--check", str(view))
    said = (
        f"{prefix}.monthly.v1 M1|back|2026-01|EUR: is missing (a key comes back with a version above its tombstone's)\n"
    )
    assert (done.exit_code, done.stdout) == (1, said)


def test_a_file_that_is_no_view_is_one_sentence(prefix, tmp_path):
    assert "No such file" in refused("--topics", prefix, "--check", str(tmp_path / "absent"))
    (tmp_path / "bad").write_text("{")
    assert "bad is no JSON" in refused("--check", str(tmp_path / "bad"))


def test_topics_of_the_service_are_refused_before_kafka_is_asked(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    said = "{} is a topic of the service: name topics of their own by --topics."
    assert refused("--topics", "crm-stats") == said.format("crm-stats.monthly.v1")
    monkeypatch.setenv("STREAM_APP_TOPIC_AS_OF", "else.as-of.v1")
    assert refused("--topics", "else") == said.format("else.as-of.v1")


def test_a_topic_with_other_records_is_refused_and_nothing_is_written(kafka, prefix, new_topic, producer):
    """Results of another deployment, whose names these settings don't know."""
    half_hour = new_topic(1, f"{prefix}.half-hour.v1")
    made = producer()
    made.produce(half_hour, b"{}", b"M1|ALL|2026-11-24", 0)
    flush(made)
    assert refused("--topics", prefix) == (
        f"the topic {half_hour} holds other records, such as one with the key 'M1|ALL|2026-11-24': name topics of their own by --topics."
    )
    assert read_topic(kafka, f"{prefix}.monthly.v1", "read_uncommitted") == []
    assert len(read_topic(kafka, half_hour)) == 1


def test_a_name_that_no_topic_can_have_is_refused():
    assert "can't begin the name of a topic" in refused("--topics", "a b")


def test_without_kafka_it_is_one_sentence(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert refused() == "Kafka does not answer at 127.0.0.1:1: start it by make up."
