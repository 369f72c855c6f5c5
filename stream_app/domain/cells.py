"""What the ledger keeps besides entities: customers, cells, and the directory of operators and groups.

Cells are the results: `monthly` of (operator, group, month), `half_hour` of (operator, group, day). A cell that exists is shown by every
sink, zeros included; its version is the events offset of its last change, with the generation above it.
"""

from typing import NamedTuple

import msgspec

from stream_app.domain.events import ALL


class MonthlyKey(NamedTuple):
    """The name of a monthly cell; month like 202611."""

    operator: str
    group: str
    month: int


class HalfHourKey(NamedTuple):
    """The name of a half-hour cell; day: number since 1970."""

    operator: str
    group: str
    day: int


# Indexes of a currency's sums in a Monthly cell. RECEIVED is before refunds; ANONYMOUS after them.
RECEIVED, DISCOUNT, REFUNDED, PAYMENTS, PAYERS, ANONYMOUS = range(6)
# Indexes of Monthly.usage
SESSIONS, CHARGERS, ANONYMOUS_SESSIONS = range(3)

SLOTS = 48


class Monthly(msgspec.Struct, array_like=True, gc=False):
    """Key figures of a group's month. `money` has each currency that was ever shown in it, zeros included; as_of in epoch milliseconds."""

    version: int = 0
    as_of: int = 0
    money: dict[str, list[int]] = {}
    usage: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])

    def counts(self) -> bool:
        """Does something count in it?"""
        return self.usage[SESSIONS] > 0 or any(own[PAYMENTS] for own in self.money.values())


class HalfHour(msgspec.Struct, array_like=True, gc=False):
    """Counted sessions of a group's day by slot."""

    version: int = 0
    as_of: int = 0
    slots: list[int] = msgspec.field(default_factory=lambda: [0] * SLOTS)


class Operator(msgspec.Struct, array_like=True, gc=False):
    """A known operator. `today` and the first kept month and day are those of the last clock record that moved them, 0 before any."""

    timezone: str = "UTC"
    announced_currency: str | None = None
    name: str | None = None
    stamp: tuple[int, int, int, int] = (-1, 0, 0, 0)
    currency: str = ""  # in use: the announced one, else that of most counted, retained payments, else the default
    today: int = 0  # local day number
    first_month: int = 0  # the first month that is kept
    first_day: int = 0  # the first day whose half-hours are kept
    horizon: int = 0  # the first instant that is kept (quarter hours); never falls, whatever the zone
    swept: int = 0  # the horizon up to which rows past retention are known to be gone
    payments: dict[str, dict[int, int]] = {}  # currency: month: counted payments


class Group(msgspec.Struct, array_like=True, gc=False):
    """A group of an operator: its name, the versions of its two default documents, and its months, True where something counts."""

    name: str | None = None
    stamp: tuple[int, int, int, int] = (-1, 0, 0, 0)
    monthly_version: int = 0
    monthly_as_of: int = 0
    half_hour_version: int = 0
    half_hour_as_of: int = 0
    months: dict[int, bool] = {}


class Customer(msgspec.Struct, array_like=True, gc=False):
    """Groups with their stamp, and all that the customer contributes to cells.

    A part is decoded when it is looked at (`part`): most events need one of the three, and the others are written back as they were read.
    """

    groups: tuple[str, ...] = (ALL,)  # sorted, ALL first
    stamp: tuple[int, int, int, int] = (-1, 0, 0, 0)
    money: msgspec.Raw = msgspec.Raw(b"\x80")  # currency: month: received, discount, refunded, payments, positive ones
    sessions: msgspec.Raw = msgspec.Raw(b"\x80")  # month: count
    slots: msgspec.Raw = msgspec.Raw(b"\x80")  # day * 48 + slot: count
