"""Charge detail records: CDR objects of OCPI 2.2.1 and 2.3.0.

A CDR is a counted session and a counted payment in one. Its numbers are JSON numbers with fractions, which go from text to integers of
the minor unit by decimals, never by a float. Ids are compared without case by OCPI, so their ASCII letters are made upper case.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any

import msgspec

from stream_app.domain.errors import Reason
from stream_app.domain.events import AS_PAYMENT, AS_SESSION, Row
from stream_app.domain.local_time import QUARTER_MS
from stream_app.domain.money import DIGITS
from stream_app.sources.exact import (
    CONTROLS,
    ID_LENGTH,
    MOST_AMOUNT,
    MOST_VERSION,
    Fields,
    Fractional,
    UnusableError,
    is_id,
    shown,
)
from stream_app.sources.records import FORMAT, Id, Source, Time, Version
from stream_app.sources.times import LAST_MS, epoch_ms_or_utc
from stream_app.sources.unchecked import energy_wh, id_or_none, is_zero_energy

_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
# A sum keeps all its digits, or there is none: 2,000 are far beyond any amount, and few enough to add quickly.
_EXACT = Context(prec=2000, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDING = Context(prec=2000, rounding=ROUND_HALF_UP, traps=[InvalidOperation, Overflow])
_PLAIN_NUMBER = re.compile(rb"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_MISSING = (b"", b"null")


class Cdr(msgspec.Struct, gc=False):
    """A usable CDR. `energy` in Wh, None: unknown; `amount` in minor units; `credits` is the id that a credit takes back."""

    id: str
    operator_id: str
    customer_id: str | None
    version: int
    start_ms: int
    end_ms: int
    counted: int
    energy: int | None
    session_id: str | None
    amount: int = 0
    currency: str = ""
    credits: str | None = None


class _Tax(msgspec.Struct, gc=False):
    amount: msgspec.Raw


class _Price(msgspec.Struct, gc=False):
    incl_vat: msgspec.Raw = msgspec.Raw()
    excl_vat: msgspec.Raw = msgspec.Raw()
    before_taxes: msgspec.Raw = msgspec.Raw()
    taxes: list[_Tax] | None = None


class _Token(msgspec.Struct, gc=False):
    contract_id: Id
    type: str | None = None


class Wire(msgspec.Struct, gc=False):
    """The fields of a CDR that count. Numbers stay as they were written."""

    country_code: Id
    party_id: Id
    id: Id
    start_date_time: Time
    end_date_time: Time
    cdr_token: _Token
    currency: str
    total_cost: _Price
    session_id: Any = None
    total_energy: Any = None
    credit: bool | None = None
    version: Version | None = 0


_decode_wire = msgspec.json.Decoder(Wire, float_hook=Fractional).decode


def source(operators: Mapping[str, str]) -> Source:
    """CDRs, with the setting that names operators by country and party, as {"NL-ALF": "M1"}."""
    return Source(
        read=lambda value: plain(_decode_wire(value), operators),
        ids=lambda _record: [],  # `read` looked at them itself: those of an anonymous customer are gone
        exact=lambda fields, latest_ms: _exact(fields, latest_ms, operators),
        row=row,
    )


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else text.translate(_UPPER)


def _operator(country: str, party: str, operators: Mapping[str, str]) -> str:
    """The operator of a country and party, by the setting where it has it."""
    name = _upper(f"{country}-{party}")
    return operators.get(name, name)


def row(record: Cdr, timestamp: int, offset: int, partition: int, latest_ms: int) -> Row | None:
    """The row of a CDR, with Kafka's timestamp, offset, partition and the latest time; None for one that ends after that."""
    if record.end_ms > latest_ms:
        return None
    time, rest = divmod(record.end_ms, QUARTER_MS)
    return [
        record.version, timestamp, offset, partition, FORMAT, record.counted, time, 0, record.customer_id,
        record.energy, rest, record.end_ms - record.start_ms,
        record.amount, 0, 0, record.currency, record.session_id, record.start_ms // QUARTER_MS, record.credits, {},
    ]  # fmt: skip


def plain(wire: Wire, operators: Mapping[str, str]) -> Cdr | None:
    """A CDR without anything unusual; None for a credit and for anything in doubt."""
    amount = _plain_amount(wire.total_cost, wire.currency)
    start_ms, end_ms = _plain_time(wire.start_date_time), _plain_time(wire.end_date_time)
    operator, token = _operator(wire.country_code, wire.party_id, operators), wire.cdr_token
    if (
        wire.credit
        or amount is None
        or start_ms is None
        or end_ms is None
        or start_ms > end_ms
        or not is_id(operator)
        or CONTROLS.search(f"{wire.country_code}{wire.party_id}{wire.id}{token.contract_id}")
    ):
        return None
    return Cdr(
        id=_upper(wire.id),
        operator_id=operator,
        customer_id=None if token.type == "AD_HOC_USER" else _upper(token.contract_id),
        version=wire.version or 0,
        start_ms=start_ms,
        end_ms=end_ms,
        counted=_counted(wire.session_id, wire.total_energy),
        energy=energy_wh(wire.total_energy),
        session_id=_session_id(wire.session_id),
        amount=amount,
        currency=wire.currency,
    )


