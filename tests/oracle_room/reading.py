"""Reads one source record by section 2 of the contract: what it says, or everything that is wrong with it.

First half of the oracle, used by tests/oracle.py. It shares no code with the product. All faults of a record are collected, not only the
first, since the contract does not say which reason a record with two faults gets.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import floor
from typing import Any, NamedTuple

from iso4217 import Currency

TOPICS = {
    "session": "charging.sessions",
    "payment": "charging.payments",
    "membership": "crm.customer-groups",
    "group": "crm.groups",
    "operator": "crm.operators",
    "cdr": "ocpi.cdrs",
}
DAY_MS = 86_400_000
SESSION_STATES = {"ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID"}
PAYMENT_STATES = {"PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"}
DIGITS = {c.code: c.exponent for c in Currency if c.exponent is not None}
DIGITS |= {"ANG": 2, "BGN": 2, "CUC": 2, "HRK": 2, "SLL": 2, "ZWL": 2}  # withdrawn lately, still within retention


class Record(NamedTuple):
    """A Kafka record."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands: (topic, partition, offset)."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True)
class Event:
    """A usable record. `time_ms` decides what is late and what is now; only sessions, payments and CDRs have one."""

    record: Record
    kind: str
    operator: str
    id: str
    version: int
    time_ms: int | None = None
    customer: str | None = None  # None: anonymous
    session_at_ms: int | None = None  # where it counts as a session, if it does
    payment_at_ms: int | None = None  # where it counts as a payment, if it does
    received: int = 0  # minor units, before refunds
    discount: int = 0
    refunded: int = 0
    currency: str = ""
    energy_wh: int | None = None  # None: unknown
    ended_ms: int | None = None  # of a session or CDR; None: unknown
    credits: str | None = None  # the id of the CDR that a credit takes back
    group_ids: frozenset[str] = frozenset()
    name: str | None = None
    timezone: str = ""

    @property
    def entity(self) -> tuple[str, str, str]:
        """`(operator_id, id)` names an entity of its topic."""
        return self.kind, self.operator, self.id

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """The highest version wins; then the later Kafka timestamp, the higher offset, the higher partition."""
        return self.version, self.record.timestamp_ms, self.record.offset, self.record.partition


@dataclass
class Fields:
    """The fields of a JSON object, and what was found wrong while asking for them."""

    data: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def fault(self, *reasons: str) -> None:
        """Note a fault; several reasons where the contract leaves open which."""
        self.faults.extend(reasons)

    def required(self, name: str) -> Any:
        """The value; null is a missing field."""
        value = self.data.get(name)
        if value is None:
            self.fault("missing_field")
        return value

    def inner(self, name: str) -> "Fields":
        """The fields of a required object within; of an empty one if it can't be had."""
        value = self.required(name)
        if value is not None and not isinstance(value, dict):
            self.fault("wrong_type")
        return Fields(value if isinstance(value, dict) else {}, self.faults)

    def text(self, name: str, *, required: bool = True) -> str | None:
        """A string."""
        value = self.required(name) if required else self.data.get(name)
        if value is not None and not isinstance(value, str):
            self.fault("wrong_type")
            return None
        return value

    def id(self, name: str, *, required: bool = True) -> str | None:
        """An id."""
        value = self.text(name, required=required)
        if value is not None and not is_id(value):
            self.fault("bad_id")
        return value

    def one_of(self, name: str, known: Any, reason: str) -> str | None:
        """A string out of a list."""
        value = self.text(name)
        if value is not None and value not in known:
            self.fault(reason)
        return value

    def integer(self, name: str, highest: int, *, required: bool = False) -> int:
        """An integer from 0 on, by default 0. Booleans, strings and numbers with a fraction or exponent are none."""
        value = self.required(name) if required else self.data.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault("wrong_type")
            return 0
        if not 0 <= value <= highest:
            self.fault("out_of_range")
        return value

    def version(self) -> int:
        """Versions are integers from 0 to 2^53."""
        return self.integer("version", 2**53)

    def number(self, name: str) -> Fraction | None:
        """Any JSON number, exactly; None where it is missing."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.fault("wrong_type")
            return Fraction(0)
        return exact(Decimal(value))

    def energy_wh(self, name: str) -> int | None:
        """Watt-hours of a decimal string or number of kilowatt-hours; None for anything else, which is no fault."""
        kwh = kilowatt_hours(self.data.get(name))
        return None if kwh is None else floor(kwh * 1000 + Fraction(1, 2))  # half-up

    def end_ms(self, name: str) -> int | None:
        """Epoch milliseconds of a time that no result uses; None for anything else, which is no fault."""
        value = self.data.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return instant_ms(value) if isinstance(value, str) else None
        return value if value < 253_402_300_800_000 else None  # the year 10000

    def time(self, name: str, *, zone_needed: bool = True) -> int:
        """Epoch milliseconds of a required time; 0 if it can't be had."""
        value = self.required(name)
        if value is None:
            return 0
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, str):
            self.fault("wrong_type", "bad_time")
            return 0
        instant = instant_ms(value, zone_needed=zone_needed)
        if instant is None:
            self.fault("bad_time")
        return instant or 0


