"""Records of the results topics by the native library: the same as sinks.topics makes of the cells, or left to it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Operator
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats import rows
from stream_app.kernel.result_records import new_result_records
from stream_app.ports.records import Record
from stream_app.sinks.topics import ResultRecords, partition_for

PARTITION, TOPIC_PARTITIONS = 3, 7
PYTHON = ResultRecords("com.example", "/here")
NATIVE = {table.name: new_result_records(table, PARTITION, TOPIC_PARTITIONS) for table in (MONTHLY, HALF_HOUR)}

NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12) | st.sampled_from(
    ["M1", 'a"b\\c', "a|b%7C{+}", "充电", "\N{AUTOMOBILE}", "</script>", "a\u2028b"]
)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 500) | st.integers(-20, 20)
PEOPLE = st.integers(0, 5) | st.integers(0, 1 << 40)
STAMPS = st.tuples(st.integers(0, 1 << 53), st.integers(0, 253402300799999) | st.sampled_from([0, 951782400000]))
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CHF", "CLF"])
MONTHS = st.builds(lambda year, month: year * 100 + month, st.integers(1970, 9999), st.integers(1, 12))
DAYS = st.integers(0, 2_932_896)


def lists(size):
    return st.lists(NUMBERS | PEOPLE, min_size=size, max_size=size)


FIGURES = st.builds(
    lambda stamp, payments, sessions: FigureCell(*stamp, payments, sessions),
    STAMPS, st.dictionaries(CURRENCIES, lists(PAYMENT_SUMS.size), max_size=3), lists(SESSION_SUMS.size),
)  # fmt: skip
COUNTS = st.builds(lambda stamp, slots: CountCell(*stamp, slots), STAMPS, lists(HALF_HOUR.width))


def check(table, key, timezone, cell):
    """Whether the record is made natively. It is the one that Python makes then."""
    made, left = NATIVE[table.name].of([key], [timezone], [rows.encode(cell)])
    if left:
        assert (made, left) == ([], [0])
        return False
    wanted = PYTHON.of(table, Operator(timezone), key, cell, PARTITION)
    assert [PYTHON.made(table, one.key, one.value, one.id, one.as_of) for one in made] == wanted
    assert [one.partition for one in made] == [partition_for(record.key, TOPIC_PARTITIONS) for record in wanted]
    return True


@settings(max_examples=400, deadline=None)
@given(NAMES, NAMES, MONTHS, FIGURES)
@example("M1", "ALL", 202611, FigureCell(1, 2, {"EUR": [-5, 0, 0, 3, 2, 1]}, [1, 1, 12_345, 0, 0]))
def test_figures(operator, group, month, cell):
    taken = check(MONTHLY, CellKey(operator, group, month), "Europe/Zurich", cell)
    usual = [number for sums in (*cell.payments.values(), cell.sessions) for number in sums]
    assert taken or any(not 0 <= number < 1 << 50 for number in usual)


@settings(max_examples=200, deadline=None)
@given(NAMES, NAMES, DAYS, COUNTS)
def test_counts(operator, group, day, cell):
    taken = check(HALF_HOUR, CellKey(operator, group, day), "UTC", cell)
    assert taken or not -(1 << 63) <= sum(cell.slots) < 1 << 63 or any(abs(count) > 1 << 50 for count in cell.slots)


@pytest.mark.parametrize(
    "row",
    [
        rows.encode(FigureCell(1, 2, {"EUR": [0] * PAYMENT_SUMS.size}, [0] * SESSION_SUMS.size))[1:],
        rows.encode(FigureCell(1, 2, {"XYZ": [0] * PAYMENT_SUMS.size}, [0] * SESSION_SUMS.size)),
        rows.encode(FigureCell(1, 2, {"EUR": [1 << 70] * PAYMENT_SUMS.size}, [0] * SESSION_SUMS.size)),
        rows.encode(FigureCell(1, -2, {}, [0] * SESSION_SUMS.size)),
        rows.encode(FigureCell(1, 2, {}, [0] * (SESSION_SUMS.size + 1))),
        rows.encode(FigureCell(1, 2, {"EUR": [5, 0, 0, 1, -1, 0]}, [0] * SESSION_SUMS.size)),
        rows.encode(CountCell(1, 2, [0] * HALF_HOUR.width)),
        b"\x02",
        b"",
    ],
)
def test_what_is_unusual_is_left(row):
    """Of an older format, of an unknown currency, beyond 64 bits, before 1970, of more figures, a negative number of customers, of another table, cut off.

    What lies beside it is made.
    """
    good = rows.encode(FigureCell(1, 2, {"EUR": [0] * PAYMENT_SUMS.size}, [0] * SESSION_SUMS.size))
    made, left = NATIVE["monthly"].of([CellKey("M1", "ALL", 202611)] * 3, ["UTC"] * 3, [good, row, good])
    assert left == [1]
    assert [one.row for one in made] == [0, 2]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_row_that_is_disturbed_is_read_as_it_stands_or_left(data):
    """Never beyond its end."""
    cell = FigureCell(1, 2, {"EUR": [5, 1, 0, 3, 2, 1]}, [1, 1, 12_345, 0, 0])
    row = bytearray(rows.encode(cell))
    for _ in range(data.draw(st.integers(1, 3))):
        row[data.draw(st.integers(1, len(row) - 1))] = data.draw(st.integers(0, 255))
    row = row[: data.draw(st.integers(1, len(row)))]
    key = CellKey("M1", "ALL", 202611)
    made, left = NATIVE["monthly"].of([key], ["UTC"], [bytes(row)])
    assert bool(left) or len(made) <= 3
    if not left:
        read = MONTHLY.read(rows.cell_decoder(MONTHLY)(bytes(row)))
        wanted = [record.value for record in PYTHON.of(MONTHLY, Operator("UTC"), key, read, PARTITION)]
        assert sorted(one.value for one in made) == sorted(wanted) or len(made) != len(read.payments)


def test_zones_and_partitions_are_those_asked_for():
    """The same operator in another zone has another text; each record says its partition."""
    cell = rows.encode(CountCell(1, 2, [1] * HALF_HOUR.width))
    key = CellKey("M1", "ALL", 20_000)
    first, second = NATIVE["half_hour"].of([key, key], ["UTC", "Asia/Tokyo"], [cell, cell])[0]
    assert b'"timezone":"UTC"' in first.value
    assert b'"timezone":"Asia/Tokyo"' in second.value
    assert isinstance(PYTHON.made(HALF_HOUR, first.key, first.value, first.id, first.as_of), Record)
