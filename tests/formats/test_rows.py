"""Rows of the store and of the changelog byte by byte: what an earlier run wrote stays readable."""

from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import CellKey, CountCell, Customer, FigureCell, Group, Operator, Shown
from stream_app.domain.rules import part
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.formats import rows
from stream_app.formats.rows import FormatError, Position

STAMP = (1, 2, 3, 4, 2)
SESSION = [1, 1793693460000, 7, 3, 2, 1, 1992992, 0, None, 12400, 899999, 2461000]
PAYMENT = [1, 1793693460000, 7, 3, 2, 2, 1992992, 1992992, "c-9", None, 0, None, 1250, 150, 0, "EUR", "s-1"]
CDR = [
    0,
    1793693460000,
    7,
    3,
    2,
    3,
    1992992,
    0,
    "C-9",
    0,
    1,
    1800000,
    1250,
    0,
    0,
    "EUR",
    None,
    1992990,
    None,
    {"CR-1": 1993000},
]
FIGURES = FigureCell(5, 1793693460000, {"EUR": [1250, 150, 0, 1, 1, 0]}, [3, 2, 1, 12400, 400])
COUNTS = CountCell(5, 1793693460000, [0] * 47 + [300])
OPERATOR = Operator(
    timezone="Europe/Berlin",
    announced_currency="EUR",
    name="Stadtwerke",
    stamp=STAMP,
    currency="EUR",
    today=20781,
    first_month=202511,
    first_day=20690,
    horizon=1900000,
    swept=1890000,
    payments={"EUR": {202611: 3}},
    figures=2,
)
GROUP = Group("大客户", STAMP, {"monthly": Shown(5, 6), "half_hour": Shown(7, 8)}, {202611: True, 202610: False})

_TIME = b"\xcf\x00\x00\x01\xa1\xa0v& "  # 1793693460000
_MONTH = b"\xce\x00\x03\x17s"  # 202611
_DA_KE_HU = b"\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7"

# Of the newest format: (name, value, how it is read, its bytes)
GOLDEN = [
    (
        "session",
        SESSION,
        rows.decode_entity,
        b"\x02\x9c\x01\xcf\x00\x00\x01\xa1\xa0v& \x07\x03\x02\x01\xce\x00\x1ei \x00\xc0\xcd0p\xce\x00\r\xbb\x9f\xce\x00%\x8dH",
    ),
    (
        "payment",
        PAYMENT,
        rows.decode_entity,
        b"\x02\xdc\x00\x11\x01\xcf\x00\x00\x01\xa1\xa0v& \x07\x03\x02\x02\xce\x00\x1ei \xce\x00\x1ei \xa3c-9\xc0\x00\xc0\xcd\x04\xe2\xcc\x96\x00\xa3EUR\xa3s-1",
    ),
    (
        "cdr",
        CDR,
        rows.decode_entity,
        b"\x02\xdc\x00\x14\x00\xcf\x00\x00\x01\xa1\xa0v& \x07\x03\x02\x03\xce\x00\x1ei \x00\xa3C-9\x00\x01\xce\x00\x1bw@\xcd\x04\xe2\x00\x00\xa3EUR\xc0\xce\x00\x1ei\x1e\xc0\x81\xa4CR-1\xce\x00\x1ei(",
    ),
    (
        "figures",
        FIGURES,
        rows.cell_decoder(MONTHLY),
        b"\x02\x94\x05\xcf\x00\x00\x01\xa1\xa0v& \x81\xa3EUR\x96\xcd\x04\xe2\xcc\x96\x00\x01\x01\x00\x95\x03\x02\x01\xcd0p\xcd\x01\x90",
    ),
    (
        "counts",
        COUNTS,
        rows.cell_decoder(HALF_HOUR),
        b"\x02\x93\x05\xcf\x00\x00\x01\xa1\xa0v& \xdc\x000\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xcd\x01,",
    ),
    (
        "operator",
        OPERATOR,
        rows.decode_operator,
        b"\x02\x9c\xadEurope/Berlin\xa3EUR\xaaStadtwerke\x95\x01\x02\x03\x04\x02\xa3EUR\xcdQ-\xce\x00\x03\x17\x0f\xcdP\xd2\xce\x00\x1c\xfd\xe0\xce\x00\x1c\xd6\xd0\x81\xa3EUR\x81\xce\x00\x03\x17s\x03\x02",
    ),
    (
        "group",
        GROUP,
        rows.decode_group,
        b"\x02\x94\xa9\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7\x95\x01\x02\x03\x04\x02\x82\xa7monthly\x92\x05\x06\xa9half_hour\x92\x07\x08\x82\xce\x00\x03\x17s\xc3\xce\x00\x03\x17r\xc2",
    ),
]


