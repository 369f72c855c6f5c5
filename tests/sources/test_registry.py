"""The table of source topics: each has its setting, its kind and its reader, and nothing lists them anew."""

import dataclasses
import json
import tomllib

import pytest

from config.settings import ROOT, Settings, load
from stream_app import worker
from stream_app.cli.monitor import conf_of
from stream_app.cli.topics import topics_of
from stream_app.domain import events
from stream_app.sources import canonical, decode, registry
from stream_app.sources.registry import INGESTED, PROBE, TEAMS, SourceTopic, by_kafka_name
from tests.oracle import TOPICS


def test_each_has_a_setting_whose_default_is_the_contracts_name_where_it_has_one():
    defaults = tomllib.loads((ROOT / "config" / "defaults.toml").read_text(encoding="utf-8"))
    assert {f"topic_{topic.name}" for topic in INGESTED} <= set(Settings.model_fields)
    assert {defaults[f"topic_{topic.name}"] for topic in TEAMS if topic.number == 0} == set(TOPICS.values())


def test_each_kind_of_event_has_a_topic_and_numbers_tell_those_of_a_kind_apart():
    kinds = {events.SESSION, events.PAYMENT, events.CDR, events.MEMBERSHIP, events.GROUP, events.OPERATOR}
    assert {topic.kind for topic in TEAMS} == kinds
    assert len({(topic.kind, topic.number) for topic in TEAMS}) == len(TEAMS)
    assert PROBE.kind == events.PAYMENT


def test_rows_of_two_topics_of_a_kind_have_partitions_of_their_own():
    value = b'{"session_id": "s", "operator_id": "M1", "status": "COMPLETED", "started_at": 0}'

    def partition(number):
        topic = dataclasses.replace(registry.SESSIONS, number=number)
        ((row,),) = (
            part.rows for part in decode(topic, [value], [7], [8], 3, now_ms=9, ocpi_operators={}).parts.values()
        )
        return row[events.PARTITION]

    assert [partition(number) for number in (0, 1, 2)] == [3, events.PARTITIONS_MAX + 3, 2 * events.PARTITIONS_MAX + 3]


def test_names_are_given_by_the_settings():
    found = by_kafka_name(INGESTED, lambda name: f"x.{name}")
    assert found["x.cdrs"] is registry.CDRS
    assert list(found) == [f"x.{topic.name}" for topic in INGESTED]


def test_make_up_makes_each_as_the_table_says():
    settings = load()
    made = {topic.name: topic for topic in topics_of(settings)}
    for topic in INGESTED:
        name = settings.source_topic(topic.name)
        assert (made[name].partitions, made[name].config) == (topic.partitions, topic.config)


PARKING = SourceTopic("parking", 99, lambda _: canonical.PAYMENTS, partitions=4, config={"retention.ms": "1000"})


class MoreSettings(Settings):
    """With the setting of a source topic that exists in this test only."""

    topic_parking: str = "city.parking"


@pytest.fixture
def parking(monkeypatch):
    """A source topic that exists in this test only: a line, a reader, a setting."""
    monkeypatch.setattr(registry, "TEAMS", (*TEAMS, PARKING))
    monkeypatch.setattr(registry, "INGESTED", (*INGESTED, PARKING))
    return MoreSettings()


def test_a_line_a_reader_and_a_setting_are_a_source_topic(parking):
    """It is made by make up, read by ingest, watched by the monitor, and known by its kind to dead letters."""
    (made,) = [topic for topic in topics_of(parking) if topic.name == "city.parking"]
    assert (made.partitions, made.config) == (4, {"retention.ms": "1000"})
    assert worker.ingest_conf(parking).sources["city.parking"] is PARKING
    conf = conf_of(parking)
    assert "city.parking" in conf.sources
    assert "city.parking" in conf.ours[parking.ingest_group]
    value = {"payment_id": "p1", "operator_id": "M1", "status": "SUCCEEDED", "amount_received": 5, "currency": "EUR"}
    raw = json.dumps({**value, "paid_at": 0}).encode()
    found = decode(PARKING, [raw, b"{"], [0, 1], [0, 0], 0, now_ms=0, ocpi_operators={})
    assert found.parts["M1"].ids == ["p1"]
    assert [index for index, _ in found.rejections] == [1]
