"""The five topics of our own contract: sessions, payments, memberships, groups, operators.

For each kind a record type (what the fast way parses into), its exact reading, and its row. An exact reading makes the same record, with
times as milliseconds, so that there is one way from record to row.
"""

from typing import Any, Final, Literal, get_args

import msgspec

from stream_app.domain.errors import Reason
from stream_app.domain.events import ALL, AS_PAYMENT, AS_SESSION, Row
from stream_app.domain.local_time import QUARTER_MS, zone_names
from stream_app.domain.money import DIGITS
from stream_app.sources.exact import (
    ID_LENGTH,
    MOST_AMOUNT,
    MOST_GROUPS,
    MOST_VERSION,
    Fields,
    Fractional,
    UnusableError,
    is_id,
    shown,
)
from stream_app.sources.records import FORMAT, Amount, AnyTime, Id, Source, Time, Version
from stream_app.sources.times import epoch_ms
from stream_app.sources.unchecked import KNOWN_WH, energy_wh, id_or_none, time_or_none

_SessionState = Literal["ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID"]
_PaymentState = Literal["PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"]
_SESSION_STATES, _PAYMENT_STATES = get_args(_SessionState), get_args(_PaymentState)


class Session(msgspec.Struct, gc=False):
    """A charging session."""

    id: Id = msgspec.field(name="session_id")
    operator_id: Id
    status: _SessionState
    time: Time = msgspec.field(name="started_at")
    customer_id: Id | None = None
    version: Version | None = 0
    energy: Any = msgspec.field(default=None, name="energy_kwh")
    ended_at: AnyTime | None = None


class Payment(msgspec.Struct, gc=False):
    """A payment, amounts in minor units."""

    id: Id = msgspec.field(name="payment_id")
    operator_id: Id
    status: _PaymentState
    received: Amount = msgspec.field(name="amount_received")
    currency: str
    time: Time = msgspec.field(name="paid_at")
    customer_id: Id | None = None
    discount: Amount | None = msgspec.field(default=0, name="amount_discount")
    refunded: Amount | None = msgspec.field(default=0, name="amount_refunded")
    version: Version | None = 0
    session_id: Id | None = None


class Membership(msgspec.Struct, gc=False):
    """The groups of a customer."""

    id: Id = msgspec.field(name="customer_id")
    operator_id: Id
    group_ids: list[Id]
    version: Version | None = 0


class GroupName(msgspec.Struct, gc=False):
    """The name of a group."""

    id: Id = msgspec.field(name="group_id")
    operator_id: Id
    name: str
    version: Version | None = 0


class Announcement(msgspec.Struct, gc=False):
    """What an operator announces of itself."""

    operator_id: Id
    timezone: str
    currency: str
    name: str | None = None
    version: Version | None = 0

    @property
    def id(self) -> str:
        """There is one of it in an operator."""
        return ""


def _exact_session(fields: Fields, latest_ms: int) -> Session:
    return Session(
        id=fields.id("session_id"),
        operator_id=fields.id("operator_id"),
        status=fields.status(_SESSION_STATES),
        customer_id=fields.optional_id("customer_id"),
        version=fields.integer_or_zero("version", MOST_VERSION),
        time=fields.time("started_at", epoch_ms, latest_ms),
        energy=fields.unchecked("energy_kwh"),
        ended_at=time_or_none(fields.unchecked("ended_at")),
    )


def _session_row(record: Session, timestamp: int, offset: int, partition: int, latest_ms: int) -> Row | None:
    time = record.time
    ms = time if type(time) is int else epoch_ms(time)  # type: ignore[arg-type]  # isinstance takes longer
    if ms is None or ms > latest_ms:
        return None
    energy, ended, wh = record.energy, record.ended_at, None
    if energy is not None:
        try:
            wh = KNOWN_WH[energy]
        except (KeyError, TypeError):  # TypeError: an array or an object
            wh = energy_wh(energy)
    if ended is not None:
        ended = ended if type(ended) is int else epoch_ms(ended)  # type: ignore[arg-type]
    return [
        record.version or 0, timestamp, offset, partition, FORMAT, AS_SESSION if record.status == "COMPLETED" else 0,
        ms // QUARTER_MS, 0, record.customer_id, wh, ms % QUARTER_MS,
        None if ended is None else ended - ms,
    ]  # fmt: skip


def _exact_payment(fields: Fields, latest_ms: int) -> Payment:
    record = Payment(
        id=fields.id("payment_id"),
        operator_id=fields.id("operator_id"),
        status=fields.status(_PAYMENT_STATES),
        received=fields.integer("amount_received", MOST_AMOUNT),
        currency=fields.currency("currency"),
        customer_id=fields.optional_id("customer_id"),
        discount=fields.integer_or_zero("amount_discount", MOST_AMOUNT),
        refunded=fields.integer_or_zero("amount_refunded", MOST_AMOUNT),
        version=fields.integer_or_zero("version", MOST_VERSION),
        time=fields.time("paid_at", epoch_ms, latest_ms),
        session_id=id_or_none(fields.unchecked("session_id")),
    )
    if (record.refunded or 0) > record.received:
        fields.bad(Reason.OUT_OF_RANGE, "amount_refunded", f"must not be above amount_received, {record.received}")
    return record


