"""Models of requests and answers, for the OpenAPI document only: they check no request and build no answer.

Those of the tables of results are made from these by `table_models`.
"""

from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stream_app.api.asking.parameters import ID_CODE_POINTS_MAX, WATCHES_MAX
from stream_app.domain.money import DIGITS

T = TypeVar("T")
_ID: Final = r"^[^\u0000-\u001f\u007f-\u009f]+$"
_KNOWN_CURRENCY: Final = {"enum": sorted(DIGITS)}
Id = Annotated[str, Field(min_length=1, max_length=ID_CODE_POINTS_MAX, json_schema_extra={"pattern": _ID})]
Currency = Annotated[str, Field(json_schema_extra=_KNOWN_CURRENCY)]
Partition = Annotated[int, Field(ge=0, description="The one of the events topic that the result comes from")]
AsOf = Annotated[
    str,
    Field(
        description="The result holds every source record that Kafka had taken before this time",
        examples=["2026-11-24T08:00:00.000Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Version = Annotated[int, Field(description="Grows with every change", ge=0, examples=[1234])]
OperatorId = Annotated[Id | None, Field(description="May be left out when the token is for exactly one operator")]
GroupId = Annotated[Id | None, Field(description="A customer group; ALL is everything of the operator")]


class Plain(BaseModel):
    """Fields are named as in JSON already."""

    model_config = ConfigDict(field_title_generator=lambda name, _: name)


class Model(BaseModel):
    """Names as in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class GroupsRequest(Model):
    """Parameters of groups."""

    operator_id: OperatorId = None


class OperatorsRequest(Model):
    """operators has no parameters."""


class StreamRequest(Model):
    """Parameters of stream."""

    operator_id: OperatorId = None
    group_id: GroupId = "ALL"


class Watch(StreamRequest):
    """A group to watch, and the last event of it that arrived."""

    last_event_id: Annotated[str | None, Field(description="The id of its last event that arrived")] = None


class WatchRequest(Model):
    """Many groups to watch over one stream."""

    watch: Annotated[list[Watch], Field(min_length=1, max_length=WATCHES_MAX)]


class GroupEntry(Model):
    """A customer group in the list of groups."""

    group_id: Id
    name: str | None


class GroupsData(Model):
    """The answer of groups: ALL first, then by id."""

    groups: list[GroupEntry]


class OperatorEntry(Model):
    """An operator in the list of operators."""

    operator_id: Id
    name: str | None
    timezone: str
    currency: Currency


class OperatorsData(Model):
    """The answer of operators: those that the token covers, by id."""

    operators: list[OperatorEntry]


class StateData(Model):
    """Data of the events `as-of` and `stale`."""

    operator_id: Id
    group_id: Id
    partition: Partition
    as_of: AsOf


class RefusedData(Model):
    """Data of the event `refused`, in a stream of many groups."""

    operator_id: Annotated[Id | None, Field(description="As it was sent")]
    group_id: Id
    code: int
    message: str


class OperationsData(Model):
    """The answer of /ops/status. Names inside `status` and `operators` are the monitor's."""

    answers: Annotated[bool, Field(description="Does the monitor answer now?")]
    failure: Annotated[Literal["timeout", "unreachable", "unusable"] | None, Field(description="Why it does not")]
    away_seconds: Annotated[float | None, Field(description="For how long it has not answered")]
    known_seconds: Annotated[float | None, Field(description="How old `status` is; null: nothing was ever known")]
    groups: Annotated[dict[str, str], Field(description="Our consumer groups, by stage: ingest and ledger")]
    status: Annotated[
        dict[str, Any] | None,
        Field(description="The monitor's /status as it was known last; of the partitions those that are not well"),
    ]
    operators: Annotated[
        list[dict[str, Any]], Field(description="While results are behind: the operators whose results are the oldest")
    ]


class NoData(Model):
    """The answer of healthz."""


class StoresData(Model):
    """Which stores answer."""

    redis: bool
    clickhouse: bool


class Envelope(Model, Generic[T]):
    """The envelope of every answer."""

    code: Literal[0]
    message: Literal["ok"]
    data: T


class Error(Model):
    """An error: a code of the table, and no data."""

    code: int
    message: str
