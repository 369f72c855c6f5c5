"""The table of source topics: each has its setting, its kind and its reader, and nothing lists them anew."""

import tomllib

from config.settings import ROOT, Settings, load
from stream_app.cli.topics import topics_of
from stream_app.domain import events
from stream_app.sources import registry
from stream_app.sources.registry import INGESTED, PROBE, READERS, TEAMS, by_kafka_name
from tests.oracle import TOPICS


def test_each_has_a_setting_whose_default_is_the_contracts_name():
    defaults = tomllib.loads((ROOT / "config" / "defaults.toml").read_text(encoding="utf-8"))
    assert {f"topic_{topic.name}" for topic in INGESTED} <= set(Settings.model_fields)
    assert {defaults[f"topic_{topic.name}"] for topic in TEAMS} == set(TOPICS.values())


def test_each_kind_of_event_has_one_topic_and_one_reader():
    kinds = [topic.kind for topic in TEAMS]
    assert sorted(kinds) == [
        events.SESSION,
        events.PAYMENT,
        events.CDR,
        events.MEMBERSHIP,
        events.GROUP,
        events.OPERATOR,
    ]
    assert set(READERS) == set(kinds)
    assert PROBE.kind == events.PAYMENT


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
