"""Properties: nothing raises, neighbours don't matter, and both ways in agree."""

import json
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.domain.events import CDR, PAYMENT, SESSION
from stream_app.sources import ocpi
from stream_app.sources.registry import TEAMS
from tests.sources.samples import GOOD, exactly, one, outcomes, usable
from tests.sources.written import KINDS, written

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
