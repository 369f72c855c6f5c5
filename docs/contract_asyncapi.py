"""The AsyncAPI 3 document of the topics that others write and read: addresses, keys, headers, values, and how the topics are configured.

Seen from the service: it receives source events and sends results. Values are references to the JSON Schemas beside the document. `docs/contract_files.py`
writes it.
"""

from typing import Any, Final

from config.settings import Settings
from stream_app.cli.topics import topics_of
from stream_app.contracts.results import AS_OF_KEY, LETTER_KEY, headers_schema, key_schema
from stream_app.contracts.sources import DRAFT, Schema
from stream_app.domain.tables import TABLES, Table
from stream_app.local.topics import TopicSpec
from stream_app.sources.registry import TEAMS, SourceTopic

_BINDING: Final = "0.5.0"
_FORMAT: Final = "application/schema+json;version=draft-07"
_NUMBERS: Final = frozenset({"retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"})
_ANY_KEY: Final[Schema] = {"description": "Any, or none: nothing is read from it."}
_COMMITTED: Final = "Written in transactions: set isolation.level=read_committed. A key changes at most once a second."
_AFTERWARDS: Final = "Each second, after the results that it speaks for are committed; in no transaction."
_GONE: Final = "A null value: the cell left retention. Compaction removes the key."
_DESCRIPTION: Final = """Topics of the CRM statistics: source events that others write, results that others read.

Source topics belong to other teams: any key, any partitioner, any number of partitions, which may grow. A record that can't be used becomes a dead letter, and stops nothing.
Keys of results are partitioned by murmur2, as every Kafka client does it."""


def _schema(file: str) -> Schema:
    return {"schemaFormat": _FORMAT, "schema": {"$ref": f"./{file}.json"}}


def _inline(schema: Schema) -> Schema:
    return {"schemaFormat": _FORMAT, "schema": {"$schema": DRAFT, **schema}}


def _message(name: str, title: str, payload: Schema, key: Schema, **more: Any) -> Schema:
    return {
        "name": name,
        "title": title,
        "contentType": "application/json",
        "payload": payload,
        **more,
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING}},
    }


def _channel(address: str, messages: list[str], binding: Schema, said: str) -> Schema:
    kafka = {"topic": address, **binding, "bindingVersion": _BINDING}
    return {
        "address": address,
        "description": said,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": kafka},
    }


def _made(spec: TopicSpec) -> Schema:
    """A topic of ours, as `make up` makes it."""
    config: Schema = {name: int(value) if name in _NUMBERS else value for name, value in spec.config.items()}
    config["cleanup.policy"] = spec.config["cleanup.policy"].split(",")
    return {"partitions": spec.partitions, "replicas": spec.replication_factor, "topicConfiguration": config}


def _operation(action: str, channel: str, summary: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


class _Document:
    """The three lists of the document, filled topic by topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made = {spec.name: _made(spec) for spec in topics_of(settings) if "cleanup.policy" in spec.config}
        self.channels: Schema = {}
        self.messages: Schema = {}
        self.operations: Schema = {}

    def source(self, topic: SourceTopic, title: str) -> None:
        address = self._settings.source_topic(topic.name)
        said = f"{title}. {'Optional.' if topic.is_optional else 'Waited for where it is missing.'}"
        self.messages[topic.name] = _message(topic.name, title, _schema(address), _ANY_KEY)
        self.channels[topic.name] = _channel(address, [topic.name], {}, said)
        self.operations[f"receive_{topic.name}"] = _operation("receive", topic.name, title)

    def table(self, table: Table[Any]) -> None:
        name, address = table.name, self._settings.result_topic(table.name)
        title, key, headers = table.meaning.removesuffix("."), key_schema(table), _inline(headers_schema(table.topic))
        self.messages[name] = _message(name, title, _schema(address), key, headers=headers)
        gone = f"{name}_gone"
        self.messages[gone] = _message(gone, _GONE, _inline({"type": "null"}), key, headers=headers)
        self._send(name, address, [name, gone], title, _COMMITTED)

    def as_of(self) -> None:
        name, address, title = "as_of", self._settings.topic_as_of, "Up to when a partition's results hold"
        headers = _inline(headers_schema("as-of.v1", traced=False))
        self.messages[name] = _message(name, title, _schema(address), AS_OF_KEY, headers=headers)
        self._send(name, address, [name], title, _AFTERWARDS)

    def dead_letters(self) -> None:
        name, address = "dead_letters", self._settings.topic_dead_letters
        title, bytes_ = "A source record that can't be used, as it came, with the reason", {"description": "Any bytes."}
        letter = _message(name, title, bytes_, LETTER_KEY, headers=_schema(address))
        self.messages[name] = letter | {"contentType": "application/octet-stream"}
        self._send(name, address, [name], title, "The same record read again replaces its own letter.")

    def _send(self, name: str, address: str, messages: list[str], title: str, said: str) -> None:
        self.channels[name] = _channel(address, messages, self._made[address], said)
        self.operations[f"send_{name}"] = _operation("send", name, title)


def asyncapi(settings: Settings, version: str, titles: dict[str, str]) -> Schema:
    """The document. `titles`: of the schema of each source topic of our own contract, by the topic's name in Kafka."""
    made = _Document(settings)
    for topic in TEAMS:
        if (address := settings.source_topic(topic.name)) in titles:
            made.source(topic, titles[address])
    for table in TABLES:
        made.table(table)
    made.as_of()
    made.dead_letters()
    host = settings.kafka_bootstrap_servers
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "CRM statistics", "version": version, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"local": {"host": host, "protocol": "kafka", "description": "As `make up` starts it."}},
        "channels": made.channels,
        "operations": made.operations,
        "components": {"messages": made.messages},
    }