@pytest.mark.parametrize(("value", "decode", "golden"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_rows_are_these_bytes(value, decode, golden):
    """Written and read: a change of either is a new format."""
    assert rows.encode(value) == golden
    assert decode(golden) == value


POSITION = Position(2, "JpOLc7tpQ4GzYm", 1, 77, (1 << 40) + 76, 1992992, 1793693460000, 2, "2026f", 13, 92, 0, 65537)
POSITION_BYTES = b"\x9e\x02\xaeJpOLc7tpQ4GzYm\x01M\xcf\x00\x00\x01\x00\x00\x00\x00L\xce\x00\x1ei \xcf\x00\x00\x01\xa1\xa0v& \x02\xa52026f\r\\\x00\xce\x00\x01\x00\x01\xc0"


def test_a_position_is_these_bytes():
    """Its first field is the format, in every format."""
    assert rows.encode_position(POSITION) == POSITION_BYTES
    assert rows.decode_position(POSITION_BYTES) == POSITION
    ahead = msgspec.structs.replace(POSITION, ahead=rows.Ahead(79, 65538, {"M1": 77}))
    ahead_bytes = POSITION_BYTES[:-1] + b"\x93O\xce\x00\x01\x00\x02\x81\xa2M1M"
    assert rows.encode_position(ahead) == ahead_bytes
    assert rows.decode_position(ahead_bytes) == ahead
    without_ahead = b"\x9d" + POSITION_BYTES[1:-1]
    assert rows.decode_position(without_ahead) == POSITION
    without_checksum = b"\x9c" + POSITION_BYTES[1:-6]  # as it was first written in this format
    assert rows.decode_position(without_checksum) == msgspec.structs.replace(POSITION, last_frame=0)


def test_a_customer_is_these_bytes_and_what_was_not_looked_at_is_written_as_it_was_read():
    """Groups, stamp, and the parts of the contribution by table."""
    parts = {"mp": {"EUR": {202611: [1250, 150, 0, 1, 1]}}, "ms": {202611: [2, 12400]}, "h": {20781 * 48 + 17: 2}}
    golden = b"\x02\x93\x92\xa3ALL\xa3vip\x95\x01\x02\x03\x04\x02\x83\xa2mp\x81\xa3EUR\x81\xce\x00\x03\x17s\x95\xcd\x04\xe2\xcc\x96\x00\x01\x01\xa2ms\x81\xce\x00\x03\x17s\x92\x02\xcd0p\xa1h\x81\xce\x00\x0f8\x81\x02"
    assert rows.encode(Customer(("ALL", "vip"), STAMP, parts)) == golden
    found = rows.decode_customer(golden)
    assert (found.groups, found.stamp) == (("ALL", "vip"), STAMP)
    assert rows.encode(found) == golden
    assert {name: part(found, name) for name in parts} == parts
    assert rows.encode(Customer()) == b"\x02\x93\x91\xa3ALL\x95\xff\x00\x00\x00\x00\x80"


def test_a_row_with_integers_beyond_64_bits_is_these_bytes():
    """Marked, so that a version that can't read it says so; what fits stays as it is in every other row."""
    cell = FigureCell(5, 6, {"EUR": [2**64, 2**64 - 1, -(2**63) - 1, 1, 1, 0]}, [0, 0, 0, 0, 0])
    golden = (
        b"\x7e\x94\x05\x06\x81\xa3EUR\x96\xc7\x09\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
        b"\xc7\x09\x01\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x01\x00\x95\x00\x00\x00\x00\x00"
    )
    assert rows.encode(cell) == golden
    assert rows.encode_all([(b"k", cell), (b"gone", None)]) == {b"k": golden, b"gone": b""}
    assert rows.cell_decoder(MONTHLY)(golden) == cell
    assert rows.cell_decoder(MONTHLY).all([golden, None]) == [cell, None]


@given(st.integers(-(2**200), 2**200) | st.sampled_from((2**64, 2**63, -(2**63) - 1, 2**71 - 1, 2**71, -(2**71))))
def test_an_integer_of_any_size_stays_in_a_customers_part(number):
    """And so does what was not looked at beside it."""
    found = rows.decode_customer(
        rows.encode(Customer(("ALL",), STAMP, {"mp": {"EUR": {202611: [number, 1]}}, "h": {3: 1}}))
    )
    again = rows.decode_customer(rows.encode(found))
    assert part(again, "mp") == {"EUR": {202611: [number, 1]}}
    assert bytes(rows.decode_customer(rows.encode(again)).parts["h"]) == msgspec.msgpack.encode({3: 1})


# -- older formats: what they were when they were written, and the value of today that they are read as

STAMP_1 = (1, 2, 3, 4)
OLDER = [
    (
        "session of 1",
        rows.decode_entity,
        b"\x98\x01" + _TIME + b"\x07\x03\x01\xce\x00\x1ei \x00\xc0",
        [1, 1793693460000, 7, 3, 1, 1, 1992992, 0, None, None, 0, None],
    ),
    (
        "payment of 1",
        rows.decode_entity,
        b"\x9c\x01" + _TIME + b"\x07\x03\x02\xce\x00\x1ei \xce\x00\x1ei \xa3c-9\xcd\x04\xe2\xcc\x96\x00\xa3EUR",
        [1, 1793693460000, 7, 3, 1, 2, 1992992, 1992992, "c-9", None, 0, None, 1250, 150, 0, "EUR", None],
    ),
    (
        "CDR of 1",
        rows.decode_entity,
        b"\x9f\x00" + _TIME + b"\x07\x03\x03\xce\x00\x1ei \x00\xa3C-9\xcd\x04\xe2\x00\x00\xa3EUR\xce\x00\x1ei\x1e\xc0"
        b"\x81\xa4CR-1\xce\x00\x1ei(",
        [
            0,
            1793693460000,
            7,
            3,
            1,
            3,
            1992992,
            0,
            "C-9",
            None,
            0,
            None,
            1250,
            0,
            0,
            "EUR",
            None,
            1992990,
            None,
            {"CR-1": 1993000},
        ],
    ),
    (
        "monthly of 1, received before refunds",
        rows.cell_decoder(MONTHLY),
        b"\x94\x05" + _TIME + b"\x81\xa3EUR\x96\xcd\x04\xe2\xcc\x96\x32\x01\x01\x00\x93\x03\x02\x01",
        FigureCell(5, 1793693460000, {"EUR": [1200, 150, 50, 1, 1, 0]}, [3, 2, 1, 0, 0]),
    ),
    (
        "half-hours of 1",
        rows.cell_decoder(HALF_HOUR),
        b"\x93\x05" + _TIME + b"\xdc\x000" + bytes(47) + b"\xcd\x01,",
        COUNTS,
    ),
    (
        "operator of 1",
        rows.decode_operator,
        b"\x9b\xadEurope/Berlin\xa3EUR\xaaStadtwerke\x94\x01\x02\x03\x04\xa3EUR\xcdQ-\xce\x00\x03\x17\x0f\xcdP\xd2"
        b"\xce\x00\x1c\xfd\xe0\xce\x00\x1c\xd6\xd0\x81\xa3EUR\x81" + _MONTH + b"\x03",
        msgspec.structs.replace(OPERATOR, stamp=STAMP_1, figures=1),
    ),
    (
        "group of 1",
        rows.decode_group,
        b"\x97\xa9" + _DA_KE_HU + b"\x94\x01\x02\x03\x04\x05\x06\x07\x08\x82" + _MONTH + b"\xc3\xce\x00\x03\x17r\xc2",
        msgspec.structs.replace(GROUP, stamp=STAMP_1),
    ),
    (
        "customer of 1, received before refunds",
        rows.decode_customer,
        b"\x95\x92\xa3ALL\xa3vip\x94\x01\x02\x03\x04\x81\xa3EUR\x81" + _MONTH + b"\x95\xcd\x04\xe2\xcc\x96\x32\x01\x01"
        b"\x81" + _MONTH + b"\x02\x81\xce\x00\x0f8\x81\x02",
        Customer(
            ("ALL", "vip"),
            STAMP_1,
            {"mp": {"EUR": {202611: [1200, 150, 50, 1, 1]}}, "ms": {202611: [2]}, "h": {20781 * 48 + 17: 2}},
        ),
    ),
    (
        "position of 1",
        rows.decode_position,
        b"\x97\x01\xaeJpOLc7tpQ4GzYm\x01M\xcf\x00\x00\x01\x00\x00\x00\x00L\xce\x00\x1ei " + _TIME,
        Position(1, "JpOLc7tpQ4GzYm", 1, 77, (1 << 40) + 76, 1992992, 1793693460000, 1, "2026f", 0, 0, 0),
    ),
]


@pytest.mark.parametrize(("decode", "raw", "value"), [row[1:] for row in OLDER], ids=[row[0] for row in OLDER])
def test_rows_of_an_older_format_are_read_as_rows_of_today(decode, raw, value):
    """What an older format did not keep is unknown, or zero."""
    assert decode(raw) == value


@pytest.mark.parametrize("decode", [rows.decode_entity, rows.decode_customer, rows.decode_operator, rows.decode_group])
def test_a_row_of_a_newer_format_is_refused_in_one_sentence(decode):
    """The next format's mark."""
    with pytest.raises(
        FormatError, match="a row of format 3: this version reads up to 2, run the version of crm-stats"
    ):
        decode(b"\x03\x90")


def test_a_cell_with_fewer_figures_is_filled_up():
    """A figure that came later begins at zero, and a row needs no new format for it."""
    short = rows.encode(FigureCell(5, 6, {"EUR": [1250, 150, 0, 1, 1]}, [3, 2]))
    found = MONTHLY.read(rows.cell_decoder(MONTHLY)(short))
    assert (found.payments, found.sessions) == ({"EUR": [1250, 150, 0, 1, 1, 0]}, [3, 2, 0, 0, 0])


def test_keys_are_these_bytes():
    """The kind of row first, then the operator: all of an operator is one range by kind."""
    assert rows.POSITION == b"p"
    assert rows.entity_prefix("大客户", 2) == b"e" + _DA_KE_HU + b"\0\x02"
    assert rows.entities_prefix("大客户") == b"e" + _DA_KE_HU + b"\0"
    assert rows.customer_prefix("M1") == b"cM1\0"
    assert rows.cell_key(MONTHLY, CellKey("M1", "ALL", 202611)) == b"mM1\0ALL\x00202611"
    assert rows.cell_key(HALF_HOUR, CellKey("M1", "大客户", 20781)) == b"hM1\0" + _DA_KE_HU + b"\x0020781"
    assert rows.operator_key("M1") == b"oM1"
    assert rows.group_key("M1", "vip") == b"gM1\0vip"


IDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@given(IDS, IDS, st.integers(0, 999912))
def test_keys_can_be_parsed_and_lie_in_the_range_of_their_operator(operator, group, period):
    """Whatever the ids hold."""
    key = CellKey(operator, group, period)
    for table in TABLES:
        assert rows.parse_cell_key(rows.cell_key(table, key)) == key
        assert rows.cell_key(table, key).startswith(rows.cells_prefix(table, operator))
    assert rows.parse_group_key(rows.group_key(operator, group)) == (operator, group)
    assert rows.entity_prefix(operator, 3).startswith(rows.entities_prefix(operator))


def test_no_two_kinds_of_row_begin_with_the_same_letter():
    """Nor do the parts of two tables in a customer's row."""
    letters = [table.prefix for table in TABLES] + list("ecogplkx")
    assert len({letter[:1] for letter in letters}) == len(letters)


@given(IDS, IDS)
def test_no_operator_lies_in_the_range_of_another(one, other):
    """Not even where its id begins with the other's."""
    if one == other:
        return
    cells = [partial(rows.cells_prefix, table) for table in TABLES]
    for prefix in (rows.entities_prefix, rows.customer_prefix, *cells):
        assert not prefix(one + other).startswith(prefix(one))
        assert not prefix(one).startswith(prefix(other))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x97\x03\xa1t\x01M\x00\x00\x00", "rows of format 3: this version reads up to 2, run the version"),
        (b"\x98\x03\xa1t\x01M\x00\x00\x00\xc0", "can't be read"),
        (b"\x93\x02\xa1t\x01", "can't be read"),
        (b"\xa1t", "can't be read"),
        (b"", "can't be read"),
    ],
)
def test_a_position_of_a_newer_format_is_refused(raw, says):
    """Readable and not, fewer fields, something else, nothing."""
    with pytest.raises(FormatError, match=says):
        rows.decode_position(raw)


def test_a_version_is_the_generation_above_the_offset_and_exact_in_json():
    """The next generation is above all offsets of the one before."""
    assert rows.version_of(1, 0) == 1_099_511_627_776
    assert rows.version_of(1, 77) == 1_099_511_627_853
    assert rows.version_of(3, 5) == 3_298_534_883_333
    assert rows.version_of(1, 2**40 - 1) < rows.version_of(2, 0)
    assert rows.version_of(2**13 - 1, 2**40 - 1) == 2**53 - 1
