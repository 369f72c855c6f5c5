"""The independent truth: a slow, obvious recomputation of all results from all source records, sharing no code with the product.

`truth(records, ...)` reads every record (oracle_room/reading.py), keeps the latest of every entity, and answers what every sink must
show. Nothing here is incremental: a cell is the list of the sessions and payments in it, and a figure is a sum over such a list.
"""

import time
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.oracle_room.reading import DIGITS, TOPICS, Event, Record, read

__all__ = ["DIGITS", "TOPICS", "Clock", "Record", "Settings", "Truth", "truth"]

WIDE = Context(prec=200)  # sums may be of any size
Entity = tuple[str, str, str]
Place = tuple[str, int, int]


class Clock(NamedTuple):
    """In an order of arrival: from here on it is so late (a clock record). A backward one is ignored."""

    now_ms: int


@dataclass(frozen=True)
class Settings:
    """The settings that change results."""

    retention_months: int = 13
    distribution_days: int = 92
    default_currency: str = "EUR"
    ocpi_operators: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=lambda: TOPICS)  # kind: name


@cache
def zone(name: str) -> ZoneInfo:
    """A time zone by the rules of the tzdata package, never the machine's."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@lru_cache(1_000_000)
def local(instant_ms: int, zone_name: str) -> datetime:
    """What the clock on the operator's wall shows. All before 1970 is as old as 1970: past any retention."""
    return datetime.fromtimestamp(max(instant_ms // 1000, 0), UTC).astimezone(zone(zone_name))


def month_of(instant_ms: int, zone_name: str) -> str:
    """The local month: "2026-11"."""
    return local(instant_ms, zone_name).strftime("%Y-%m")


def month_plus(month: str, by: int) -> str:
    """The month so many months later."""
    year, zero_based = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 + by, 12)
    return f"{year:04d}-{zero_based + 1:02d}"


def slot_of(instant_ms: int, zone_name: str) -> int:
    """The half hour of the local day."""
    at = local(instant_ms, zone_name)
    return at.hour * 2 + at.minute // 30


def scaled(number: int, digits: int) -> Decimal:
    """A number of units of 10^-digits."""
    return Decimal(number).scaleb(-digits, WIDE)


def money(minor: int, currency: str) -> str:
    """Minor units as a decimal string in major units with the currency's digits."""
    return f"{scaled(minor, DIGITS[currency]):.{DIGITS[currency]}f}"


def kilowatt_hours(watt_hours: int) -> str:
    """Watt-hours as a decimal string in kilowatt-hours."""
    return f"{scaled(watt_hours, 3):.3f}"


def average(total: Decimal, number: int, digits: int) -> str:
    """A decimal string rounded half-up; with nobody to divide by, zero with those digits."""
    quotient = WIDE.divide(total, Decimal(number)) if number else Decimal(0)
    return str(quotient.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, WIDE))


@dataclass
class Cell:
    """All that counts in a month of an operator's group."""

    sessions: list[Event] = field(default_factory=list)
    payments: list[Event] = field(default_factory=list)

    def currencies(self) -> set[str]:
        """Those with a counted payment."""
        return {p.currency for p in self.payments}

    def figures(self, currency: str, group: str) -> dict[str, Any]:
        """The key figures in a currency."""
        payments = [p for p in self.payments if p.currency == currency]
        received = sum(p.received - p.refunded for p in payments)
        payers = {p.customer for p in payments if p.customer is not None and p.received - p.refunded > 0}
        chargers = {s.customer for s in self.sessions if s.customer is not None}
        # What is anonymous is part of ALL: an anonymous record is in no other group, so the sums are 0 elsewhere.
        anonymous = sum(p.received - p.refunded for p in payments if p.customer is None)
        anonymous_sessions = sum(s.customer is None for s in self.sessions)
        energy = sum(s.energy_wh or 0 for s in self.sessions)  # of one that is unknown, 0
        anonymous_energy = sum(s.energy_wh or 0 for s in self.sessions if s.customer is None)
        assert group == "ALL" or (anonymous, anonymous_sessions, anonymous_energy) == (0, 0, 0)
        digits = DIGITS[currency]
        return {
            "receivedAmount": money(received, currency),
            "discountAmount": money(sum(p.discount for p in payments), currency),
            "refundedAmount": money(sum(p.refunded for p in payments), currency),
            "paymentCount": len(payments),
            "payingCustomers": len(payers),
            "perCapitaPayment": average(scaled(received - anonymous, digits), len(payers), digits),
            "sessionCount": len(self.sessions),
            "chargingCustomers": len(chargers),
            "perCapitaFrequency": average(Decimal(len(self.sessions) - anonymous_sessions), len(chargers), 2),
            "energyKwh": kilowatt_hours(energy),
            "perCapitaEnergy": average(scaled(energy - anonymous_energy, 3), len(chargers), 3),
            "anonymousAmount": money(anonymous, currency),
            "anonymousSessionCount": anonymous_sessions,
            "anonymousEnergyKwh": kilowatt_hours(anonymous_energy),
        }


