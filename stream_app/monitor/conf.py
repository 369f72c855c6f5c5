"""Configuration of the monitor's process: values out of the settings, as JSON in its environment, for the process begins without the settings' library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import orjson

from stream_app.access.kafka import KafkaAccess

VARIABLE = "STREAM_APP_MONITOR_CONF"  # of the environment; holds all of it, secrets included


@dataclass(frozen=True, slots=True)
class Conf:
    """Names, addresses and bounds."""

    kafka: KafkaAccess
    ours: Mapping[str, Sequence[str]]  # our consumer groups -> topics that each must read, whole
    others: Sequence[str]  # regular expressions of other groups
    own: str  # regular expression of the names that our groups have in any generation
    command: list[str]  # what the process becomes when a newer generation serves
    generation: int  # that is watched
    topic_generations: str
    ledger_prefix: str  # of the consumer group's name, before the generation
    copy_prefix: str  # likewise, of the group that copies into an events topic of another number of partitions
    events_prefix: str  # of the topic's name, before the generation of events topics
    events: str  # that is read now
    partitions_max: int
    timestamps: Literal["log", "bisect"]
    interval_ms: int
    ingest: str  # the consumer groups of the two stages
    ledger: str
    sources: Sequence[str]  # topics of other teams
    optional_sources: Sequence[str]  # those of them that may be missing
    topic_as_of: str
    topic_dead_letters: str
    events_partitions: int
    redis_url: str = field(repr=False)  # with the password
    clickhouse_url: str = field(repr=False)
    clickhouse_database: str
    topic_probe: str
    probe_ms: int  # between two probes; 0: none
    api_url: str  # whose stream the probe watches
    api_cafile: str  # CA of its certificate; "": those that the machine trusts
    token_claims: Mapping[str, Any]  # what its token must say to read the probe's operator
    jwt_secret: str | None = field(repr=False)  # to sign it with
    host: str
    port: int

    def encoded(self) -> str:
        """JSON, for the environment variable."""
        return orjson.dumps(self).decode()

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The configuration out of the environment variable."""
        values = orjson.loads(text)
        return cls(**values | {"kafka": KafkaAccess(**values["kafka"])})
