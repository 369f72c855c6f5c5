"""Properties: nothing raises, neighbours don't matter, and both ways in agree."""

import json
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.sources import ocpi
from stream_app.sources.registry import TEAMS
from tests.sources.samples import GOOD, exactly, one, outcomes, usable

KINDS = st.sampled_from([SESSION, PAYMENT, CDR, MEMBERSHIP, GROUP, OPERATOR])
TEXTS = st.text(max_size=8) | st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "ALL", "大客户", "\ud800", "\x7f", "\x85", "x" * 200, "x" * 201, "EUR", "COMPLETED", "SUCCEEDED", "FAILED", "UTC", "AD_HOC_USER", 'a\\b"c']
)  # fmt: skip
TIMES = st.integers(0, 1_793_800_000_000) | st.sampled_from(
    ["2026-11-03T08:29:59Z", "2026-11-03t08:29:59.999999+05:45", "2026-11-03 08:29:59z", "2016-12-31T23:59:60Z", "2026-11-03T08:29:59", "2027-01-01T00:00:00Z", "1969-12-31T23:00:00-01:00"]
)  # fmt: skip
NUMBERS = (
    st.integers()
    | st.integers(0, 3000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, 0, -1, 2**64])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | TIMES
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
ENERGIES = (
    st.decimals(-1, 1_000_001, allow_nan=False, allow_infinity=False).map(str)
    | st.sampled_from(
        ["12.4", "0", "0.0005", "999999.999", "1000000", "-0", "1e1", "012", "1.", 12.4, 0.0, 999_999, 1e6]
    )
    | NUMBERS
)
PRICES = st.fixed_dictionaries(
    {}, optional={"incl_vat": NUMBERS | JSON, "excl_vat": NUMBERS, "before_taxes": NUMBERS, "taxes": st.lists(st.fixed_dictionaries({}, optional={"amount": NUMBERS | JSON})) | JSON}
)  # fmt: skip
BY_FIELD = {
    "started_at": TIMES, "paid_at": TIMES, "start_date_time": TIMES, "end_date_time": TIMES, "version": st.integers(-1, 5), "total_cost": PRICES,
    "amount_received": st.integers(0, 3000), "amount_refunded": st.integers(0, 3000), "amount_discount": st.integers(0, 3000), "group_ids": st.lists(TEXTS, max_size=4),
    "status": st.sampled_from(["ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"]), "credit": st.booleans(),
    "credit_reference_id": TEXTS, "total_energy": ENERGIES, "energy_kwh": ENERGIES, "ended_at": TIMES, "session_id": TEXTS, "currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", "XXX"]),
    "cdr_token": st.fixed_dictionaries({}, optional={"contract_id": TEXTS, "type": TEXTS | SCALARS}),
}  # fmt: skip


@st.composite
def written(draw, kind):
    """A record near a good one, as some serializer would write it: fields changed, left out, doubled, in any order, escaped or not."""
    fields = [(name, value) for name, value in GOOD[kind].items()]
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([*GOOD[kind], "credit", "credit_reference_id", "unknown"]))
        change = draw(st.sampled_from(["plausible", "plausible", "plausible", "any", "drop", "null"]))
        if change == "drop":
            fields = [pair for pair in fields if pair[0] != name]
        else:
            value = None if change == "null" else draw(JSON if change == "any" else BY_FIELD.get(name, TEXTS))
            if draw(st.booleans()):
                fields = [pair for pair in fields if pair[0] != name]
            fields.insert(draw(st.integers(0, len(fields))), (name, value))
    ascii_only = draw(st.booleans())
    gap = draw(st.sampled_from(["", " ", "\n", "\r\n\t"]))
    body = f",{gap}".join(
        f"{json.dumps(name, ensure_ascii=ascii_only)}:{gap}{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in fields
    )
    return f"{gap}{{{body}}}{gap}".encode("utf-8", "surrogatepass")


