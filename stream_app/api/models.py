"""Models of what goes in and out, for the documentation only: no request is checked and no answer is built by them."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stream_app.api.parameters import DEFAULT_DAYS, DEFAULT_MONTHS, ID_CODE_POINTS_MAX, MONTHS_MAX

T = TypeVar("T")
Id = Annotated[str, Field(min_length=1, max_length=ID_CODE_POINTS_MAX)]
Money = Annotated[str, Field(description="In major units, with the currency's digits", examples=["1234.50"])]
Average = Annotated[str, Field(description="Rounded half-up; zero when there is nobody to divide by")]
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
GroupId = Annotated[Id, Field(description="A customer group; ALL is everything of the operator")]


class Model(BaseModel):
    """Names as in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class MonthlyRequest(Model):
    """Parameters of monthlyIndex."""

    operator_id: OperatorId = None
    group_id: GroupId = "ALL"
    months: Annotated[int, Field(ge=1, le=MONTHS_MAX)] = DEFAULT_MONTHS
    end_month: Annotated[
        str | None, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="The last month; the current one by default")
    ] = None
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$", description="ISO 4217; the operator's by default")] = (
        None
    )


class DistributionRequest(Model):
    """Parameters of chargingDistribute."""

    operator_id: OperatorId = None
    group_id: GroupId = "ALL"
    days: Annotated[int, Field(ge=1, le=92)] = DEFAULT_DAYS
    end_date: Annotated[
        str | None,
        Field(description="The last date; today by default", json_schema_extra={"format": "date"}),
    ] = None


class GroupsRequest(Model):
    """Parameters of groups."""

    operator_id: OperatorId = None


class OperatorsRequest(Model):
    """operators has no parameters."""


class StreamRequest(Model):
    """Parameters of stream."""

    operator_id: OperatorId = None
    group_id: GroupId = "ALL"


class Month(Model):
    """Key figures of a group in a month and currency."""

    month: Annotated[str, Field(examples=["2026-11"])]
    received_amount: Money
    discount_amount: Money
    refunded_amount: Money
    payment_count: int
    paying_customers: int
    per_capita_payment: Average
    session_count: int
    charging_customers: int
    per_capita_frequency: Average
    anonymous_amount: Money
    anonymous_session_count: int


class MonthlyData(Model):
    """The answer of monthlyIndex."""

    operator_id: Id
    group_id: Id
    timezone: str
    currency: str
    currencies: list[str]
    partition: int
    as_of: AsOf
    version: Version
    months: list[Month]


class Slot(Model):
    """Half an hour of the local day."""

    slot: Annotated[int, Field(ge=0, le=47)]
    start: str
    end: str
    charge_count: int


class DistributionData(Model):
    """The answer of chargingDistribute."""

    operator_id: Id
    group_id: Id
    timezone: str
    partition: int
    as_of: AsOf
    version: Version
    from_: Annotated[str, Field(alias="from")]
    to: str
    total: int
    slots: Annotated[list[Slot], Field(min_length=48, max_length=48)]


class Group(Model):
    """A customer group."""

    group_id: Id
    name: str | None


class GroupsData(Model):
    """The answer of groups: ALL first, then by id."""

    groups: list[Group]


class Operator(Model):
    """An operator."""

    operator_id: Id
    name: str | None
    timezone: str
    currency: str


class OperatorsData(Model):
    """The answer of operators: those that the token covers, by id."""

    operators: list[Operator]


class StoresData(Model):
    """Which stores answer."""

    redis: bool
    clickhouse: bool


class Envelope(Model, Generic[T]):
    """What every answer stands in."""

    code: Literal[0]
    message: Literal["ok"]
    data: T


class Error(Model):
    """An error: a code of the table, and no data."""

    code: int
    message: str


def example(data: Any) -> dict[str, Any]:
    """An answer with this data."""
    return {"code": 0, "message": "ok", "data": data}


MONTH_EXAMPLE: dict[str, Any] = {
    "month": "2026-06",
    "receivedAmount": "1234.50",
    "discountAmount": "12.00",
    "refundedAmount": "0.00",
    "paymentCount": 101,
    "payingCustomers": 40,
    "perCapitaPayment": "30.86",
    "sessionCount": 120,
    "chargingCustomers": 44,
    "perCapitaFrequency": "2.73",
    "anonymousAmount": "0.00",
    "anonymousSessionCount": 0,
}
_HEAD = {"operatorId": "M1", "groupId": "ALL", "timezone": "Europe/Berlin"}
_STATE = {"partition": 3, "asOf": "2026-11-24T08:00:00.000Z", "version": 1234}
MONTHLY_EXAMPLE = example(
    {**_HEAD, "currency": "EUR", "currencies": ["EUR"], **_STATE, "months": [MONTH_EXAMPLE]},
)
DISTRIBUTION_EXAMPLE = example(
    {
        **_HEAD,
        **_STATE,
        "from": "2026-10-26",
        "to": "2026-11-24",
        "total": 576,
        "slots": [
            {
                "slot": slot,
                "start": f"{slot // 2:02d}:{slot % 2 * 30:02d}",
                "end": f"{(slot + 1) // 2:02d}:{(slot + 1) % 2 * 30:02d}",
                "chargeCount": 12,
            }
            for slot in range(48)
        ],
    }
)
STREAM_EXAMPLE = """event: monthly
id: 1234-0
data: {"operatorId":"M1","groupId":"ALL", ...}

event: distribution
id: 1234-1230
data: {"operatorId":"M1","groupId":"ALL", ...}

event: as-of
data: {"partition":3,"asOf":"2026-11-24T08:00:00.000Z"}

"""
GROUPS_EXAMPLE = example({"groups": [{"groupId": "ALL", "name": None}, {"groupId": "vip", "name": "大客户"}]})
OPERATORS_EXAMPLE = example(
    {"operators": [{"operatorId": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR"}]}
)
