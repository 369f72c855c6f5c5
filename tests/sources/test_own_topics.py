"""Maps in the folder of the settings are source topics, like those of the table; a folder that can't be used is named."""

import re

import pytest

from config import source_maps
from config.settings import ROOT, load
from stream_app import worker
from stream_app.cli.monitor import conf_of
from stream_app.cli.rights import ROLES
from stream_app.cli.topics import topics_of
from stream_app.domain.events import PAYMENT, SESSION
from stream_app.sources.maps.map_file import MapError

ORDERS = (ROOT / "config" / "maps" / "topics" / "orders.toml").read_text()


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """The folder of the settings, with a map of shop.orders."""
    monkeypatch.setenv("STREAM_APP_SOURCES_DIR", str(tmp_path))
    (tmp_path / "orders.toml").write_text(ORDERS)
    return tmp_path


def other(maps, name, *changes):
    """One more map."""
    text = ORDERS
    for old, new in changes:
        text = text.replace(old, new)
    (maps / name).write_text(text)


@pytest.mark.usefixtures("maps")
def test_a_map_is_a_source_topic():
    """It is made by make up, read by ingest, watched by the monitor, has its rights, and is known by its number to dead letters."""
    settings = load()
    (made,) = [topic for topic in topics_of(settings) if topic.name == "shop.orders"]
    assert made.partitions == 3
    topic = worker.ingest_conf(settings).sources["shop.orders"]
    assert (topic.kinds, topic.number) == ((SESSION, PAYMENT), 1001)
    conf = conf_of(settings)
    assert "shop.orders" in conf.sources
    assert "shop.orders" in conf.ours[settings.ingest_group]
    for role in ("worker", "monitor"):
        assert "shop.orders" in {right.name for right in ROLES[role](settings)}
    assert "shop.orders" not in {right.name for right in ROLES["importer"](settings)}


def test_a_map_may_leave_its_topic_out_while_it_is_missing(maps):
    other(maps, "orders.toml", ("number = 1", "number = 1\noptional = true"))
    assert conf_of(load()).optional_sources == ["crm.groups", "shop.orders"]


def test_numbers_that_are_free_follow_those_that_are_taken(maps):
    assert source_maps.free_number(load()) == 2
    other(maps, "more.toml", ("shop.orders", "more"), ("number = 1", "number = 41"))
    assert source_maps.free_number(load()) == 42


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([("number = 1", "number = 2")], "`topic.name` is 'shop.orders', which another map reads"),
        ([("shop.orders", "more")], "`topic.number` is 1, which more.toml has"),
        ([("shop.orders", "charging.payments")], "which the setting `topic_payments` names"),
        ([("shop.orders", "crm-stats.dead-letters")], "which the setting `topic_dead_letters` names"),
        ([("shop.orders", "crm-stats.events-2")], "which the setting `topic_events` names"),
        ([("[topic]", "[topics]")], "unknown field `topics`"),
    ],
)
def test_maps_that_can_t_be_used_together_are_named(maps, changes, sentence):
    other(maps, "more.toml", *changes)
    with pytest.raises(MapError, match=rf"^{re.escape(str(maps))}/(more|orders)\.toml: .*{re.escape(sentence)}"):
        source_maps.teams(load())


@pytest.mark.parametrize("form", ["avro", "json-schema", "protobuf"])
def test_a_map_by_a_schema_registry_needs_one(maps, monkeypatch, form):
    other(maps, "orders.toml", ("[topic]", f'[topic]\nformat = "{form}"'))
    with pytest.raises(
        MapError, match=rf"orders\.toml: `topic\.format` is '{form}', and the setting `schema_registry_url` is empty"
    ):
        source_maps.teams(load())
    monkeypatch.setenv("STREAM_APP_SCHEMA_REGISTRY_URL", "http://registry:8081")
    assert source_maps.teams(load())["shop.orders"].uses_schemas


def test_a_folder_that_is_not_there_is_named(maps, monkeypatch):
    monkeypatch.setenv("STREAM_APP_SOURCES_DIR", str(maps / "none"))
    with pytest.raises(MapError, match=r"`sources_dir` is .*none, which is no folder"):
        source_maps.teams(load())


def test_the_folder_of_the_checkout_is_there_and_holds_no_map():
    assert source_maps.texts(load()) == []
