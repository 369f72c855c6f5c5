"""A partition's committed state in dictionaries, kept consistent the way the ledger does: a group's version is the highest of its cells."""

from collections.abc import Iterator, Sequence
from datetime import date

from stream_app.domain.cells import Cell, CellKey, CountCell, FigureCell, Group, Operator, Shown
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of, month_add, month_of_day
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Sums, filled
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES, Table
from stream_app.ports.sinks import Dirty

TODAY = day_of(date(2026, 11, 24))
MONTH = month_of_day(TODAY)
AS_OF = 1_795_500_000_123


class FakeView:
    def __init__(self, partition: int = 3) -> None:
        self.partition, self.version = partition, 1 << 40
        self.known: dict[str, Operator] = {}
        self.named: dict[str, dict[str, Group]] = {}
        self.stored: dict[str, dict[CellKey, Cell]] = {table.name: {} for table in TABLES}
        self.held: dict[str, dict[CellKey, Cell]] = {table.name: {} for table in TABLES}
        self.months, self.days = self.stored[MONTHLY.name], self.stored[HALF_HOUR.name]

    # What a sink may call
    def operators(self) -> list[str]:
        return list(self.known)

    def operator(self, operator: str) -> Operator | None:
        return self.known.get(operator)

    def groups(self, operator: str) -> dict[str, Group]:
        return dict(self.named.get(operator, {}))

    def cells(self, table: Table, keys: Sequence[CellKey]) -> list[Cell | None]:
        return [self.stored[table.name].get(key) for key in keys]

    def series(self, table: Table, operator: str, group: str, periods: Sequence[int]) -> list[Cell | None]:
        return self.cells(table, [CellKey(operator, group, period) for period in periods])

    def past(self, table: Table) -> list[CellKey]:
        return list(self.held[table.name])

    def last_cells(self, table: Table, keys: Sequence[CellKey]) -> list[Cell | None]:
        return [self.stored[table.name].get(key, self.held[table.name].get(key)) for key in keys]

    def scan_cells(self, table: Table, operator: str) -> Iterator[tuple[CellKey, Cell]]:
        return iter([(key, cell) for key, cell in self.stored[table.name].items() if key.operator == operator])

    # What a test does to it
    def add_operator(self, operator: str, currency: str = "EUR", timezone: str = "Europe/Berlin", name=None) -> None:
        self.known[operator] = Operator(
            timezone=timezone,
            name=name,
            currency=currency,
            today=TODAY,
            first_month=month_add(MONTH, -12),
            first_day=TODAY - 91,
        )
        self.named[operator] = {ALL: Group()}

    def set_month(
        self, operator: str, group: str, month: int, version: int, sessions: Sums, **payments: Sums
    ) -> CellKey:
        """A cell of key figures; lists in the order of sums.Layout, what they lack at their end is zero."""
        own = {self.known[operator].currency: PAYMENT_SUMS.zeros()}
        shown = {currency: filled(sums, PAYMENT_SUMS.size) for currency, sums in payments.items()}
        cell = FigureCell(version, AS_OF + version % 10_000, own | shown, filled(sessions, SESSION_SUMS.size))
        key = self._set(MONTHLY, CellKey(operator, group, month), cell)
        self.named[operator][group].months[month] = cell.counts()  # what has data is shown
        return key

    def set_day(self, operator: str, group: str, day: int, version: int, slots: dict[int, int]) -> CellKey:
        """A cell of counts by slot; those that are not named are zero."""
        counts = [slots.get(slot, 0) for slot in range(HALF_HOUR.width)]
        return self._set(HALF_HOUR, CellKey(operator, group, day), CountCell(version, AS_OF + version % 10_000, counts))

    def _set(self, table: Table, key: CellKey, cell: Cell) -> CellKey:
        self.stored[table.name][key] = cell
        known = self.named[key.operator].setdefault(key.group, Group())
        known.months.setdefault(MONTH, False)
        if cell.version >= known.of(table.name).version:
            known.shown[table.name] = Shown(cell.version, cell.as_of)
        return key

    def drop_group(self, operator: str, group: str) -> Dirty:
        """All its cells left retention; says what is dirty by that."""
        dirty = Dirty(operators={operator})
        for name, cells in self.stored.items():
            dirty.cells[name] = {key for key in cells if key[:2] == (operator, group)}
            for key in dirty.cells[name]:
                del cells[key]
        del self.named[operator][group]
        return dirty

    def everything(self) -> Dirty:
        return Dirty({name: set(cells) for name, cells in self.stored.items()}, set(self.known))


STRANGE = "大客户 a/b:c|{}%+'\"\\é🚗"


def example() -> FakeView:
    """Several operators: money of three kinds, energy, anonymous parts, a foreign currency, ids of any characters, one without any cell."""
    view = FakeView()
    view.add_operator("M1", name="Stadtwerke")
    for month in range(13):
        view.set_month(
            "M1",
            ALL,
            month_add(MONTH, -month),
            500 - month,
            [120, 44, 7, 2_345_678, 45_678],
            EUR=[123000, 1200, 450, 101, 40, 999],
        )
    view.set_month(
        "M1", ALL, MONTH, 600, [10, 3, 1, 300_001, 1], EUR=[1001, 5, 0, 3, 2, 0], USD=[5, 0, 0, 1, 1, 0], JPY=[0] * 6
    )
    view.set_month("M1", "vip", MONTH, 590, [4, 1, 0], EUR=[1000, 0, 0, 1, 1, 0])
    view.set_month("M1", STRANGE, month_add(MONTH, -2), 480, [0, 0, 0])  # its last customer left: zeros, and not listed
    view.named["M1"]["named"] = Group(name="Only a name")
    for day in range(92):
        view.set_day("M1", ALL, TODAY - day, 600 - day, {0: 1, 18: day, 47: 2})
    view.set_day("M1", "vip", TODAY - 40, 555, {12: 3})
    view.add_operator(STRANGE, currency="KWD", timezone="Asia/Kuwait", name=STRANGE)
    view.set_month(STRANGE, ALL, MONTH, 2**52 + 1, [1, 1, 0], KWD=[2**62 - 1, 1, 2, 7, 3, 5])
    view.set_month(STRANGE, STRANGE, MONTH, 2**52 + 1, [1, 1, 0], KWD=[2**62 - 1, 1, 2, 7, 3, 0])
    view.set_day(STRANGE, ALL, TODAY, 2**52 + 1, {47: 1})
    view.add_operator("yen", currency="JPY", timezone="Asia/Tokyo")
    view.set_month("yen", ALL, MONTH, 0, [0, 0, 0])
    view.set_day("yen", ALL, TODAY, 0, {})
    return view
