"""The fast way of a map, rows: the text of a list that is the row of a session or payment, by the variables of its values.

Under `compiled`. Invariant: the row that `canonical` makes of the same record; a function call and a record between, which nothing else needs, would cost a third more.
"""

from typing import Final

from stream_app.domain.events import AS_PAYMENT, AS_SESSION
from stream_app.domain.local_time import QUARTER_MS
from stream_app.sources.records import FORMAT

_STAMP: Final = f"timestamp, offset, partition, {FORMAT}"


def counted_session(status: str) -> int:
    """What a session of this status counts as."""
    return AS_SESSION if status == "COMPLETED" else 0


def counted_payment(status: str) -> int:
    """What a payment of this status counts as, unless it is refunded in full."""
    return AS_PAYMENT if status == "SUCCEEDED" else 0


def session(version: str, counted: str, started: str, customer: str, wh: str, ended: str) -> str:
    """The row of a session; times in epoch milliseconds."""
    lasted = f"None if {ended} is None else {ended} - {started}"
    return f"[{version}, {_STAMP}, {counted}, {started} // {QUARTER_MS}, 0, {customer}, {wh}, {started} % {QUARTER_MS}, {lasted}]"


def named(version: str, *fields: str) -> str:
    """The row of what has no time: groups of a customer, a group's name, an operator."""
    return f"[{version}, {_STAMP}, {', '.join(fields)}]"


def payment(
    version: str, counted: str, paid: str, customer: str, received: str, discount: str, refunded: str, currency: str, session_id: str
) -> str:  # fmt: skip
    """The row of a payment; amounts in minor units."""
    when = f"{paid} // {QUARTER_MS}, 0, {customer}, None, {paid} % {QUARTER_MS}, None"
    return f"[{version}, {_STAMP}, {counted}, {when}, {received}, {discount}, {refunded}, {currency}, {session_id}]"
