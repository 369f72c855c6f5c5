"""Offsets of partitions, anybody's, by ListOffsets: starts, ends, and the first record from a time on. Needs no right to read.

What has no answer is left out: a topic may go while it is asked about. At most `_AT_ONCE` partitions are asked for in one call.
"""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from confluent_kafka.admin._listoffsets import OffsetSpec

from stream_app.observing.cluster import Ends, answered, client_settings

_TIMEOUT_S = 10.0
_FIRST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_END: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NEWEST: Final[OffsetSpec] = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
_AT_ONCE = 500


class Found(NamedTuple):
    """A record: its offset and timestamp. Control records and those of aborted transactions are records here."""

    offset: int
    time_ms: int


class Kept(NamedTuple):
    """What a topic keeps; None: for ever."""

    ms: int | None
    bytes: int | None
    is_compacted: bool


class Offsets:
    """See the module."""

    def __init__(self, servers: str) -> None:
        self._admin = AdminClient(client_settings(servers))

    async def starts(self, partitions: Iterable[tuple[str, int]]) -> Ends:
        """Offsets of the first records that are kept."""
        return _offsets(await self._ask(dict.fromkeys(partitions, _FIRST)))

    async def ends(self, partitions: Iterable[tuple[str, int]], *, stable: bool) -> Ends:
        """End offsets; `stable`: of what is in no open transaction."""
        return _offsets(await self._ask(dict.fromkeys(partitions, _END), stable=stable))

    async def newest(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Found | None]:
        """The records with the highest timestamps; None: a partition without any."""
        return await self._ask(dict.fromkeys(partitions, _NEWEST))

    async def at(
        self, times_ms: Mapping[tuple[str, int], int], *, stable: bool = True
    ) -> dict[tuple[str, int], Found | None]:
        """The first records that are not older than a time; None: there is none up to the end."""
        return await self._ask({tp: OffsetSpec.for_timestamp(ms) for tp, ms in times_ms.items()}, stable=stable)

    async def _ask(
        self, wanted: Mapping[tuple[str, int], OffsetSpec], *, stable: bool = False
    ) -> dict[tuple[str, int], Found | None]:
        found: dict[tuple[str, int], Found | None] = {}
        rest = iter(wanted.items())
        while some := dict(islice(rest, _AT_ONCE)):
            futures = self._admin.list_offsets(
                {TopicPartition(*tp): spec for tp, spec in some.items()},
                isolation_level=IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_TIMEOUT_S,
            )
            refused = False
            for tp, answer in (await answered(futures)).items():
                if isinstance(answer, KafkaException):
                    refused = True
                elif answer.offset >= -1:  # -1001 is librdkafka's for a broker that went away meanwhile
                    found[tp.topic, tp.partition] = (
                        None if answer.offset < 0 else Found(answer.offset, answer.timestamp)
                    )
            if refused:  # after an election librdkafka keeps asking with the old leader epoch
                await asyncio.to_thread(self._admin.list_topics, timeout=_TIMEOUT_S)
        return found

    async def kept(self, topics: Iterable[str]) -> dict[str, Kept]:
        """What topics keep, of those whose configuration may be read."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        if not resources:
            return {}
        futures = self._admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
        found = await answered(futures)
        return {at.name: _kept(config) for at, config in found.items() if not isinstance(config, KafkaException)}


def _offsets(found: Mapping[tuple[str, int], Found | None]) -> Ends:
    return {tp: at.offset for tp, at in found.items() if at is not None}


def _kept(config: Mapping[str, Any]) -> Kept:
    policies = config["cleanup.policy"].value.split(",")

    def limit(name: str) -> int | None:
        value = int(config[name].value)
        return value if value >= 0 and "delete" in policies else None

    return Kept(limit("retention.ms"), limit("retention.bytes"), "compact" in policies)
