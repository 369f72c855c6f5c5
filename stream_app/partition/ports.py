"""What a partition needs from outside: Protocols, so that agents and the simulation drive the same code."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from stream_app.domain import working
from stream_app.kafka.log import Records


class Log(Protocol):
    """The transactions of one partition: kafka.log.TransactionLog, or a stand-in."""

    async def open(self) -> None:
        """Become the owner, refusing what an earlier one may still send."""

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        """All or nothing; the changelog position behind the rows. `Raises` kafka.log.Fenced."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""

    async def close(self) -> None:
        """Give up."""


class Topics(msgspec.Struct, frozen=True):
    """Names that the partitions write to; `results` by name of table; `sources` by kind of event, for dead letters."""

    events: str
    changelog: str
    results: dict[str, str]
    dead_letters: str
    sources: dict[int, str]


class Pace(msgspec.Struct, frozen=True):
    """Seconds between two commits, and between two records of a key of a results topic."""

    tick_s: float
    publish_s: float


class Conf(msgspec.Struct, frozen=True):
    """What is the same for all partitions of a worker. `topic_id`: of the events topic."""

    topics: Topics
    pace: Pace
    ledger: working.Settings
    generation: int
    topic_id: str
    ce_type_prefix: str
    ce_source: str


class Range(NamedTuple):
    """Where an events partition begins and ends."""

    first: int
    end: int


Crash = Callable[[Exception], Awaitable[None]]
