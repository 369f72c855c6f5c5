"""Hypothesis strategies for messy histories of source records: few ids, so that versions of the same entity meet all the time.

`histories`: any order gives the same truth, since no record's lateness depends on what came before. `late_histories`: an order of arrival
with clock records in it, in which it does; for `truth(items, ordered=True)`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.oracle import TOPICS, Clock, Record, Settings, month_plus
from tests.oracle_room.examples import bad_examples, dumps, ocpi_time, odd_examples
from tests.support.scenario import PARTITIONS, earliest_ms, interesting_times

NOW_MS = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
WALL_FAR_MS = int(datetime(2028, 1, 1, tzinfo=UTC).timestamp() * 1000)
HOUR, DAY = 3_600_000, 86_400_000
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Chatham", "UTC")
OPERATORS = ("M1", "a|b{c}%+", "大客户 \"'\\⚡", "NL-ALF")  # the last one has CDRs of its own
OCPI_OPERATORS = {"DE-STW": "a|b{c}%+"}
CUSTOMERS = ("C1", "C|2{%7C}+", "客户 ' \" 😀")
GROUPS = ("vip", "a|b{c}%+", "大客户", "all")
IDS = ("e1", "e|2", "é{%}+")
CURRENCIES = ("EUR", "JPY", "KWD")
SETTINGS = Settings(ocpi_operators=OCPI_OPERATORS)


@dataclass(frozen=True)
class History:
    """Records as they arrive, with Clock items among them in late histories; the clocks and settings they are meant for."""

    items: list[Record | Clock]
    now_ms: int
    wall_now_ms: int
    settings: Settings = field(default_factory=lambda: SETTINGS)

    @property
    def records(self) -> list[Record]:
        """The records alone."""
        return [item for item in self.items if isinstance(item, Record)]


@cache
def _edges(now_ms: int) -> tuple[int, ...]:
    first = earliest_ms(now_ms, ZONES)
    return tuple(sorted({at for zone in ZONES for at in interesting_times(zone, first, now_ms)}))


@cache
def _examples(now_ms: int) -> tuple[list[tuple[str, bytes | None]], list[tuple[str, bytes | None]]]:
    bad = [(example.kind, example.value) for example in bad_examples(now_ms)]
    return bad, [(example.kind, example.value) for example in odd_examples(now_ms - 3 * DAY)]


def times(now_ms: int = NOW_MS) -> st.SearchStrategy[int]:
    """Retained in every zone and not after now: where something turns, in the last days, anywhere."""
    return st.one_of(
        st.sampled_from(_edges(now_ms)),
        st.integers(now_ms - 3 * DAY, now_ms),
        st.integers(earliest_ms(now_ms, ZONES), now_ms),
    )


versions = st.integers(0, 3)
operators = st.sampled_from((OPERATORS[0], *OPERATORS, OPERATORS[0]))  # one of them has most, so that its records meet
customers = st.sampled_from((None, *CUSTOMERS))
amounts = st.sampled_from((0, 1, 2, 7, 100, 1250, 2**53 - 1))


def _value(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def sessions(draw: st.DrawFn, when: st.SearchStrategy[int]) -> tuple[str, bytes]:
    """Mostly COMPLETED."""
    value = draw(
        _value(
            {
                "session_id": st.sampled_from(IDS),
                "operator_id": operators,
                "status": st.sampled_from(
                    ("COMPLETED",) * 6 + ("INVALID", "INVALID", "ACTIVE", "PENDING", "RESERVATION")
                ),
                "started_at": when,
            },
            {
                "customer_id": customers,
                "version": versions,
                "energy_kwh": st.just("ENERGY"),
                "ended_at": st.one_of(when, st.sampled_from(NO_TIMES)),
            },
        )
    )
    return "session", _with_energy(draw, dumps(_with_text(draw, value, "started_at")))


@st.composite
def payments(draw: st.DrawFn, when: st.SearchStrategy[int]) -> tuple[str, bytes]:
    """Mostly SUCCEEDED; refunded not at all, in part or in full."""
    value = draw(
        _value(
            {
                "payment_id": st.sampled_from(IDS),
                "operator_id": operators,
                "status": st.sampled_from(("SUCCEEDED",) * 8 + ("REFUNDED", "PENDING", "FAILED", "CANCELED")),
                "amount_received": amounts,
                "currency": st.sampled_from(CURRENCIES),
                "paid_at": when,
            },
            {
                "customer_id": customers,
                "version": versions,
                "amount_discount": amounts,
                "session_id": st.sampled_from(SESSION_IDS),
            },
        )
    )
    refund = draw(st.sampled_from((None, None, None, 1, 2)))
    if refund:
        value["amount_refunded"] = value["amount_received"] // refund
    return "payment", dumps(_with_text(draw, value, "paid_at"))


# As they are written in JSON, digit by digit; from the first on that is no energy they are unknown.
ENERGIES = (
    '"12.4"', "12.3456", "0", "0.0", "-0", '"0.0005"', "0.00049999999999999999999999", "1.0005", '"0012.3"', "1e2", "125E-4", "1e-400", '"999999.999"', "999999.999",
    "null", "true", '""', '"12,4"', '"1e1"', '"-0.001"', "-0.001", "999999.9991", "1e6", "1e400", '"a lot"', "[1.5]", '{"kwh": 1}',
)  # fmt: skip
NO_TIMES = (None, True, 1.5, "", "later", "2026-11-03T08:29:59", 10**30, [], {})
SESSION_IDS = ("x", "s", None, "", 7, True, "a\nb", "x" * 201, ["x"], "大客户")


def _with_energy(draw: st.DrawFn, value: bytes) -> bytes:
    return value.replace(b'"ENERGY"', draw(st.sampled_from(ENERGIES)).encode())


def _with_text(draw: st.DrawFn, value: dict[str, Any], name: str) -> dict[str, Any]:
    """Sometimes the time as text, in a zone that says nothing."""
    way = draw(st.sampled_from((None, None, "Z", "+05:45", "-03:30")))
    if way is None:
        return value
    at_ms = value[name]
    shift = 0 if way == "Z" else (-1 if way[0] == "-" else 1) * (int(way[1:3]) * 60 + int(way[4:])) * 60_000
    return {**value, name: f"{ocpi_time(at_ms + shift)}.{at_ms % 1000:03d}{way}"}


@st.composite
def memberships(draw: st.DrawFn) -> tuple[str, bytes]:
    """Of a few customers in a few groups."""
    value = _value(
        {
            "operator_id": operators,
            "customer_id": st.sampled_from(CUSTOMERS),
            "group_ids": st.lists(st.sampled_from(GROUPS), max_size=3),
        },
        {"version": versions},
    )
    return "membership", dumps(draw(value))


@st.composite
def group_names(draw: st.DrawFn) -> tuple[str, bytes]:
    """Also of a group that nobody is in."""
    value = _value(
        {
            "operator_id": operators,
            "group_id": st.sampled_from((*GROUPS, "empty")),
            "name": st.sampled_from(("", "大客户", "x")),
        },
        {"version": versions},
    )
    return "group", dumps(draw(value))


@st.composite
def announcements(draw: st.DrawFn, zones: tuple[str, ...] = ZONES) -> tuple[str, bytes]:
    """Zones and currencies change."""
    value = _value(
        {
            "operator_id": operators,
            "timezone": st.sampled_from(zones),
            "currency": st.sampled_from((*CURRENCIES, "CHF")),
        },
        {"version": versions, "name": st.sampled_from((None, "", "Stadtwerke"))},
    )
    return "operator", dumps(draw(value))


PRICES = ("0", "1.005", "12.345", "0.0005", "1e2", "0.1", "90071992547.0000005")


@st.composite
def cdrs(
    draw: st.DrawFn, when: st.SearchStrategy[int], credit_when: st.SearchStrategy[int] | None = None
) -> tuple[str, bytes]:
    """CDRs and credits of each other and of unknown ones. With `credit_when`, credits have ids and times of their own."""
    case = draw(st.sampled_from((str.upper, str.lower)))
    country, party = draw(st.sampled_from((("NL", "ALF"), ("DE", "STW"))))
    credit = draw(st.sampled_from((None, None, False, True)))
    own = credit_when is not None and credit is True
    end = draw(credit_when if own and credit_when is not None else when)
    value: dict[str, Any] = {
        "country_code": case(country),
        "party_id": party,
        "id": case(draw(st.sampled_from(("credit1", "credit2") if own else ("k1", "k2", "k3")))),
        "end_date_time": ocpi_time(end),
        "start_date_time": ocpi_time(max(end - draw(st.sampled_from((0, HOUR, 9 * HOUR))), end // DAY * DAY))
        + draw(st.sampled_from(("", "Z"))),
        "cdr_token": draw(
            _value(
                {"contract_id": st.sampled_from(("c1", "C1", "客户 ' \" 😀"))},
                {"type": st.sampled_from(("AD_HOC_USER", "RFID"))},
            )
        ),
        "currency": draw(st.sampled_from(CURRENCIES)),
        "total_energy": draw(st.sampled_from((0, "ENERGY"))),
        "total_cost": "PRICE",
    }
    if draw(st.booleans()):
        value["session_id"] = draw(st.sampled_from(SESSION_IDS))
    if credit is not None:
        value |= {"credit": credit, "credit_reference_id": case(draw(st.sampled_from(("k1", "k2", "k3", "none"))))}
    version = draw(st.sampled_from((None, 0, 1, 2)))
    if version is not None:
        value["version"] = version
    price, other = draw(st.sampled_from(PRICES)), draw(st.sampled_from(PRICES))
    total = draw(
        st.sampled_from(
            (
                f'{{"excl_vat": {price}}}',
                f'{{"excl_vat": 5, "incl_vat": {price}}}',
                f'{{"before_taxes": {price}, "taxes": [{{"amount": {other}}}]}}',
            )
        )
    )
    # A price is written as it stands, digit by digit.
    return "cdr", _with_energy(draw, dumps(value).replace(b'"PRICE"', total.encode()))


@st.composite
def _some(draw: st.DrawFn, values: st.SearchStrategy[Any], max_size: int) -> list[Any]:
    """A list that is often long, and shrinks to one."""
    least = draw(st.sampled_from((1, 8, 25, 40)))
    return draw(st.lists(values, min_size=min(least, max_size), max_size=max_size))


@st.composite
def _placed(draw: st.DrawFn, values: st.SearchStrategy[list[Any]]) -> list[Record | Clock]:
    """Values as records: any partition, few timestamps, some of them again later."""
    sent = draw(values)
    for index in draw(st.lists(st.integers(0, max(len(sent) - 1, 0)), max_size=len(sent) // 3)):
        if not isinstance(sent[index], Clock):
            sent.append(sent[index])
    offsets: dict[tuple[str, int], int] = {}
    items: list[Record | Clock] = []
    for one in sent:
        if isinstance(one, Clock):
            items.append(one)
            continue
        topic = TOPICS[one[0]]
        place = topic, draw(st.integers(0, PARTITIONS[topic] - 1))
        offsets[place] = offsets.get(place, -1) + draw(st.sampled_from((1, 1, 1, 3)))  # control records leave gaps
        timestamp_ms = NOW_MS - draw(st.integers(0, 2))
        items.append(Record(*place, offsets[place], timestamp_ms, draw(st.sampled_from((None, b"", b"\xffk"))), one[1]))
    return items


def histories(now_ms: int = NOW_MS, *, max_size: int = 60, bad: bool = True) -> st.SearchStrategy[History]:
    """Messy histories whose truth is the same in any order, for the wall clock at now and for stream time. `bad`: with bad records.

    For stream time leave bad records out, or mind that too-late ones are among them.
    """
    when = times(now_ms)
    unusable, odd = _examples(now_ms)
    values = [sessions(when), sessions(when), payments(when), payments(when), payments(when), cdrs(when), cdrs(when)]
    values += [memberships(), memberships(), group_names(), announcements()]
    rare = [st.sampled_from(odd), st.sampled_from(unusable)] if bad else []
    lists = _some(st.one_of(*values, *rare), max_size)
    return _placed(lists).map(lambda items: History(items, now_ms, now_ms))


def late_histories(*, max_size: int = 60) -> st.SearchStrategy[History]:
    """An order of arrival in which a clock runs over months, and entities are late, leave, and come again.

    Times are mid-month, so that no zone makes a difference to what is late, and CDRs begin on the day they end. What credits that left
    retention still do is left open by the contract: their times are retained to the end.
    """
    last_month = "2027-02"
    all_months = [month_plus(last_month, -back) for back in range(28)]
    in_months = st.sampled_from([*all_months, *all_months[:3] * 5, *all_months[12:20] * 2])
    retained = st.sampled_from(all_months[:13])

    def middle(month: str, shift: int) -> int:
        return int(datetime(int(month[:4]), int(month[5:]), 15, 12, tzinfo=UTC).timestamp() * 1000) + shift

    shifts = st.integers(-2 * DAY, 2 * DAY)
    when = st.builds(middle, in_months, shifts)
    clocks = st.builds(lambda back: Clock(middle(month_plus(last_month, -back), 0)), st.integers(0, 6))
    values = [sessions(when), sessions(when), payments(when), payments(when), memberships(), announcements()]
    values += [cdrs(when, st.builds(middle, retained, shifts))]
    lists = _some(st.one_of(*values, clocks), max_size)
    end = Clock(middle(last_month, 0))
    return _placed(lists).map(lambda items: History([*items, end], end.now_ms, WALL_FAR_MS))


MONTHS_END = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)
FIRST_MONTHS = [int(datetime(2025, month, 1, tzinfo=UTC).timestamp() * 1000) for month in (11, 12)]
FAR_ZONES = ("Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "UTC", "Pacific/Honolulu", "Etc/GMT+12")


@st.composite
def month_end_histories(draw: st.DrawFn, *, max_size: int = 40) -> History:
    """A clock runs over a month's end, from the first zone on earth to the last; zones become known, and change, at any place.

    Events are of hours in which the months that leave and those that stay begin, as each zone has it, or of these days.
    """
    quarters = st.integers(-16 * 4, 14 * 4).map(lambda quarter: quarter * 900_000)
    when = st.one_of(
        st.builds(int.__add__, st.sampled_from(FIRST_MONTHS), quarters),
        st.builds(int.__add__, st.just(MONTHS_END), quarters),
        st.just(MONTHS_END - 380 * DAY),
    )
    clocks = st.builds(int.__add__, st.just(MONTHS_END), quarters)
    values = [sessions(when), sessions(when), payments(when), payments(when), memberships(), announcements(FAR_ZONES)]
    lists = _some(st.one_of(*values, announcements(FAR_ZONES), clocks.map(Clock)), max_size)
    items = draw(_placed(lists))
    start, end = Clock(MONTHS_END - 10 * DAY), Clock(MONTHS_END + draw(quarters))
    return History([start, *items, end], end.now_ms, WALL_FAR_MS)