class Bookkeeping:
    """The latest of every entity, and which records could not be used."""

    def __init__(
        self, settings: Settings, now_ms: int | None, wall_now_ms: int | None, without_energy: Container[Place]
    ) -> None:
        self.settings = settings
        self.without_energy = without_energy
        self.now_ms = now_ms
        self.wall_now_ms = wall_now_ms
        self.latest: dict[Entity, Event] = {}
        self.newest_ms: dict[Entity, int] = {}  # the latest time that an entity ever had: until that leaves it is known
        self.operators: set[str] = set()  # known: of which there was a usable record
        self.faults: dict[Place, list[str]] = {}
        self.sources: dict[Place, Record] = {}  # the bad records themselves
        self._kinds = {name: kind for kind, name in settings.topics.items()}

    def reject(self, record: Record, reasons: list[str]) -> None:
        self.faults[record.place] = reasons
        self.sources[record.place] = record

    def read(self, records: Iterable[Record]) -> list[Event]:
        """The usable ones, but for lateness."""
        usable = []
        for record in records:
            event, faults = read(
                record, self._kinds[record.topic], self.wall_now_ms, dict(self.settings.ocpi_operators)
            )
            if event is None:
                self.reject(record, faults)
            else:
                is_known = record.place not in self.without_energy
                usable.append(event if is_known else replace(event, energy_wh=None))
        return usable

    def zone_name(self, operator: str) -> str:
        """An operator never announced has the zone UTC."""
        announced = self.latest.get(("operator", operator, ""))
        return announced.timezone if announced else "UTC"

    def past_retention(self, instant_ms: int) -> bool:
        """Does no zone on earth keep it: is its month in UTC+14 older than the first that UTC-12, where a month ends last, keeps?

        As long as now is unknown, all is kept.
        """
        if self.now_ms is None:
            return False
        first = month_plus(month_of(self.now_ms, "Etc/GMT+12"), 1 - self.settings.retention_months)  # POSIX signs
        return month_of(instant_ms, "Etc/GMT-14") < first

    def accept(self, event: Event) -> None:
        """Keep the later one of the entity; of all, that the operator is known."""
        self.operators.add(event.operator)
        old = self.latest.get(event.entity)
        if old is None or event.rank > old.rank:
            self.latest[event.entity] = event
            self.newest_ms[event.entity] = max(event.time_ms or 0, self.newest_ms.get(event.entity, 0))

    def in_order(self, items: Iterable[Record | Clock]) -> None:
        """As they arrive: a new entity that is too late is rejected, a known one is not, one past retention is no longer known."""
        for item in items:
            if isinstance(item, Clock):
                self.now_ms = max(item.now_ms, self.now_ms or item.now_ms)
                continue
            for event in self.read([item]):
                entity = event.entity
                timed = event.time_ms is not None
                if timed and entity in self.latest and self.past_retention(self.newest_ms[entity]):
                    del self.latest[entity], self.newest_ms[entity]
                known = not timed or entity in self.latest
                if not known and self.past_retention(event.time_ms or 0):
                    self.reject(event.record, ["too_late"])
                else:
                    self.accept(event)

    def in_any_order(self, records: Iterable[Record]) -> None:
        """The order does not matter: all versions of an entity are too late, or it is known from one that is not."""
        usable = self.read(records)
        if self.now_ms is None:  # on stream time: the highest event time, whatever the status or version
            self.now_ms = max((e.time_ms for e in usable if e.time_ms is not None), default=None)
        in_time = {
            e.entity for e in usable if e.time_ms is None or not self.past_retention(e.time_ms)
        }  # fmt: skip
        for event in usable:
            if event.entity in in_time:
                self.accept(event)
            else:
                self.reject(event.record, ["too_late"])


