"""One payment by hand: what `make pay` sends. Pure, but for what the caller draws."""

import re
from decimal import Decimal
from zoneinfo import ZoneInfo

from stream_app.domain.events import ALL
from stream_app.domain.money import DIGITS
from stream_app.simulator import records
from stream_app.simulator.network import PRICES, SimulatedOperator
from stream_app.simulator.records import SourceRecord, Visit
from stream_app.simulator.visits import KWH_MAX
from stream_app.sources.exact import is_id

_AMOUNT = re.compile(r"\d{1,16}(?:\.\d{1,16})?", re.ASCII)
_MINOR_UNITS_MAX = 2**53 - 1
_KWH_ELSEWHERE = 12.0


class PaymentError(Exception):
    """What can't be paid, or by whom; the message is one sentence."""


def check_ids(operator_id: str, customer_id: str, group: str | None) -> None:
    """`Raises` PaymentError for an id that the results would refuse."""
    for what, name in {"operator": operator_id, "customer": customer_id, "group": group}.items():
        if name is not None and not is_id(name):
            raise PaymentError(f"the {what} {name!r} is no id: those have 1 to 200 characters, no control ones")
    if group == ALL:
        raise PaymentError(f"{ALL} is everything of the operator and no group that a customer can be in")


def minor_units(amount: str, currency: str) -> int:
    """An amount in major units, as "12.50", exactly as minor units. `Raises` PaymentError: nothing is rounded."""
    if currency not in DIGITS:
        raise PaymentError(f"{currency!r} is no currency: ISO 4217 has codes like EUR, in upper case")
    if not _AMOUNT.fullmatch(amount):
        raise PaymentError(
            f"{amount!r} is no amount: write it like 12.50, not negative and without currency or grouping"
        )
    digits = DIGITS[currency]
    minor = Decimal(amount).scaleb(digits)
    if minor != minor.to_integral_value():
        allowed = {0: "no digits", 1: "one digit"}.get(digits, f"{digits} digits")
        raise PaymentError(f"{amount} can't be paid in {currency}, which has {allowed} after the point")
    if minor > _MINOR_UNITS_MAX:
        raise PaymentError(f"{amount} {currency} is more than a record can hold (2^53 minor units)")
    return int(minor)


def _kwh_of(minor: int, currency: str) -> float:
    """What a charge of that amount may have held, by the prices of the simulated network."""
    price = PRICES.get(currency)
    return min(KWH_MAX, round(minor / price, 1)) if price else _KWH_ELSEWHERE


def paid_now(
    operator_id: str, customer_id: str, visit_id: str, minor: int, currency: str, now_ms: int, group: str | None
) -> list[SourceRecord]:
    """A session and its payment, both of now; with a group that becomes the customer's only one, before them."""
    operator = SimulatedOperator(operator_id, "", ZoneInfo("UTC"), {currency: 1}, {}, [])
    visit = Visit(visit_id, customer_id, now_ms, now_ms, _kwh_of(minor, currency), minor, 0, currency)
    grouped = [records.membership(operator_id, customer_id, [group], now_ms)] if group is not None else []
    return [
        *grouped,
        records.session(operator, visit, "COMPLETED", 1),
        records.payment(operator, visit, "SUCCEEDED", 1),
    ]
