"""Kafka as ingest and the partitions need it: appends, transactions, the replay of a changelog, offsets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from stream_app.ports.records import Records


class Fenced(Exception):  # noqa: N818  # what it is, not what failed
    """Another owner of the transactional id has come since."""


class Interrupted(Exception):  # noqa: N818  # what it is, not what failed
    """A transaction failed for a reason that passes by itself, such as a coordinator that is away. It may be committed, or not."""


class ChangelogLost(Exception):  # noqa: N818  # what it is, not what failed
    """The changelog of a partition is not the one that its store follows: another changelog, or one that lost data."""

    def __init__(self, partition: int, detail: str) -> None:
        super().__init__(detail)
        self.partition = partition


class Appender(Protocol):
    """Appends outside of transactions, acknowledged by all replicas when `append` returns."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    async def append(self, records: Records) -> int | None:
        """Append records; gives the broker's time of it (epoch milliseconds) where the topic keeps log append time."""

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""


class Log(Protocol):
    """The transactions of one events partition."""

    async def open(self) -> None:
        """Become the owner, refusing what an earlier one may still send."""

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        """One transaction of changelog rows, records of other topics and the next offset of the events partition.

        Gives the changelog position behind the rows. `Raises` Fenced, Interrupted.
        """

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""

    async def close(self) -> None:
        """Disconnect."""


class Replayed(Protocol):
    """A store that follows a changelog: `log` is the changelog position that its rows stand for."""

    log: int

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys."""

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        """Take rows, and stand for the changelog up to `log`."""


class Range(NamedTuple):
    """First offset and end offset of an events partition."""

    first: int
    end: int


class Sample(NamedTuple):
    """A sample of the as-of frontier that was reached.

    All source records that Kafka took before `time_ms` lie in the events partitions before `ends`.
    """

    time_ms: int
    ends: dict[int, int]  # by events partition


class Kafka(Protocol):
    """The part of Kafka that the lanes of a worker use."""

    def new_log(self, partition: int) -> Log:
        """The transactions of an events partition."""

    async def owns(self, partition: int) -> bool | None:
        """Whether the consumer group, as its coordinator knows it, has given an events partition to this worker; None while it rebalances."""

    async def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        """First and end offsets of partitions of a topic."""

    async def tombstones_ms(self, topic: str) -> int:
        """For how long a compacted topic keeps tombstones, in milliseconds."""

    async def replay(self, topic: str, stores: Mapping[int, Replayed]) -> int:
        """Bring stores, by partition, up to the end of a changelog; the number of records read.

        `Raises` ChangelogLost.
        """
