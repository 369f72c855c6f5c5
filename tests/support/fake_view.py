"""A partition's committed state in dictionaries, kept consistent the way the ledger does: a group's version is the highest of its cells."""

from collections.abc import Iterator, Sequence
from datetime import date

from stream_app.domain.cells import Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of, month_add, month_of_day
from stream_app.ports.sinks import Dirty

TODAY = day_of(date(2026, 11, 24))
MONTH = month_of_day(TODAY)
AS_OF = 1_795_500_000_123


class FakeView:
    def __init__(self, partition: int = 3) -> None:
        self.partition = partition
        self.known: dict[str, Operator] = {}
        self.named: dict[str, dict[str, Group]] = {}
        self.months: dict[MonthlyKey, Monthly] = {}
        self.days: dict[HalfHourKey, HalfHour] = {}

    # What a sink may call
    def operators(self) -> list[str]:
        return list(self.known)

    def operator(self, operator: str) -> Operator | None:
        return self.known.get(operator)

    def groups(self, operator: str) -> dict[str, Group]:
        return self.named.get(operator, {})

    def monthly(self, operator: str, group: str, months: Sequence[int]) -> list[Monthly | None]:
        return [self.months.get(MonthlyKey(operator, group, month)) for month in months]

    def half_hours(self, operator: str, group: str, days: Sequence[int]) -> list[HalfHour | None]:
        return [self.days.get(HalfHourKey(operator, group, day)) for day in days]

    def monthly_cells(self, operator: str) -> Iterator[tuple[MonthlyKey, Monthly]]:
        return iter([(key, cell) for key, cell in self.months.items() if key.operator == operator])

    def half_hour_cells(self, operator: str) -> Iterator[tuple[HalfHourKey, HalfHour]]:
        return iter([(key, cell) for key, cell in self.days.items() if key.operator == operator])

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

    def set_month(self, operator: str, group: str, month: int, version: int, usage: list[int], **money) -> MonthlyKey:
        key = MonthlyKey(operator, group, month)
        own = {self.known[operator].currency: [0] * 6}
        self.months[key] = cell = Monthly(version, AS_OF + version % 10_000, own | money, usage)
        known = self.named[operator].setdefault(group, Group())
        known.months = {MONTH: False} | known.months | {month: cell.counts()}  # what has data is shown
        if version >= known.monthly_version:
            known.monthly_version, known.monthly_as_of = version, cell.as_of
        return key

    def set_day(self, operator: str, group: str, day: int, version: int, slots: dict[int, int]) -> HalfHourKey:
        key = HalfHourKey(operator, group, day)
        self.days[key] = cell = HalfHour(version, AS_OF + version % 10_000, [slots.get(slot, 0) for slot in range(48)])
        known = self.named[operator].setdefault(group, Group())
        known.months = {MONTH: False} | known.months
        if version >= known.half_hour_version:
            known.half_hour_version, known.half_hour_as_of = version, cell.as_of
        return key

    def drop_group(self, operator: str, group: str) -> Dirty:
        """All its cells left retention; says what is dirty by that."""
        months = {key for key in self.months if key[:2] == (operator, group)}
        days = {key for key in self.days if key[:2] == (operator, group)}
        for key in months:
            del self.months[key]
        for key in days:
            del self.days[key]
        del self.named[operator][group]
        return Dirty(months, days, {operator})

    def everything(self) -> Dirty:
        return Dirty(set(self.months), set(self.days), set(self.known))


STRANGE = "大客户 a/b:c|{}%+'\"\\é🚗"


def example() -> FakeView:
    """Several operators: money of three kinds, anonymous parts, a foreign currency, ids of any characters, one without any cell."""
    view = FakeView()
    view.add_operator("M1", name="Stadtwerke")
    for month in range(13):
        view.set_month(
            "M1", ALL, month_add(MONTH, -month), 500 - month, [120, 44, 7], EUR=[123450, 1200, 450, 101, 40, 999]
        )
    view.set_month("M1", ALL, MONTH, 600, [10, 3, 1], EUR=[1001, 5, 0, 3, 2, 0], USD=[5, 0, 0, 1, 1, 0], JPY=[0] * 6)
    view.set_month("M1", "vip", MONTH, 590, [4, 1, 0], EUR=[1000, 0, 0, 1, 1, 0])
    view.set_month("M1", STRANGE, month_add(MONTH, -2), 480, [0, 0, 0])  # its last customer left: zeros, and not listed
    view.named["M1"]["named"] = Group(name="Only a name")
    for day in range(92):
        view.set_day("M1", ALL, TODAY - day, 600 - day, {0: 1, 18: day, 47: 2})
    view.set_day("M1", "vip", TODAY - 40, 555, {12: 3})
    view.add_operator(STRANGE, currency="KWD", timezone="Asia/Kuwait", name=STRANGE)
    view.set_month(STRANGE, ALL, MONTH, 2**52 + 1, [1, 1, 0], KWD=[2**62 + 1, 1, 2, 7, 3, 5])
    view.set_month(STRANGE, STRANGE, MONTH, 2**52 + 1, [1, 1, 0], KWD=[2**62 + 1, 1, 2, 7, 3, 0])
    view.set_day(STRANGE, ALL, TODAY, 2**52 + 1, {47: 1})
    view.add_operator("yen", currency="JPY", timezone="Asia/Tokyo")
    view.set_month("yen", ALL, MONTH, 0, [0, 0, 0])
    view.set_day("yen", ALL, TODAY, 0, {})
    return view
