"""What the ledger keeps besides entities: customers, cells, and the directory of operators and groups.

Cells are the results, by table (domain.tables), operator, group and period. A cell that exists is shown by every sink,
zeros included; its version is the events offset of its last change, with the generation above it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream_app.domain.events import ALL, NEVER
from stream_app.domain.figures import VERSION
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Sums

Stamp = tuple[int, ...]  # as events.STAMP cuts it out of a row
EMPTY = msgspec.Raw(b"\x80")  # a map without entries


class CellKey(NamedTuple):
    """The name of a cell in its table.

    `period` as the table counts it: a month like 202611, a day number since 1970.
    """

    operator: str
    group: str
    period: int


class Cell(msgspec.Struct, array_like=True, gc=False):
    """The fields that cells of all tables have; `as_of` in epoch milliseconds."""

    version: int = 0
    as_of: int = 0


class FigureCell(Cell, array_like=True, gc=False):
    """Key figures of a group's period: lists in the order of sums.Layout.

    `payments` has each currency that was ever shown, zeros included.
    """

    payments: dict[str, Sums] = {}
    sessions: Sums = msgspec.field(default_factory=SESSION_SUMS.zeros)

    def show(self, currencies: Iterable[str]) -> None:
        """Have sums of these currencies, too."""
        for currency in currencies:
            if currency not in self.payments:
                self.payments[currency] = PAYMENT_SUMS.zeros()

    def counts(self) -> bool:
        """Does any session or payment count in the cell?"""
        count_at = PAYMENT_SUMS.count_at
        return self.sessions[SESSION_SUMS.count_at] > 0 or any(sums[count_at] for sums in self.payments.values())


class CountCell(Cell, array_like=True, gc=False):
    """Counted sessions of a group's period, by slot of the table."""

    slots: list[int] = []


class Operator(msgspec.Struct, array_like=True, gc=False):
    """A known operator.

    `today` and the first kept month and day are those of the last clock record that moved them, 0 before any.
    """

    timezone: str = "UTC"
    announced_currency: str | None = None
    name: str | None = None
    stamp: Stamp = NEVER
    currency: str = ""  # in use: the announced one, else that of most counted, retained payments, else the default
    today: int = 0  # local day number
    first_month: int = 0  # the first month that is kept
    first_day: int = 0  # the first day whose half-hours are kept
    horizon: int = 0  # the first instant that the operator's zone keeps (quarter hours)
    swept: int = 0  # the first instant that some zone kept when rows before it were last swept
    payments: dict[str, dict[int, int]] = {}  # currency: month: counted payments; each that was ever shown stays
    figures: int = VERSION  # the table of figures that all its cells were last shown by


class Shown(msgspec.Struct, array_like=True, gc=False):
    """Of the cells of a group in one table: the highest version, and its as-of in epoch milliseconds.

    The default document has both.
    """

    version: int = 0
    as_of: int = 0


class Group(msgspec.Struct, array_like=True, gc=False):
    """A group of an operator: its name, what it shows by name of table, and its months, True where something counts."""

    name: str | None = None
    stamp: Stamp = NEVER
    shown: dict[str, Shown] = {}
    months: dict[int, bool] = {}

    def of(self, table: str) -> Shown:
        """Version and as-of of the group's default document of a table."""
        return self.shown.get(table) or Shown()

    @property
    def version(self) -> int:
        """The highest version of the group's documents."""
        return max((shown.version for shown in self.shown.values()), default=0)


class Customer(msgspec.Struct, array_like=True, gc=False):
    """A customer's groups with their stamp, and all that the customer contributes to cells, by part (domain.rules).

    A part is decoded when it is looked at (`rules.part`): most events need some of them, and the others are written
    back as they were read.
    """

    groups: tuple[str, ...] = (ALL,)  # sorted, ALL first
    stamp: Stamp = NEVER
    parts: dict[str, msgspec.Raw] = {}