def is_id(text: str) -> bool:
    """1 to 200 code points, no control characters, no lone surrogates."""
    return 1 <= len(text) <= 200 and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)


def exact(number: Decimal) -> Fraction:
    """The number as a fraction; one too large or small to write down is cut to 10^300, 10^-300, which no rule can tell from it."""
    if number and abs(number.adjusted()) > 300:
        return Fraction(10) ** (300 if number.adjusted() > 0 else -300) * (-1 if number < 0 else 1)
    return Fraction(number)


DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def kilowatt_hours(value: Any) -> Fraction | None:
    """The energy that a field holds, from 0 to 999,999.999; None if it holds none."""
    if isinstance(value, str):
        number = Decimal(value) if DECIMAL.fullmatch(value) else None
    else:
        number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
    kwh = None if number is None else exact(number)
    return kwh if kwh is not None and 0 <= kwh <= Fraction("999999.999") else None


RFC_3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def instant_ms(text: str, *, zone_needed: bool = True) -> int | None:
    """Epoch milliseconds of an RFC 3339 time, rounded down; None if it is none. Without a zone, where that is allowed, it is UTC."""
    found = RFC_3339.fullmatch(text)
    if not found or (zone_needed and not found[8]):
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    offset = 0
    if found[8] and found[8] not in "Zz":
        offset = int(found[8][1:3]) * 60 + int(found[8][4:6])
        if int(found[8][1:3]) > 23 or int(found[8][4:6]) > 59:
            return None
        offset *= -1 if found[8][0] == "-" else 1
    try:
        # RFC 3339 has a year 0000, Python's dates begin at 1: 400 years later the calendar is the same.
        days = date(year + 400 if year < 9000 else year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    days -= 146_097 if year < 9000 else 0
    if hour > 23 or minute > 59 or second > 60:
        return None
    minutes = days * 1440 + hour * 60 + minute - offset
    if second == 60:
        # A leap second is the last one of a month of UTC. The clock on the wall still shows the old day: it belongs to that.
        next_day = date.fromordinal(date(1970, 1, 1).toordinal() + (minutes + 1) // 1440)
        return minutes * 60_000 + 59_999 if (minutes + 1) % 1440 == 0 and next_day.day == 1 else None
    millisecond = int((found[7] or ".0")[1:4].ljust(3, "0"))
    return minutes * 60_000 + second * 1000 + millisecond


@cache
def zone_names() -> frozenset[str]:
    """The IANA names of the tzdata package."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def upper(text: str) -> str:
    """ASCII letters upper-cased, all else as it is."""
    return "".join(c.upper() if "a" <= c <= "z" else c for c in text)


def written(number: str) -> Decimal:
    """A JSON number as it was written; an exponent that no arithmetic takes is cut to 9999 or -9999, which no rule can tell from it."""
    try:
        return Decimal(number)
    except InvalidOperation:
        mantissa, _, exponent = number.lower().partition("e")
        return Decimal(f"{mantissa}e{'-' if exponent.startswith('-') else ''}9999")


def _refuse(text: str) -> Any:
    raise ValueError(text)


def parse(value: bytes) -> dict[str, Any] | None:
    """The JSON object by RFC 8259 in UTF-8, of doubled keys the last; None if it is none. Numbers are int or Decimal, as written."""
    try:
        found = json.loads(
            value.decode("utf-8"),
            parse_float=written,
            parse_int=lambda text: int(text[:300]),  # Python refuses to read longer ones; out of every range both ways
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def session(fields: Fields, record: Record) -> Event:
    """Only a COMPLETED session counts."""
    status = fields.one_of("status", SESSION_STATES, "unknown_status")
    start = fields.time("started_at")
    return Event(
        record, "session", fields.id("operator_id") or "", fields.id("session_id") or "", fields.version(), time_ms=start,
        customer=fields.id("customer_id", required=False), session_at_ms=start if status == "COMPLETED" else None,
        energy_wh=fields.energy_wh("energy_kwh"), ended_ms=fields.end_ms("ended_at"),
    )  # fmt: skip


def payment(fields: Fields, record: Record) -> Event:
    """Only SUCCEEDED counts; refunded in full it counts nowhere."""
    status = fields.one_of("status", PAYMENT_STATES, "unknown_status")
    paid = fields.time("paid_at")
    received = fields.integer("amount_received", 2**53 - 1, required=True)
    discount = fields.integer("amount_discount", 2**53 - 1)
    refunded = fields.integer("amount_refunded", 2**53 - 1)
    if refunded > received:
        fields.fault("out_of_range")
    counts = status == "SUCCEEDED" and not refunded == received > 0
    return Event(
        record, "payment", fields.id("operator_id") or "", fields.id("payment_id") or "", fields.version(), time_ms=paid,
        customer=fields.id("customer_id", required=False), payment_at_ms=paid if counts else None,
        received=received, discount=discount, refunded=refunded,
        currency=fields.one_of("currency", DIGITS, "unknown_currency") or "",
    )  # fmt: skip


MOST_GROUPS = 2000


def membership(fields: Fields, record: Record) -> Event:
    """The set of a customer's groups; ALL in it is a bad record."""
    groups = fields.required("group_ids")
    if groups is not None and not isinstance(groups, list):
        fields.fault("wrong_type")
    groups = groups if isinstance(groups, list) else []
    for group_id in groups:
        if not isinstance(group_id, str):
            fields.fault("wrong_type")
        elif not is_id(group_id):
            fields.fault("bad_id")
        elif group_id == "ALL":
            fields.fault("reserved_group")
    if len({group_id for group_id in groups if isinstance(group_id, str)}) > MOST_GROUPS:
        fields.fault("out_of_range")
    return Event(
        record, "membership", fields.id("operator_id") or "", fields.id("customer_id") or "", fields.version(),
        group_ids=frozenset(g for g in groups if isinstance(g, str)),
    )  # fmt: skip


def group(fields: Fields, record: Record) -> Event:
    """A group's name for people; ALL is a bad record."""
    if fields.data.get("group_id") == "ALL":
        fields.fault("reserved_group")
    return Event(
        record, "group", fields.id("operator_id") or "", fields.id("group_id") or "", fields.version(), name=fields.text("name")
    )  # fmt: skip


def operator(fields: Fields, record: Record) -> Event:
    """An operator's zone, currency and name; the name is optional."""
    return Event(
        record, "operator", fields.id("operator_id") or "", "", fields.version(), name=fields.text("name", required=False),
        timezone=fields.one_of("timezone", zone_names(), "unknown_zone") or "",
        currency=fields.one_of("currency", DIGITS, "unknown_currency") or "",
    )  # fmt: skip


def total(cost: Fields) -> Fraction | None:
    """`incl_vat`, else `excl_vat`, or 2.3.0's `before_taxes` + the `taxes` amounts."""
    for name in ("incl_vat", "excl_vat"):
        amount = cost.number(name)
        if amount is not None:
            return amount
    amount = cost.number("before_taxes")
    if amount is None:
        cost.fault("missing_field")
        return None
    taxes = cost.data.get("taxes")
    if taxes is None:
        return amount
    if not isinstance(taxes, list) or not all(isinstance(tax, dict) for tax in taxes):
        cost.fault("wrong_type")
        return None
    for tax in taxes:
        part = Fields(tax, cost.faults).number("amount")
        if part is None:
            cost.fault("missing_field")
        amount += part or 0
    return amount


def cdr(fields: Fields, record: Record, ocpi_operators: dict[str, str]) -> Event:
    """One session at its start and one payment at its end; a credit counts as neither and takes another CDR back."""
    party = f"{upper(fields.id('country_code') or '')}-{upper(fields.id('party_id') or '')}"
    start = fields.time("start_date_time", zone_needed=False)
    end = fields.time("end_date_time", zone_needed=False)
    token = fields.inner("cdr_token")
    customer = token.id("contract_id")
    credit = fields.data.get("credit")
    if credit is not None and not isinstance(credit, bool):
        fields.fault("wrong_type")
    received, currency, counts_session = 0, "", True
    if credit is True:
        fields.required("currency")
        fields.required("total_cost")
    else:
        if max(start, 0) > max(end, 0):  # all before 1970 is the same
            fields.fault("out_of_range")
        currency = fields.one_of("currency", DIGITS, "unknown_currency") or ""
        amount = total(fields.inner("total_cost"))
        if amount is not None and amount < 0:
            fields.fault("out_of_range")
        if amount is not None and currency in DIGITS:
            received = floor(amount * 10 ** DIGITS[currency] + Fraction(1, 2))  # half-up
            if received >= 2**53:
                fields.fault("out_of_range")
        # A reservation never used is a payment only.
        counts_session = (
            fields.data.get("session_id") is not None or kilowatt_hours(fields.data.get("total_energy")) != 0
        )
    return Event(
        record, "cdr", ocpi_operators.get(party, party), upper(fields.id("id") or ""), fields.version(), time_ms=end,
        customer=None if token.data.get("type") == "AD_HOC_USER" else upper(str(customer)),
        session_at_ms=start if credit is not True and counts_session else None,
        payment_at_ms=end if credit is not True else None, received=received, currency=currency,
        energy_wh=fields.energy_wh("total_energy"), ended_ms=end, credits=upper(fields.id("credit_reference_id") or "") if credit is True else None,
    )  # fmt: skip


READERS: dict[str, Callable[[Fields, Record], Event]] = {
    "session": session, "payment": payment, "membership": membership, "group": group, "operator": operator,
}  # fmt: skip


def read(
    record: Record, kind: str, wall_now_ms: int | None, ocpi_operators: dict[str, str]
) -> tuple[Event | None, list[str]]:
    """The event that a record of a kind of topic is, or the reasons why it can't be used."""
    if record.value is None:
        return None, ["tombstone"]
    data = parse(record.value)
    if data is None:
        return None, ["not_json"]
    fields = Fields(data)
    event = cdr(fields, record, ocpi_operators) if kind == "cdr" else READERS[kind](fields, record)
    if event.time_ms is not None and wall_now_ms is not None and event.time_ms > wall_now_ms + DAY_MS:
        fields.fault("in_the_future")  # more than a day ahead of the wall clock
        if event.time_ms >= 253_402_300_800_000:
            fields.fault("bad_time")  # past the year 9999, which no calendar shows
    return (None, fields.faults) if fields.faults else (event, [])