def _plain_time(time: int | str) -> int | None:
    ms = epoch_ms_or_utc(time) if isinstance(time, str) else time
    return ms if ms is not None and ms <= LAST_MS else None


def _plain_amount(price: _Price, currency: str) -> int | None:
    numbers = [found for found in (bytes(price.incl_vat), bytes(price.excl_vat)) if found not in _MISSING][:1]
    if not numbers:
        numbers = [bytes(price.before_taxes), *(bytes(tax.amount) for tax in price.taxes or ())]
    if currency not in DIGITS or not all(map(_PLAIN_NUMBER.fullmatch, numbers)):
        return None
    if len(numbers) == 1:
        return _plain_minor_units(numbers[0], DIGITS[currency])
    return minor_units([number.decode() for number in numbers], currency)


def _plain_minor_units(number: bytes, digits: int) -> int | None:
    """Like minor_units of one plain number: the digit after those of the currency says where it is rounded to."""
    whole, _, fraction = number.partition(b".")
    amount = int(whole + fraction[:digits].ljust(digits, b"0")) + (fraction[digits : digits + 1] >= b"5")
    return amount if amount <= MOST_AMOUNT else None


def minor_units(numbers: Iterable[str], currency: str) -> int | None:
    """The sum of JSON numbers of major units, rounded half-up; None if it is negative or beyond the range of amounts."""
    try:
        total = Decimal(0)
        for number in numbers:
            total = _EXACT.add(total, Decimal(number))
    except (InvalidOperation, Overflow, Inexact):
        return None
    if total < 0 or total.adjusted() > 16:
        return None
    digits = DIGITS[currency]
    amount = int(_ROUNDING.quantize(total, Decimal((0, (1,), -digits))).scaleb(digits, _ROUNDING))
    return amount if amount <= MOST_AMOUNT else None


def _exact(fields: Fields, latest_ms: int, operators: Mapping[str, str]) -> Cdr:
    operator = _operator(fields.id("country_code"), fields.id("party_id"), operators)
    if not is_id(operator):
        rule = f"must have 1 to {ID_LENGTH} characters, no control ones"
        raise UnusableError(Reason.BAD_ID, f"the operator of country_code and party_id is {shown(operator)}, {rule}")
    token = fields.object("cdr_token")
    contract = _upper(token.id("contract_id"))
    record = Cdr(
        id=_upper(fields.id("id")),
        operator_id=operator,
        customer_id=None if token.optional_text("type") == "AD_HOC_USER" else contract,
        version=fields.integer_or_zero("version", MOST_VERSION),
        start_ms=fields.time("start_date_time", epoch_ms_or_utc, None),
        end_ms=fields.time("end_date_time", epoch_ms_or_utc, latest_ms),
        counted=0,
        energy=energy_wh(fields.unchecked("total_energy")),
        session_id=_session_id(fields.unchecked("session_id")),
    )
    if fields.boolean("credit"):
        fields.required("currency")
        fields.required("total_cost")
        record.credits = _upper(fields.id("credit_reference_id"))
        return record
    if record.start_ms > record.end_ms:
        fields.bad(Reason.OUT_OF_RANGE, "start_date_time", "must not be after end_date_time")
    record.currency = fields.currency("currency")
    record.amount = _exact_amount(fields, record.currency)
    record.counted = _counted(fields.unchecked("session_id"), fields.unchecked("total_energy"))
    return record


def _counted(session: object, energy: object) -> int:
    """What counts of a CDR that is no credit: without a session, and of an energy that is zero, it is a reservation never used."""
    return AS_PAYMENT if session is None and is_zero_energy(energy) else AS_SESSION | AS_PAYMENT


def _session_id(found: object) -> str | None:
    session = id_or_none(found)
    return None if session is None else _upper(session)


def _exact_amount(fields: Fields, currency: str) -> int:
    price = fields.object("total_cost")
    field = next((name for name in ("incl_vat", "excl_vat", "before_taxes") if price.has(name)), None)
    if field is None:
        raise UnusableError(Reason.MISSING_FIELD, "total_cost has neither incl_vat nor excl_vat nor before_taxes")
    numbers = [str(price.number(field))]
    if field == "before_taxes" and price.has("taxes"):
        for index, tax in enumerate(price.array("taxes")):
            if type(tax) is not dict:
                raise UnusableError(Reason.WRONG_TYPE, f"total_cost.taxes[{index}] is {shown(tax)}, must be an object")
            numbers.append(str(Fields(tax, f"total_cost.taxes[{index}].").number("amount")))
    amount = minor_units(numbers, currency)
    if amount is None:
        price.bad(
            Reason.OUT_OF_RANGE,
            field,
            f"the total must be from 0 to {MOST_AMOUNT} minor units of {currency}, in 2,000 digits",
        )
    return amount
