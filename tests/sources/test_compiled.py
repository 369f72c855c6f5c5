"""The fast way of a map and the exact one agree: what the fast one takes, the exact one makes the same of."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ROOT
from stream_app.sources import compiled
from stream_app.sources.lookups import DOUBTS
from stream_app.sources.mapped import Stamp, TopicReader, decode_mapped
from stream_app.sources.maps.map_load import load_topic
from tests.support.own_topics import TOPICS

MAPS = ROOT / "config" / "maps" / "topics"
NOW_MS = 1_793_700_000_000
LATEST_MS = NOW_MS + 86_400_000
STAMP = Stamp(NOW_MS, 100, 65_536 * 1001)
ORDER = {
    "order": {"id": 81, "state": "paid", "created": "2026-11-03T08:29:59+01:00", "closed": "2026-11-03T09:11:00+01:00"},
    "station": {"owner": "M1"}, "driver": {"id": 9}, "meter": {"begin_wh": 1200, "end_wh": 13600},
    "total": "12.50", "voucher": 1.5, "currency": "EUR", "revision": 3,
}  # fmt: skip
EVENT = """
[topic]
name = "t"
number = 9
envelope = "cloudevents"

[times]
zone = "Europe/Berlin"

[row]
operator_id = { path = "op", values = { one = "M1" } }
customer_id = { path = "who", anonymous = ["nobody", "7"] }

[session]
session_id = { paths = ["site", "$.id"], separator = "/" }
status = { value = "COMPLETED" }
started_at = { path = "from" }
energy_kwh = { path = "kwh" }
where = [{ path = "kind", is = ["charge", "1", "true"] }]

