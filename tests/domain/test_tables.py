"""Tables of results: periods, windows, cells; what a table says of itself."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Operator
from stream_app.domain.local_time import day_of
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import DAY, HALF_HOUR, MONTH, MONTHLY, TABLES, Period

PERIODS = [MONTH, DAY]
TODAY = day_of(date(2026, 11, 24))
OPERATOR = Operator(currency="EUR", today=TODAY, first_month=202511, first_day=TODAY - 91)
days = st.integers(0, day_of(date(9999, 11, 30)))


def day(text: str) -> int:
    return day_of(date.fromisoformat(text))


PERIODS_BY_HAND = [
    # period, a day in it, as people read it, its first day, so many later, that one
    (MONTH, "2026-11-24", "2026-11", "2026-11-01", 1, "2026-12"),
    (MONTH, "2026-12-31", "2026-12", "2026-12-01", 1, "2027-01"),
    (MONTH, "2026-01-01", "2026-01", "2026-01-01", -1, "2025-12"),
    (MONTH, "2024-02-29", "2024-02", "2024-02-01", 24, "2026-02"),
    (MONTH, "1970-01-01", "1970-01", "1970-01-01", 0, "1970-01"),
    (DAY, "2026-11-24", "2026-11-24", "2026-11-24", 7, "2026-12-01"),
    (DAY, "2024-02-29", "2024-02-29", "2024-02-29", 1, "2024-03-01"),
    (DAY, "2026-01-01", "2026-01-01", "2026-01-01", -1, "2025-12-31"),
]


@pytest.mark.parametrize(("period", "within", "text", "first_day", "by", "later"), PERIODS_BY_HAND)
def test_a_period_is_this(period, within, text, first_day, by, later):
    """Named as people read it, and counted on."""
    found = period.of_day(day(within))
    assert (period.text(found), period.first_day(found)) == (text, day(first_day))
    assert period.text(period.add(found, by)) == later


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
@given(days)
def test_a_periods_text_is_parsed_into_the_period(period: Period, within: int):
    """And it holds its first day, which the one before does not."""
    found = period.of_day(within)
    assert period.parse(period.text(found)) == found
    assert period.of_day(period.first_day(found)) == found
    if within >= 31:
        assert period.of_day(period.first_day(found) - 1) == period.add(found, -1)


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
@given(days, st.integers(0, 400))
def test_counting_on_and_the_span_agree(period: Period, within: int, by: int):
    """Later periods are greater numbers; from one to itself it is one."""
    first = period.of_day(min(within, day("9900-01-01")))
    last = period.add(first, by)
    assert period.span(first, last) == by + 1
    assert period.add(last, -by) == first
    assert (last > first) == (by > 0)


@pytest.mark.parametrize(
    ("period", "text"),
    [(MONTH, text) for text in ("2026-13", "2026-00", "2026", "", "2026-11-03", "x")]
    + [(DAY, text) for text in ("2026-02-29", "2026-11", "", "2026-11-31", "x")],
)
def test_what_no_period_reads_like_is_refused(period, text):
    """With ValueError."""
    with pytest.raises(ValueError):
        period.parse(text)


WINDOWS = [
    (MONTHLY, 202602, 3, ["2025-12", "2026-01", "2026-02"]),
    (MONTHLY, 202602, 1, ["2026-02"]),
    (HALF_HOUR, day("2026-03-01"), 2, ["2026-02-28", "2026-03-01"]),
]


@pytest.mark.parametrize(("table", "last", "count", "expected"), WINDOWS)
def test_so_many_periods_end_with_the_last(table, last, count, expected):
    """In order."""
    assert [table.period.text(period) for period in table.periods_to(last, count)] == expected


def test_default_documents_show_these_periods():
    """Half a year of months, thirty days; so many may be asked for."""
    months, dates = (table.default_periods(OPERATOR) for table in (MONTHLY, HALF_HOUR))
    assert (months[0], months[-1], len(months)) == (202606, 202611, 6)
    assert (HALF_HOUR.period.text(dates[0]), dates[-1], len(dates)) == ("2026-10-26", TODAY, 30)
    assert (MONTHLY.asked_max(OPERATOR), HALF_HOUR.asked_max(OPERATOR)) == (25, 92)
    assert (MONTHLY.first_kept(OPERATOR), HALF_HOUR.first_kept(OPERATOR)) == (202511, TODAY - 91)


def test_names_and_prefixes_are_different_ones():
    """And no prefix is one of another kind of row (formats.rows)."""
    for attribute in ("name", "prefix", "document", "path", "topic", "clickhouse_table"):
        assert len({getattr(table, attribute) for table in TABLES}) == len(TABLES)
    assert {len(table.prefix) for table in TABLES} == {1}
    assert not {table.prefix for table in TABLES} & set("ecogplx")


def test_half_hours_have_these_slots():
    """Forty-eight, by the local clock."""
    rule = HALF_HOUR.rule(OPERATOR)
    assert [HALF_HOUR.slot_names[slot] for slot in (0, 17, 47)] == [
        {"start": "00:00", "end": "00:30"},
        {"start": "08:30", "end": "09:00"},
        {"start": "23:30", "end": "24:00"},
    ]
    for quarter, slot in ((0, 0), (1, 0), (2, 1), (34, 17), (35, 17), (94, 47), (95, 47)):
        rule.session(None, [], TODAY * 96 + quarter, 1)
        assert rule.counts[("ALL",), TODAY][slot] > 0, quarter


def test_a_cleared_cell_shows_zeros_where_it_ever_showed_something():
    """A currency that was shown stays, with zeros."""
    cell = FigureCell(7, 8, {"CHF": [1] * PAYMENT_SUMS.size}, [1] * SESSION_SUMS.size)
    MONTHLY.clear(cell)
    assert cell == FigureCell(7, 8, {"CHF": PAYMENT_SUMS.zeros()}, SESSION_SUMS.zeros())
    slots = CountCell(7, 8, [1] * 48)
    HALF_HOUR.clear(slots)
    assert slots == CountCell(7, 8, [0] * 48)


def test_a_completed_cell_shows_the_operators_own_currency():
    """Zeros where nothing was paid; what was paid stays."""
    empty, paid = FigureCell(payments={}), FigureCell(payments={"EUR": [1] * PAYMENT_SUMS.size})
    cells = {
        CellKey("M1", "empty", 202611): empty,
        CellKey("M1", "paid", 202611): paid,
        CellKey("M1", "gone", 202611): None,
    }
    MONTHLY.complete(cells, {"M1": OPERATOR})
    assert (empty.payments, paid.payments) == ({"EUR": PAYMENT_SUMS.zeros()}, {"EUR": [1] * PAYMENT_SUMS.size})


def test_a_cell_of_fewer_figures_is_filled_up():
    """As one was stored before energy came."""
    cell = FigureCell(7, 8, {"EUR": [5, 0, 0, 1]}, [3, 2, 1])
    assert MONTHLY.read_all([cell, None]) == [FigureCell(7, 8, {"EUR": [5, 0, 0, 1, 0, 0]}, [3, 2, 1, 0, 0]), None]


def test_new_cells_share_nothing():
    """A cell is changed in place."""
    for table in TABLES:
        first, second = table.new(), table.new()
        assert first == second
        for field in first.__struct_fields__:
            value = getattr(first, field)
            assert not isinstance(value, list | dict) or value is not getattr(second, field)