def _payment_row(record: Payment, timestamp: int, offset: int, partition: int, latest_ms: int) -> Row | None:
    time = record.time
    ms = epoch_ms(time) if isinstance(time, str) else time
    received, refunded, currency = record.received, record.refunded or 0, record.currency
    if ms is None or ms > latest_ms or refunded > received or currency not in DIGITS:
        return None
    counted = AS_PAYMENT if record.status == "SUCCEEDED" and not received == refunded > 0 else 0
    return [
        record.version or 0, timestamp, offset, partition, FORMAT, counted, ms // QUARTER_MS, 0, record.customer_id,
        None, ms % QUARTER_MS, None, received, record.discount or 0, refunded, currency, record.session_id,
    ]  # fmt: skip


def _exact_membership(fields: Fields, _latest_ms: int) -> Membership:
    record = Membership(
        id=fields.id("customer_id"),
        operator_id=fields.id("operator_id"),
        group_ids=fields.array("group_ids"),
        version=fields.integer_or_zero("version", MOST_VERSION),
    )
    for group in record.group_ids:
        if type(group) is not str:
            raise UnusableError(Reason.WRONG_TYPE, f"group_ids has {shown(group)}, must have strings only")
        if not is_id(group):
            rule = f"must have ids of 1 to {ID_LENGTH} characters, no control ones, no lone surrogates"
            raise UnusableError(Reason.BAD_ID, f"group_ids has {shown(group)}, {rule}")
        if group == ALL:
            raise UnusableError(
                Reason.RESERVED_GROUP, f'group_ids has "{ALL}", which everything belongs to, and must not be listed'
            )
    if (count := len(set(record.group_ids))) > MOST_GROUPS:
        raise UnusableError(Reason.OUT_OF_RANGE, f"group_ids has {count} groups, must have {MOST_GROUPS} at most")
    return record


def _membership_row(record: Membership, timestamp: int, offset: int, partition: int, _latest_ms: int) -> Row | None:
    groups = record.group_ids
    if ALL in groups or (len(groups) > MOST_GROUPS and len(set(groups)) > MOST_GROUPS):
        return None
    return [
        record.version or 0,
        timestamp,
        offset,
        partition,
        FORMAT,
        sorted(set(groups)) if len(groups) > 1 else groups,
    ]


def _exact_group(fields: Fields, _latest_ms: int) -> GroupName:
    record = GroupName(
        id=fields.id("group_id"),
        operator_id=fields.id("operator_id"),
        name=fields.text("name"),
        version=fields.integer_or_zero("version", MOST_VERSION),
    )
    if record.id == ALL:
        fields.bad(Reason.RESERVED_GROUP, "group_id", "which everything belongs to, and must not be named")
    return record


def _group_row(record: GroupName, timestamp: int, offset: int, partition: int, _latest_ms: int) -> Row | None:
    return None if record.id == ALL else [record.version or 0, timestamp, offset, partition, FORMAT, record.name]


def _exact_operator(fields: Fields, _latest_ms: int) -> Announcement:
    return Announcement(
        operator_id=fields.id("operator_id"),
        timezone=fields.one_of(
            "timezone", zone_names(), Reason.UNKNOWN_ZONE, "must be a name of the IANA time zone database"
        ),
        currency=fields.currency("currency"),
        name=fields.optional_text("name"),
        version=fields.integer_or_zero("version", MOST_VERSION),
    )


def _operator_row(record: Announcement, timestamp: int, offset: int, partition: int, _latest_ms: int) -> Row | None:
    zone, currency = record.timezone, record.currency
    if zone not in zone_names() or currency not in DIGITS:
        return None
    return [record.version or 0, timestamp, offset, partition, FORMAT, zone, currency, record.name]


def _session_ids(record: Session) -> list[str]:
    return [record.id, record.operator_id, record.customer_id or ""]


def _payment_ids(record: Payment) -> list[str]:
    return [record.id, record.operator_id, record.customer_id or "", record.session_id or ""]


SESSIONS: Final = Source(
    msgspec.json.Decoder(Session, float_hook=Fractional).decode, _session_ids, _exact_session, _session_row
)
PAYMENTS: Final = Source(msgspec.json.Decoder(Payment).decode, _payment_ids, _exact_payment, _payment_row)
MEMBERSHIPS: Final = Source(
    msgspec.json.Decoder(Membership).decode,
    lambda record: [record.id, record.operator_id, *record.group_ids],
    _exact_membership,
    _membership_row,
)
GROUPS: Final = Source(
    msgspec.json.Decoder(GroupName).decode, lambda record: [record.id, record.operator_id], _exact_group, _group_row
)
OPERATORS: Final = Source(
    msgspec.json.Decoder(Announcement).decode, lambda record: [record.operator_id], _exact_operator, _operator_row
)