[payment]
payment_id = { path = "site" }
session_id = { path = "list[0].id" }
status = { path = "state", values = { ok = "SUCCEEDED" } }
amount_received = { path = "cents", unit = "minor" }
amount_refunded = { path = "back", scale = 2 }
currency = { value = "EUR" }
paid_at = { path = "at", formats = ["epoch_s"] }
"""
DATA = {
    "op": "one", "who": "c", "site": "s", "from": "2026-10-25T01:30:00", "kwh": 1.5, "kind": "charge", "list": [{"id": "x"}], "state": "ok", "cents": 150,
    "back": "ZA==", "at": 1_793_600_000,
}  # fmt: skip
STARTED = datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(days=22)
OF_LIST = (MAPS / "orders.toml").read_text()
TWO = [ORDER, {**ORDER, "order": {**ORDER["order"], "id": "82"}, "voucher": None}]
CDR = {
    "country_code": "NL", "party_id": "ALF", "id": "cdr-1", "start_date_time": "2026-11-03T08:29:59Z", "end_date_time": "2026-11-03T09:11:00",
    "session_id": "77", "cdr_token": {"type": "RFID", "contract_id": "NL-TST-C1"}, "currency": "EUR", "total_cost": {"excl_vat": 10.0, "incl_vat": 12.1},
    "total_energy": 15.342,
}  # fmt: skip
OF_CDRS = """
[topic]
name = "cdrs"
number = 8
[cdr]
"""


def of(text, topic):
    """A map with more said of its topic."""
    return text.replace("[topic]", f"[topic]\n{topic}")


PEOPLE = """
[topic]
name = "people"
number = 7
envelope = "debezium"
[row]
operator_id = { path = "op" }
customer_id = { path = "who" }
[operator]
timezone = { path = "zone", values = { berlin = "Europe/Berlin" } }
currency = { path = "currency" }
name = { path = "title" }
version = { path = "n" }
[group]
group_id = { path = "tariff" }
name = { path = "tariff_name" }
[groups]
group_ids = { path = "groups", separator = ";" }
at = { path = "at" }
where = [{ path = "state", is_not = ["gone"] }]
"""
PERSON = {
    "op": "M1", "who": "c", "zone": "berlin", "currency": "EUR", "title": "大", "n": 3, "tariff": 7, "tariff_name": "night", "groups": ["vip", " fleet", "vip", ""],
    "at": "2026-11-03T08:29:59Z", "state": "here",
}  # fmt: skip
CASES = {
    "people": (
        PEOPLE,
        [
            {"op": "u", "before": {**PERSON, **before}, "after": {**PERSON, **after}}
            for before, after in (
                ({}, {}),
                ({"groups": "a;b"}, {"groups": "b; c;"}),
                ({"who": None}, {}),
                ({"state": "gone"}, {"zone": "UTC", "title": None}),
            )
        ],
    ),
    "list": (of(OF_LIST, 'records = "a.list"'), [{"a": {"list": TWO}, "b": 1}]),
    "whole list": (of(OF_LIST, 'records = "$"'), [TWO]),
    "response": (
        of(OF_LIST, 'envelope = "ocpi"'),
        [{"status_code": 1000, "data": TWO}, {"status_code": 1000, "data": ORDER}, {"status_code": 1000}],
    ),
    "lines": (of(OF_LIST, 'format = "json-lines"'), [ORDER]),
    "cdr": (OF_CDRS, [CDR]),
    "cdrs": (of(OF_CDRS, 'envelope = "ocpi"'), [{"status_code": 1000, "data": [CDR, {**CDR, "id": "cdr-2"}]}]),
    "orders": ((MAPS / "orders.toml").read_text(), [ORDER]),
    "event": (EVENT, [{"specversion": "1.0", "id": "7", "data": DATA}]),
    **{
        name: (
            (MAPS / f"{name}.toml").read_text(),
            [json.loads(m.value) for m in TOPICS[name][1](1, STARTED) if m.value],
        )
        for name in ("orders-mysql", "orders-postgresql", "stripe-charges")
    },
}
OTHERS = st.sampled_from(
    [
        None, "", " ", "a\tb", "x" * 200, "x" * 201, "é", "\u00a0", 0, 1, 7, -1, 2**53, 2**53 + 1, 10**30, 1.5, 12.345, 1e3, 1e-9, "12.345", "1,5", "€ 3", "007",
        True, False, [], {}, [{"id": 5}], "2026-11-03T08:29:59Z", "2026-10-25T02:30:00", "2026-03-29T02:30:00", "1969-12-31T23:59:59Z", "2026-06-30T23:59:60Z",
        "2026-11-03", "2027-11-03T08:29:59Z", 1_793_600_000_000, "EUR", "eur", "ok", "paid", "nobody", "ZA==", "ZA", "M2", "ALL", ["ALL"], ["a", 7, None], ["a", ["b"]], "a;b", "gone", "UTC",
    ]
)  # fmt: skip


def places(value, path=()):
    """All places in a JSON value."""
    yield path
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(below, (*path, key))


def changed(value, path, other):
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], other)
    return copy


def ways(reader, raw):
    """What the fast way makes of a value, None in doubt, and what the exact one does."""
    try:
        fast = reader.fast({})(raw, *STAMP, LATEST_MS)
        if not compiled.is_clean(raw, fast):
            fast = None
    except DOUBTS:
        fast = None
    return fast, reader.exact(raw, STAMP, LATEST_MS, {})


@pytest.mark.parametrize("name", CASES)
def test_the_fast_way_takes_what_is_usual(name):
    text, values = CASES[name]
    reader = TopicReader(load_topic(text.encode()))
    doubtful = 0
    for value in values:
        fast, (_, rejection) = ways(reader, json.dumps(value).encode())
        assert rejection is None
        doubtful += fast is None
    assert doubtful <= len(values) / 3  # those in which a change takes something back


def test_lines_are_read_one_by_one():
    """With blank ones between, and one that is no record by itself, however it would go on in the next."""
    reader, line = TopicReader(load_topic(CASES["lines"][0].encode())), json.dumps(ORDER).encode()
    other = line.replace(b"81", b"82")
    for raw in (line + b"\n\n \r\n" + other, b"\n" + line + b"\r" + other + b"\n"):
        fast, (events, rejection) = ways(reader, raw)
        assert rejection is None
        assert fast == [tuple(event) for event in events]
        assert len(fast) == 4
    for raw in (line + b"\n" + line, line + b"\n" + other.replace(b",", b",\n"), line + b"\n7", line + other):
        assert ways(reader, raw)[0] is None


def test_an_entity_twice_in_a_value_is_left_to_the_exact_way():
    for name, twice in (
        ("list", {"a": {"list": [ORDER, {**ORDER, "revision": 2}]}}),
        ("cdrs", {"status_code": 1000, "data": [CDR, CDR]}),
    ):
        fast, (events, rejection) = ways(READERS[name], json.dumps(twice).encode())
        assert (fast, rejection) == (None, None)
        assert len(events) == len({event[:3] for event in events})


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_both_ways_agree(name, data):
    _, values = CASES[name]
    value = data.draw(st.sampled_from(values))
    for _ in range(data.draw(st.integers(0, 3))):
        value = changed(value, data.draw(st.sampled_from(sorted(places(value), key=str))), data.draw(OTHERS))
    reader = READERS[name]
    raw = json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass")
    fast, (events, rejection) = ways(reader, raw)
    if fast is not None:
        assert rejection is None
        assert fast == [tuple(event) for event in events]


READERS = {name: TopicReader(load_topic(text.encode())) for name, (text, _) in CASES.items()}


ALONE = """
[topic]
name = "t"
number = 9