def truth(
    records: Iterable[Record | Clock],
    *,
    now: datetime | int | None = None,
    wall_now: datetime | int | None = None,
    ordered: bool = False,
    settings: Settings | None = None,
    without_energy: Container[Place] = (),
) -> "Truth":
    """The truth about these source records, whatever their order.

    `now`: what windows end with; None is the highest event time of usable records. `wall_now`: what the future begins a day after; by
    default `now`, and without that nothing is in the future. `ordered`: lateness is judged one by one, as they stand; then only `now`
    and Clock items say how late it is, and until the first of them nothing is too late. `without_energy`: places of records that were read
    by a version that kept no energy.
    """
    now_ms, wall_ms = _ms(now), _ms(wall_now if wall_now is not None else now)
    books = Bookkeeping(settings or Settings(), now_ms, wall_ms, without_energy)
    if ordered:
        books.in_order(records)
    else:
        books.in_any_order([r for r in records if isinstance(r, Record)])
    return Truth(books)


def _ms(when: datetime | int | None) -> int | None:
    return int(when.timestamp() * 1000) if isinstance(when, datetime) else when


class Truth:
    """All results, computed at once; then only looked up."""

    def __init__(self, books: Bookkeeping) -> None:
        self.settings = books.settings
        self.faults: dict[Place, list[str]] = books.faults  # every reason that fits
        self.bad: dict[Place, str] = {place: reasons[0] for place, reasons in books.faults.items()}
        self.sources: dict[Place, Record] = books.sources
        self.now_ms: int = books.now_ms if books.now_ms is not None else int(time.time() * 1000)
        self._zones = {operator: books.zone_name(operator) for operator in books.operators}
        entities = list(books.latest.values())
        self.group_names = self._group_names(entities)
        self._memberships = {(e.operator, e.id): e.group_ids for e in entities if e.kind == "membership"}
        sessions, payments = self._counted(entities)
        self.operators = self._operators(books, payments)
        self._cells = self._month_cells(sessions, payments)
        self.half_hour = self._half_hours(sessions)
        self.monthly = {
            (operator, group, month, currency): cell.figures(currency, group)
            for (operator, group, month), cell in self._cells.items()
            for currency in cell.currencies() | {self.operators[operator]["currency"]}
        }

    # --- what counts

    @staticmethod
    def _counted(entities: list[Event]) -> tuple[list[Event], list[Event]]:
        """The sessions and payments that count. A credit takes back the CDR it names; what it names being a credit, nothing."""
        credited = {(e.operator, e.credits) for e in entities if e.kind == "cdr" and e.credits is not None}
        standing = [e for e in entities if not (e.kind == "cdr" and (e.operator, e.id) in credited)]
        return (
            [e for e in standing if e.session_at_ms is not None],
            [e for e in standing if e.payment_at_ms is not None],
        )

    def _groups_of(self, event: Event) -> list[str]:
        """ALL, and the groups that its customer is in now: all retained history moves with them."""
        own = () if event.customer is None else self._memberships.get((event.operator, event.customer), ())
        return ["ALL", *own]

    def _month_cells(self, sessions: list[Event], payments: list[Event]) -> dict[tuple[str, str, str], Cell]:
        """A month belongs to `paid_at` for payments and to `started_at` for sessions."""
        cells: dict[tuple[str, str, str], Cell] = defaultdict(Cell)
        for event in sessions:
            month = month_of(event.session_at_ms or 0, self.timezone(event.operator))
            for group in self._groups_of(event):
                cells[event.operator, group, month].sessions.append(event)
        for event in payments:
            month = month_of(event.payment_at_ms or 0, self.timezone(event.operator))
            for group in self._groups_of(event):
                cells[event.operator, group, month].payments.append(event)
        return {key: cell for key, cell in cells.items() if key[2] >= self.first_month(key[0])}

    def _half_hours(self, sessions: list[Event]) -> dict[tuple[str, str, str], list[int]]:
        """Counted sessions by the local date and slot of their start, of today and the 91 days before."""
        days: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * 48)
        for event in sessions:
            zone_name = self.timezone(event.operator)
            day = local(event.session_at_ms or 0, zone_name).date()
            if day >= self.first_day(event.operator):
                for group in self._groups_of(event):
                    days[event.operator, group, day.isoformat()][slot_of(event.session_at_ms or 0, zone_name)] += 1
        return dict(days)

    @staticmethod
    def _group_names(entities: list[Event]) -> dict[str, dict[str, str]]:
        names: dict[str, dict[str, str]] = defaultdict(dict)
        for event in entities:
            if event.kind == "group":
                names[event.operator][event.id] = event.name or ""
        return dict(names)

    def _operators(self, books: Bookkeeping, payments: list[Event]) -> dict[str, dict[str, Any]]:
        """The known operators. One never announced has the currency of most of its counted, retained payments."""
        counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for event in payments:
            if month_of(event.payment_at_ms or 0, self.timezone(event.operator)) >= self.first_month(event.operator):
                counts[event.operator][event.currency] += 1
        result = {}
        for operator in books.operators:
            announced = books.latest.get(("operator", operator, ""))
            ranking = [currency for _, currency in sorted((-count, c) for c, count in counts[operator].items())]
            result[operator] = {
                "operatorId": operator,
                "name": announced.name if announced else None,
                "timezone": self.timezone(operator),
                "currency": announced.currency if announced else [*ranking, self.settings.default_currency][0],
            }
        return result

    # --- windows

    def timezone(self, operator: str) -> str:
        """The operator's zone; UTC of one that nobody knows."""
        return self._zones.get(operator, "UTC")

    def currency(self, operator: str) -> str:
        """The operator's currency."""
        return self.operators[operator]["currency"] if operator in self.operators else self.settings.default_currency

    def current_month(self, operator: str) -> str:
        """The local month of now."""
        return month_of(self.now_ms, self.timezone(operator))

    def first_month(self, operator: str) -> str:
        """The first month that is kept."""
        return month_plus(self.current_month(operator), 1 - self.settings.retention_months)

    def today(self, operator: str) -> date:
        """The local date of now."""
        return local(self.now_ms, self.timezone(operator)).date()

    def first_day(self, operator: str) -> date:
        """The first date whose half-hours are kept."""
        return self.today(operator) - timedelta(days=self.settings.distribution_days - 1)

    def groups_with_data(self, operator: str) -> set[str]:
        """Groups with a retained month in which something counts, ALL among them if it does."""
        return {group for own, group, _ in self._cells if own == operator}

    # --- answers: `data`, without partition, asOf and version

    def monthly_index(
        self,
        operator: str,
        group: str = "ALL",
        months: int = 6,
        end_month: str | None = None,
        currency: str | None = None,
    ) -> dict[str, Any]:
        """`monthlyIndex`. Months past retention are zeros here: what ClickHouse still has of them no source record tells."""
        end_month, currency = end_month or self.current_month(operator), currency or self.currency(operator)
        shown = [month_plus(end_month, -back) for back in reversed(range(months))]
        cells = [self._cells.get((operator, group, month), Cell()) for month in shown]
        return {
            "operatorId": operator,
            "groupId": group,
            "timezone": self.timezone(operator),
            "currency": currency,
            "currencies": sorted({self.currency(operator)}.union(*(cell.currencies() for cell in cells))),
            "months": [{"month": m, **cell.figures(currency, group)} for m, cell in zip(shown, cells, strict=True)],
        }

    def charging_distribute(
        self, operator: str, group: str = "ALL", days: int = 30, end_date: date | str | None = None
    ) -> dict[str, Any]:
        """`chargingDistribute`."""
        last = date.fromisoformat(str(end_date)) if end_date else self.today(operator)
        shown = [last - timedelta(days=back) for back in reversed(range(days))]
        counts = [0] * 48
        for day in shown:
            for slot, count in enumerate(self.half_hour.get((operator, group, day.isoformat()), [])):
                counts[slot] += count
        return {
            "operatorId": operator,
            "groupId": group,
            "timezone": self.timezone(operator),
            "from": shown[0].isoformat(),
            "to": last.isoformat(),
            "total": sum(counts),
            "slots": [
                {"slot": n, "start": _clock_time(n), "end": _clock_time(n + 1), "chargeCount": count}
                for n, count in enumerate(counts)
            ],
        }

    def groups(self, operator: str) -> dict[str, Any]:
        """`groups`: ALL first, then those with data and those with a name, by id (code points)."""
        names = self.group_names.get(operator, {})
        listed = sorted((self.groups_with_data(operator) | set(names)) - {"ALL"})
        return {"groups": [{"groupId": group, "name": names.get(group)} for group in ["ALL", *listed]]}

    def operators_answer(self, covered: Iterable[str] | None = None) -> dict[str, Any]:
        """`operators`: the known ones that the token covers, by id; all by default."""
        ids = set(self.operators) if covered is None else set(self.operators) & set(covered)
        return {"operators": [self.operators[operator] for operator in sorted(ids)]}


def _clock_time(slot: int) -> str:
    return f"{slot // 2:02d}:{slot % 2 * 30:02d}"