FRAGMENTS = st.sampled_from(
    [b'{"a":[{}', b"{}]}", b'{"a":[{},', b'{"a":"', b'"}', b'{"a":{', b"}}", b"{}{}", b'{},"x",{}', b"]", b"[", b",", b'"', b"\\", b"\n", b" ", b"null", b"{}\n", b"\xe5\xa4", b"\xa7"]
)  # fmt: skip


@st.composite
def values(draw, kind):
    good = json.dumps(GOOD[kind]).encode()
    cut = draw(st.integers(0, len(good)))
    return draw(
        st.none()
        | st.just(good)
        | written(kind)
        | FRAGMENTS
        | st.sampled_from(
            [
                good[:cut],
                good[cut:],
                good + draw(FRAGMENTS),
                draw(FRAGMENTS) + good,
                b'{"a":[' + good,
                good + b"]}",
                good + b"," + good,
            ]
        )
        | st.binary(max_size=30)
    )


@st.composite
def disturbed(draw):
    """A good record with a few bytes replaced, put in or cut out."""
    kind = draw(KINDS)
    raw = bytearray(json.dumps(GOOD[kind], ensure_ascii=False).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(raw) - 1))
        raw[place : place + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2) | st.sampled_from([b'"', b"{", b"}", b",", b"0", b".", b"\\", b"\\u00", b"e"])
        )
    return kind, bytes(raw)


@settings(deadline=None)
@given(KINDS, st.binary())
@example(SESSION, b"[" * 100_000)
@example(SESSION, b'{"a":' * 100_000)
@example(CDR, b'{"total_cost":' * 990 + b"1" + b"}" * 990)
def test_no_bytes_raise(kind, raw):
    one(kind, raw)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_batch_gives_what_its_values_give_alone(data):
    kind = data.draw(KINDS)
    batch = data.draw(st.lists(values(kind), max_size=6))
    assert outcomes(kind, batch) == [_placed(one(kind, raw), index) for index, raw in enumerate(batch)]


def _placed(outcome, index):
    """The outcome of a value alone, had it stood at this place: the offset tells."""
    if usable(outcome):
        outcome[2][2] += index
    return outcome


def test_values_that_would_pair_up():
    good = json.dumps(GOOD[SESSION]).encode()
    for batch in (
        [b'{"a":[{}', b"{}]}", good], [b'{"a":[{},', b"{}]}", good], [good + good, b'{"a":[{},', b"{}]}"], [good + b"," + good, b"", good], [good + b"\n" + good, b""],
        [good[:20], good[20:]], [b"\xe5", b"\xa4\xa7"], [b'{"a":"', b'"}'],
    ):  # fmt: skip
        assert [usable(outcome) for outcome in outcomes(SESSION, batch)] == [raw == good for raw in batch]


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_both_ways_agree_on_generated_records(data):
    kind = data.draw(KINDS)
    raw = data.draw(written(kind))
    assert one(kind, raw) == exactly(kind, raw)


@settings(max_examples=1000, deadline=None)
@given(disturbed())
def test_both_ways_agree_on_disturbed_records(case):
    kind, raw = case
    assert one(kind, raw) == exactly(kind, raw)


def test_the_fast_way_is_taken(monkeypatch):
    """Else it would agree for free: ordinary records never need the exact way."""

    def refuse(*_):
        raise AssertionError("the exact way was taken")

    monkeypatch.setattr(
        sys.modules["stream_app.sources.decode"], "parse", refuse
    )  # the module: the package has a function of that name
    assert set(GOOD) == {topic.kind for topic in TEAMS}
    assert ocpi.source({}).read(json.dumps(GOOD[CDR]).encode()) is not None
    for kind, record in GOOD.items():
        for ascii_only in (True, False):
            named = record | {"customer_id": "大客户"} if kind in (SESSION, PAYMENT) else record
            assert usable(one(kind, json.dumps(named, ensure_ascii=ascii_only).encode()))
    nulls = GOOD[PAYMENT] | {"amount_discount": None, "amount_refunded": None, "customer_id": None, "version": None}
    assert usable(one(PAYMENT, nulls))
