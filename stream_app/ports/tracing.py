"""Spans as ingest and the partitions need them: of what is done with one record, and of results that are sent. Where traces are not followed there is no Tracing."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from stream_app.formats.traces import Trace


class Place(NamedTuple):
    """Of a record."""

    topic: str
    partition: int
    offset: int


class Span(Protocol):
    """Something that is done, from its beginning to `end`."""

    trace: Trace  # what follows from it carries this

    def count(self, messages: int) -> None:
        """Say how many records it sends."""

    def fail(self, error: str) -> None:
        """Say that it failed, and by what kind of error."""

    def end(self) -> None:
        """It is done."""


class Spans(Protocol):
    """Begins spans. None of one that the sampler leaves out: nothing of it goes on."""

    def process(self, at: Place, consumer_group: str, parent: Trace, began_ns: int) -> Span | None:
        """A record that a consumer group read is worked on since a time, in nanoseconds since 1970."""

    def send(self, topic: str, parent: Trace, links: Sequence[Trace]) -> Span | None:
        """Records that follow from what was worked on, the last of it the parent, are sent to a topic."""

    def close(self) -> None:
        """Export what is there, in bounded time."""


class Tracing(NamedTuple):
    """Spans, and the consumer group that they are of."""

    spans: Spans
    consumer_group: str


@contextmanager
def ending(spans: Iterable[Span]) -> Iterator[None]:
    """End spans with what is done meanwhile; they fail if it does."""
    try:
        yield
    except BaseException as exc:
        for span in spans:
            span.fail(type(exc).__name__)
        raise
    finally:
        for span in spans:
            span.end()
