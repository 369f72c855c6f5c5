"""The table of source topics: each has its setting, its kind and its reader, and nothing lists them anew."""

import dataclasses
import tomllib

from config.settings import ROOT, Settings, load
from stream_app.cli.topics import topics_of
from stream_app.domain import events
from stream_app.sources import decode, registry
from stream_app.sources.registry import INGESTED, PROBE, TEAMS, by_kafka_name
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
