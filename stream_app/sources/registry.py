"""The source topics: one table, and whatever reads, makes, watches or feeds them walks over it.

A source topic of another form of JSON needs a map only (`maps`, a file of the folder `sources_dir`). One of another format is added by a line of TEAMS, a reader of its format (a module beside this one), and a setting `topic_NAME`: its name in Kafka. Its kind of
events, where none fits yet, stands in domain/events.py. CONTRIBUTING.md walks through it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.sources import canonical, ocpi
from stream_app.sources.mapped import TopicReader
from stream_app.sources.maps.map_file import TopicMap
from stream_app.sources.records import Source

Reader = Callable[[Mapping[str, str]], Source]  # from the setting `ocpi_operators`

_DAY_MS: Final = 86_400_000
_FIRST_MAPPED: Final = 1000  # the numbers of topics with maps follow this one; those of TEAMS lie below


@dataclass(frozen=True, eq=False, slots=True)
class SourceTopic:
    """A source topic. `kind`: of its events; `partitions`, `config`: as `make up` makes it; an optional one may be missing for ever.

    `number` tells topics of one kind apart in rows, by which the ledger names the source record of a dead letter: it is never changed and never given again.
    """

    name: str
    kind: int
    reader: Reader
    partitions: int = 1
    config: Mapping[str, str] = field(default_factory=dict)
    is_optional: bool = False
    number: int = 0

    @property
    def kinds(self) -> tuple[int, ...]:
        """All kinds of events that may come of it."""
        return (self.kind,)

    @property
    def uses_schemas(self) -> bool:
        """Whether its values name schemas of a schema registry."""
        return False

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True)
class MappedTopic(SourceTopic):
    """A topic of one's own, read by a map; `name` is the one in Kafka. `kind` is one of `kinds`, and `reader` is not asked."""

    map_reader: TopicReader = field(kw_only=True)

    @property
    def kinds(self) -> tuple[int, ...]:
        """Of the sections of the map."""
        return self.map_reader.kinds

    @property
    def uses_schemas(self) -> bool:
        """By the format of the map."""
        return self.map_reader.uses_schemas


def _always(source: Source) -> Reader:
    return lambda _: source


SESSIONS: Final = SourceTopic("sessions", SESSION, _always(canonical.SESSIONS), partitions=3)
PAYMENTS: Final = SourceTopic("payments", PAYMENT, _always(canonical.PAYMENTS), partitions=3)
CDRS: Final = SourceTopic("cdrs", CDR, ocpi.source)
CUSTOMER_GROUPS: Final = SourceTopic("customer_groups", MEMBERSHIP, _always(canonical.MEMBERSHIPS))
GROUPS: Final = SourceTopic("groups", GROUP, _always(canonical.GROUPS), is_optional=True)
OPERATORS: Final = SourceTopic("operators", OPERATOR, _always(canonical.OPERATORS))

# Topics of other teams.
TEAMS: Final = (SESSIONS, PAYMENTS, CDRS, CUSTOMER_GROUPS, GROUPS, OPERATORS)
# The monitor's own payments, which go through all stages. Its number is that of payments: it has always the newest payment of an operator of its own.
PROBE: Final = SourceTopic("probe", PAYMENT, PAYMENTS.reader, config={"retention.ms": str(_DAY_MS)})
INGESTED: Final = (*TEAMS, PROBE)


def _of_map(_: Mapping[str, str]) -> Source:
    raise TypeError("records of a topic with a map are read by the map")


def mapped(map_: TopicMap) -> MappedTopic:
    """The source topic of a map."""
    topic, reader = map_.topic, TopicReader(map_)
    return MappedTopic(
        topic.name,
        reader.kinds[0],
        _of_map,
        topic.partitions,
        is_optional=topic.is_optional,
        number=_FIRST_MAPPED + topic.number,
        map_reader=reader,
    )


def by_kafka_name(topics: Iterable[SourceTopic], kafka_name: Callable[[str], str]) -> dict[str, SourceTopic]:
    """Name in Kafka -> source topic; `kafka_name` has it from the settings, by the name here."""
    return {kafka_name(topic.name): topic for topic in topics}
