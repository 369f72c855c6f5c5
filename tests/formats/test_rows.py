"""Rows of the store and of the changelog byte by byte: what an earlier run wrote stays readable."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import Customer, Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.formats import rows
from stream_app.formats.rows import FormatError, Position

STAMP = (1, 2, 3, 4)
SESSION = [1, 1793693460000, 7, 3, 1, 1992992, 0, None]
PAYMENT = [1, 1793693460000, 7, 3, 2, 1992992, 1992992, "c-9", 1250, 150, 0, "EUR"]
CDR = [0, 1793693460000, 7, 3, 3, 1992992, 0, "C-9", 1250, 0, 0, "EUR", 1992990, None, {"CR-1": 1993000}]
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
)
POSITION = Position(1, "JpOLc7tpQ4GzYm", 1, 77, (1 << 40) + 76, 1992992, 1793693460000)

_TIME = b"\xcf\x00\x00\x01\xa1\xa0v& "  # 1793693460000
_MONTH = b"\xce\x00\x03\x17s"  # 202611
_DA_KE_HU = b"\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7"

GOLDEN = [
    (SESSION, rows.decode_entity, b"\x98\x01" + _TIME + b"\x07\x03\x01\xce\x00\x1ei \x00\xc0"),
    (
        PAYMENT,
        rows.decode_entity,
        b"\x9c\x01" + _TIME + b"\x07\x03\x02\xce\x00\x1ei \xce\x00\x1ei \xa3c-9\xcd\x04\xe2\xcc\x96\x00\xa3EUR",
    ),
    (
        CDR,
        rows.decode_entity,
        b"\x9f\x00" + _TIME + b"\x07\x03\x03\xce\x00\x1ei \x00\xa3C-9\xcd\x04\xe2\x00\x00\xa3EUR\xce\x00\x1ei\x1e\xc0"
        b"\x81\xa4CR-1\xce\x00\x1ei(",
    ),
    (
        Monthly(version=5, as_of=1793693460000, money={"EUR": [1250, 150, 0, 1, 1, 0]}, usage=[3, 2, 1]),
        rows.decode_monthly,
        b"\x94\x05" + _TIME + b"\x81\xa3EUR\x96\xcd\x04\xe2\xcc\x96\x00\x01\x01\x00\x93\x03\x02\x01",
    ),
    (
        HalfHour(version=5, as_of=1793693460000, slots=[0] * 47 + [300]),
        rows.decode_half_hour,
        b"\x93\x05" + _TIME + b"\xdc\x000" + bytes(47) + b"\xcd\x01,",
    ),
    (Operator(), rows.decode_operator, b"\x9b\xa3UTC\xc0\xc0\x94\xff\x00\x00\x00\xa0\x00\x00\x00\x00\x00\x80"),
    (
        OPERATOR,
        rows.decode_operator,
        b"\x9b\xadEurope/Berlin\xa3EUR\xaaStadtwerke\x94\x01\x02\x03\x04\xa3EUR\xcdQ-\xce\x00\x03\x17\x0f\xcdP\xd2"
        b"\xce\x00\x1c\xfd\xe0\xce\x00\x1c\xd6\xd0\x81\xa3EUR\x81" + _MONTH + b"\x03",
    ),
    (
        Group("大客户", STAMP, 5, 6, 7, 8, {202611: True, 202610: False}),
        rows.decode_group,
        b"\x97\xa9" + _DA_KE_HU + b"\x94\x01\x02\x03\x04\x05\x06\x07\x08\x82" + _MONTH + b"\xc3\xce\x00\x03\x17r\xc2",
    ),
    (
        POSITION,
        rows.decode_position,
        b"\x97\x01\xaeJpOLc7tpQ4GzYm\x01M\xcf\x00\x00\x01\x00\x00\x00\x00L\xce\x00\x1ei " + _TIME,
    ),
]


@pytest.mark.parametrize(("value", "decode", "golden"), GOLDEN, ids=[type(value).__name__ for value, *_ in GOLDEN])
def test_rows_are_these_bytes(value, decode, golden):
    """Written and read: a change of either is a new format."""
    assert rows.encode(value) == golden
    assert decode(golden) == value


def test_a_customer_is_these_bytes_and_what_was_not_looked_at_is_written_as_it_was_read():
    """Groups, stamp, and the contribution in three parts."""
    golden = (
        b"\x95\x92\xa3ALL\xa3vip\x94\x01\x02\x03\x04\x81\xa3EUR\x81" + _MONTH + b"\x95\xcd\x04\xe2\xcc\x96\x00\x01\x01"
        b"\x81" + _MONTH + b"\x02\x81\xce\x00\x0f8\x81\x02"
    )
    money, sessions, slots = {"EUR": {202611: [1250, 150, 0, 1, 1]}}, {202611: 2}, {20781 * 48 + 17: 2}
    assert rows.encode(Customer(("ALL", "vip"), STAMP, money, sessions, slots)) == golden
    found = rows.decode_customer(golden)
    assert (found.groups, found.stamp) == (("ALL", "vip"), STAMP)
    assert rows.encode(found) == golden
    parts = (found.money, found.sessions, found.slots)
    assert [msgspec.msgpack.decode(msgspec.msgpack.encode(part)) for part in parts] == [money, sessions, slots]
    assert rows.encode(Customer()) == b"\x95\x91\xa3ALL\x94\xff\x00\x00\x00\x80\x80\x80"


def test_keys_are_these_bytes():
    """The kind of row first, then the operator: all of an operator is one range by kind."""
    assert rows.POSITION == b"p"
    assert rows.entity_prefix("大客户", 2) == b"e" + _DA_KE_HU + b"\0\x02"
    assert rows.entities_prefix("大客户") == b"e" + _DA_KE_HU + b"\0"
    assert rows.customer_prefix("M1") == b"cM1\0"
    assert rows.monthly_key(MonthlyKey("M1", "ALL", 202611)) == b"mM1\0ALL\x00202611"
    assert rows.half_hour_key(HalfHourKey("M1", "大客户", 20781)) == b"hM1\0" + _DA_KE_HU + b"\x0020781"
    assert rows.operator_key("M1") == b"oM1"
    assert rows.group_key("M1", "vip") == b"gM1\0vip"


IDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@given(IDS, IDS, st.integers(197001, 999912), st.integers(0, 99999))
def test_keys_can_be_parsed_and_lie_in_the_range_of_their_operator(operator, group, month, day):
    """Whatever the ids hold."""
    monthly, half_hour = MonthlyKey(operator, group, month), HalfHourKey(operator, group, day)
    assert rows.parse_monthly_key(rows.monthly_key(monthly)) == monthly
    assert rows.parse_half_hour_key(rows.half_hour_key(half_hour)) == half_hour
    assert rows.parse_group_key(rows.group_key(operator, group)) == (operator, group)
    assert rows.monthly_key(monthly).startswith(rows.monthly_prefix(operator))
    assert rows.half_hour_key(half_hour).startswith(rows.half_hour_prefix(operator))
    assert rows.entity_prefix(operator, 3).startswith(rows.entities_prefix(operator))


@given(IDS, IDS)
def test_no_operator_lies_in_the_range_of_another(one, other):
    """Not even where its id begins with the other's."""
    if one == other:
        return
    for prefix in (rows.entities_prefix, rows.customer_prefix, rows.monthly_prefix, rows.half_hour_prefix):
        assert not prefix(one + other).startswith(prefix(one))
        assert not prefix(one).startswith(prefix(other))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x97\x02\xa1t\x01M\x00\x00\x00", "rows of format 2, this version reads 1"),
        (b"\x97\x00\xa1t\x01M\x00\x00\x00", "rows of format 0"),
        (b"\x98\x02\xa1t\x01M\x00\x00\x00\xc0", "rows of format 2"),
        (b"\x93\x02\xa1t\x01", "can't be read"),
        (b"\xa1t", "can't be read"),
        (b"", "can't be read"),
    ],
)
def test_a_position_of_another_format_is_refused(raw, says):
    """Same fields, more, fewer, something else, nothing."""
    with pytest.raises(FormatError, match=says):
        rows.decode_position(raw)


def test_a_version_is_the_generation_above_the_offset_and_exact_in_json():
    """The next generation is above all offsets of the one before."""
    assert rows.version_of(1, 0) == 1_099_511_627_776
    assert rows.version_of(1, 77) == 1_099_511_627_853
    assert rows.version_of(3, 5) == 3_298_534_883_333
    assert rows.version_of(1, 2**40 - 1) < rows.version_of(2, 0)
    assert rows.version_of(2**13 - 1, 2**40 - 1) == 2**53 - 1
