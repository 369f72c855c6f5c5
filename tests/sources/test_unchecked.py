"""Fields that make no record unusable: energy to the last digit, and when a session ended."""

import json
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.events import CDR, COUNTED, ENERGY, LASTED, SESSION
from stream_app.sources import unchecked
from tests.sources.samples import DROP, exactly, one, sample, usable

FIELD = {SESSION: "energy_kwh", CDR: "total_energy"}
KINDS = pytest.mark.parametrize("kind", FIELD)
START_MS = 1_793_690_999_000


def row(kind, written):
    """The row of a record whose energy is written so; both ways give it."""
    raw = json.dumps(sample(kind, **{FIELD[kind]: "@"})).replace('"@"', written).encode("utf-8", "surrogatepass")
    outcome = one(kind, raw)
    assert usable(outcome), outcome
    assert outcome == exactly(kind, raw)
    return outcome[2]


@KINDS
@pytest.mark.parametrize(
    ("written", "wh"),
    [
        ("12.4", 12_400), ("12", 12_000), ("0", 0), ("0.0", 0), ("-0", 0), ("-0.0", 0), ("0.0004", 0), ("0.0005", 1), ("0.00049999999999999999999999999", 0),
        ("0.0015", 2), ("0.0025", 3), ("1.0005", 1001), ("999999.999", 999_999_999), ("999999.9989999", 999_999_999), ("1.24e1", 12_400), ("124E-1", 12_400), ("1e-400", 0),
        ("5e-4", 1), ("0e99999999999999999999999", 0), ("1e-99999999999999999999999", 0), ("-0e-99999999999999999999999", 0), ("999999", 999_999_000), ("1e5", 100_000_000),
    ],
)  # fmt: skip
def test_a_number(kind, written, wh):
    assert row(kind, written)[ENERGY] == wh
    assert row(kind, written)[ENERGY] == wh  # also when it is known


@KINDS
@pytest.mark.parametrize(
    ("text", "wh"),
    [
        ("12.4", 12_400), ("12", 12_000), ("0.000", 0), ("-0.0", 0), ("0.0005", 1), ("0.0004" + "9" * 50, 0), ("0012.40", 12_400), ("999999.999", 999_999_999),
        ("0.000" + "0" * 5000 + "1", 0), ("0" * 5000 + "7", 7000),
    ],
)  # fmt: skip
def test_a_decimal_string(kind, text, wh):
    assert row(kind, json.dumps(text))[ENERGY] == wh
    assert row(kind, "".join(f'"{text}"'.replace(".", "\\u002e")))[ENERGY] == wh  # however its characters are written


@KINDS
@pytest.mark.parametrize(
    "written",
    [
        "null", "true", "false", "[]", "{}", '["12.4"]', '{"kwh": 1}', '""', '" "', '"12.4 "', '" 12.4"', '"12,4"', '"+1"', '".5"', '"5."', '"1e1"', '"1_0"', '"NaN"', '"Infinity"',
        '"-0.001"', '"\\u0661"', '"\\uff11"', '"12.4 kWh"', '"12.4\\n"', '"\\ud800"', '"1000000"', '"999999.9991"', "999999.9994", "999999.9999", "1000000", "1e6", "1e400", "-0.0001", "-1", "-1e-400",
        "1e99999999999999999999", "-1e-99999999999999999999", "9" * 5000, "-" + "9" * 5000, '"' + "9" * 5000 + '"', "18446744073709551616",
    ],
)  # fmt: skip
def test_anything_else_is_unknown_and_the_record_counts(kind, written):
    found = row(kind, written)
    assert found[ENERGY] is None
    assert found[COUNTED]


@KINDS
def test_a_missing_one_is_unknown(kind):
    assert one(kind, sample(kind, **{FIELD[kind]: DROP}))[2][ENERGY] is None


@KINDS
@settings(deadline=None, max_examples=300)
@given(number=st.decimals(-1, 1_100_000, allow_nan=False, allow_infinity=False), as_text=st.booleans())
def test_energy_against_fractions(kind, number, as_text):
    """The same by another arithmetic: floor(x + 1/2) of exact fractions."""
    exactly_ = Fraction(number)
    expected = (2 * exactly_ * 1000 + 1) // 2 if 0 <= exactly_ <= Fraction("999999.999") else None
    assert row(kind, f'"{number:f}"' if as_text else f"{number:f}")[ENERGY] == expected


@KINDS
@pytest.mark.parametrize("written", ["1" * 900_000, "0." + "1" * 900_000, "1e" + "9" * 900_000, "1e-" + "9" * 900_000])
def test_no_energy_takes_long(kind, written):
    started = time.process_time()
    row(kind, written)
    row(kind, f'"{written}"')
    assert time.process_time() - started < 2


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(unchecked, "_KEPT", 10)
    unchecked.KNOWN_WH.clear()
    for number in range(100):
        assert unchecked.energy_wh(f"{number}.5") == number * 1000 + 500
        assert len(unchecked.KNOWN_WH) <= 10
    unchecked.energy_wh("0" * 1000)
    assert max(map(len, unchecked.KNOWN_WH)) < 20


def test_an_unusual_energy_does_not_take_the_exact_way(monkeypatch):
    def refuse(*_):
        raise AssertionError("the exact way was taken")

    monkeypatch.setattr(sys.modules["stream_app.sources.decode"], "parse", refuse)
    for unusual in (DROP, None, True, 0, 12, -1, 1e300, 12.5, "", "x", "-1", [], {}, [[1.5]], {"kwh": 1}):
        for kind, field in FIELD.items():
            assert usable(one(kind, json.dumps(sample(kind, **{field: unusual})).encode()))


@pytest.mark.parametrize(
    ("end", "lasted"),
    [
        ("2026-11-03T09:11:00+01:00", 2_461_000), (START_MS, 0), (START_MS + 1, 1), ("2026-11-03T07:29:59.0015Z", 1), (START_MS - 5, -5), (0, -START_MS), (-7, -START_MS),
        (253_402_300_799_999, 253_402_300_799_999 - START_MS),
        (DROP, None), (None, None), (253_402_300_800_000, None), (10**30, None), ("", None), ("tomorrow", None), ("2026-11-03T09:11:00", None), (str(START_MS), None), (True, None),
        (1793693460000.0, None), ([], None), ({"at": 1}, None), ("\ud800", None),
    ],
)  # fmt: skip
def test_how_long_a_session_lasted(end, lasted):
    raw = json.dumps(sample(SESSION, ended_at=end)).encode()
    assert one(SESSION, raw)[2][LASTED] == lasted
    assert one(SESSION, raw) == exactly(SESSION, raw)