[row]
operator_id = { path = "op" }

[session]
session_id = { path = "id" }
status = { value = "COMPLETED" }
started_at = { path = "at" }
energy_kwh = { path = "kwh" }
version = { path = "meta[0].revision" }
where = [{ path = "kind", is = ["charge"] }]

[payment]
payment_id = { path = "id" }
status = { value = "SUCCEEDED" }
amount_received = { path = "amount" }
currency = { value = "EUR" }
paid_at = { path = "at" }
where = [{ path = "kind", is = ["charge"] }]
"""
USUAL = b'"op": "M1", "id": "a", "at": "2026-11-03T08:29:59Z", "kind": "charge"'
BESIDE = [
    b'{%b, "amount": 1.5e0, "kwh": 1e1}' % USUAL,
    b'{%b, "amount": "1.5e0", "kwh": "1e1"}' % USUAL,
    b'{%b, "amount": "1.5", "kwh": "1e1"}' % USUAL,
    b'{%b, "amount": 1.5, "kwh": "1E+1"}' % USUAL,
    *[b'{%b, "amount": 1, "meta": [{"revision": %b}]}' % (USUAL, wrong) for wrong in (b"false", b"[]", b"{}", b'""')],
    b'{"kind": "other", "note": "\xff"}',
]


@pytest.mark.parametrize("values", [BESIDE, BESIDE[::-1]])
def test_what_a_value_says_does_not_depend_on_those_before_it(values):
    reader = TopicReader(load_topic(ALONE.encode()))
    for value in values:
        found, rejections = decode_mapped(reader, [value], [100], [NOW_MS], STAMP.partition, LATEST_MS, {})
        events, rejection = TopicReader(load_topic(ALONE.encode())).exact(value, STAMP, LATEST_MS, {})
        rows = [row for by_operator in found.values() for part in by_operator.values() for row in part.rows]
        assert rows == [event.row for event in events]
        assert [rejected for _, rejected in rejections] == ([] if rejection is None else [rejection])


MEMBERS = """
[topic]
name = "members"
number = 9
[row]
operator_id = { path = "op" }
customer_id = { path = "who" }
[groups]
group_ids = { path = "GROUPS" }
at = { path = "at", formats = ["epoch_ms"] }
"""
SAID = ['["b", " a", "b"]', '["b", " a", "b"]', "[1]", "[true]", '["true", ""]', "1", "true", "[1.0]", "[1e3]", '["1e3"]', "[]", '""', "null", '"x"', '["ALL"]', f'["{"x" * 201}"]', json.dumps(["y" * 190] * 3)]  # fmt: skip


@pytest.mark.parametrize("path", ["groups", "lists[0]"])
@pytest.mark.parametrize("said", [SAID, SAID[::-1]])
def test_groups_that_are_known_are_those_that_were_read(path, said):
    """Values that Python takes for equal are not mixed up, and each row has a list of its own."""
    text = MEMBERS.replace("GROUPS", path)
    reader, kept = TopicReader(load_topic(text.encode())), []
    for groups in said:
        place = f'"groups": {groups}' if path == "groups" else f'"lists": [{groups}]'
        value = f'{{"op": "M1", "who": "c", "at": {NOW_MS}, {place}}}'.encode()
        found, rejections = decode_mapped(reader, [value], [100], [NOW_MS], STAMP.partition, LATEST_MS, {})
        events, rejection = TopicReader(load_topic(text.encode())).exact(value, STAMP, LATEST_MS, {})
        rows = [row for by_operator in found.values() for part in by_operator.values() for row in part.rows]
        assert rows == [event.row for event in events]
        assert [rejected for _, rejected in rejections] == ([] if rejection is None else [rejection])
        kept += [row[-1] for row in rows]
    assert len({id(each) for each in kept}) == len(kept)


IDS = [
    # an operator's id, and the session's, by maps that make what is no id
    ('{ path = "op", values = { M1 = "M\\t1" } }', '{ path = "id" }'),
    ('{ path = "op" }', '{ paths = ["op", "id"], separator = "\\t" }'),
]


@pytest.mark.parametrize(("operator", "session"), IDS)
def test_ids_that_only_the_map_makes_wrong_are_refused(operator, session):
    text = ALONE.replace('{ path = "op" }', operator).replace('session_id = { path = "id" }', f"session_id = {session}")
    reader = TopicReader(load_topic(text.encode()))
    value = b'{%b, "amount": 1}' % USUAL
    found, rejections = decode_mapped(reader, [value], [100], [NOW_MS], STAMP.partition, LATEST_MS, {})
    assert not any(found.values())
    assert len(rejections) == 1
