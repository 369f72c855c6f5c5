"""What is the same for all partitions of a worker: names, pace, rules."""

from collections.abc import Awaitable, Callable

import msgspec

from stream_app.domain import working


class Topics(msgspec.Struct, frozen=True):
    """Topics that partitions write to.

    `results` by name of table, `sources` by kind of event and number of the topic, for dead letters.
    """

    events: str
    changelog: str
    results: dict[str, str]
    dead_letters: str
    sources: dict[tuple[int, int], str]


class Pace(msgspec.Struct, frozen=True):
    """Seconds between two commits, and between two records of a key of a results topic."""

    tick_s: float
    publish_s: float


class Conf(msgspec.Struct, frozen=True):
    """Names, pace and rules of all partitions of a worker. `topic_id`: the id of the events topic."""

    topics: Topics
    pace: Pace
    ledger: working.Settings
    generation: int
    topic_id: str
    ce_type_prefix: str
    ce_source: str
    native: bool  # with the native library, where it is there
    muted: bool = False  # the generation is being built beside the one that serves: it publishes nothing


Crash = Callable[[Exception], Awaitable[None]]
