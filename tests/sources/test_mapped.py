"""Topics with a map: what becomes of values by a map, and the reasons of those that can't be used."""

import json
import tomllib
from pathlib import Path

import pytest

from stream_app.domain.errors import Reason
from stream_app.domain.events import (
    COUNTED,
    CURRENCY,
    CUSTOMER,
    DISCOUNT,
    ENERGY,
    LASTED,
    OFFSET,
    PARTITION,
    PARTITIONS_MAX,
    PAYMENT,
    RECEIVED,
    REST,
    SESSION,
    SESSION_ID,
    TIME,
    VERSION,
)
from stream_app.domain.local_time import QUARTER_MS
from stream_app.sources import read
from stream_app.sources.maps.map_file import MapError
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.maps.paths import steps, walk
from stream_app.sources.registry import mapped

ROOT = Path(__file__).resolve().parents[2]
ORDERS = (ROOT / "config" / "maps" / "topics" / "orders.toml").read_text()
NOW_MS = 1_793_700_000_000
ORDER = {
    "order": {"id": 81, "state": "paid", "created": "2026-11-03T08:29:59+01:00", "closed": "2026-11-03T09:11:00+01:00"},
    "station": {"owner": "M1"}, "driver": {"id": 9}, "meter": {"begin_wh": 1200, "end_wh": 13600},
    "total": "12.50", "voucher": 1.5, "currency": "EUR", "revision": 3,
}  # fmt: skip


def outcome(values, map_text=ORDERS):
    """What a topic with a map makes of values: kinds -> operator -> events, and rejections."""
    raws = [value if value is None or isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    topic = mapped(load_topic(map_text.encode()))
    return read(topic, raws, range(100, 100 + len(raws)), [NOW_MS] * len(raws), 2, now_ms=NOW_MS, ocpi_operators={})


def rejection(value, map_text=ORDERS):
    ((_, found),) = outcome([value], map_text).rejections
    return found


def order(**fields):
    """The order with fields changed; `a__b` is field b of the object a, None leaves one out."""
    changed = json.loads(json.dumps(ORDER))
    for path, value in fields.items():
        *above, field = path.split("__")
        place = changed
        for name in above:
            place = place[name]
        place[field] = value
    return changed


def test_one_record_says_a_session_and_its_payment():
    by_kind, rejections = outcome([ORDER])
    assert not rejections
    started_ms, paid_ms = 1_793_690_999_000, 1_793_693_460_000
    session, payment = by_kind[SESSION]["M1"], by_kind[PAYMENT]["M1"]
    assert (session.ids, payment.ids) == (["81"], ["81"])
    (row,) = session.rows
    assert (row[VERSION], row[OFFSET], row[PARTITION]) == (3, 100, 1001 * PARTITIONS_MAX + 2)
    assert row[TIME] * QUARTER_MS + row[REST] == started_ms
    assert (row[CUSTOMER], row[ENERGY], row[LASTED], row[COUNTED]) == ("9", 12_400, paid_ms - started_ms, 1)
    (row,) = payment.rows
    assert row[TIME] * QUARTER_MS + row[REST] == paid_ms
    assert (row[RECEIVED], row[DISCOUNT], row[CURRENCY], row[SESSION_ID], row[COUNTED]) == (1250, 150, "EUR", "81", 2)


def test_a_record_without_the_amount_says_the_session_alone():
    by_kind, rejections = outcome([order(total=None)])
    assert (list(by_kind[SESSION]), list(by_kind[PAYMENT]), rejections) == (["M1"], [], [])


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, Reason.TOMBSTONE, "null"),
        (b"{", Reason.NOT_JSON, "not JSON"),
        ([ORDER], Reason.NOT_JSON, "an array"),
        (order(station__owner=None), Reason.MISSING_FIELD, "row.operator_id"),
        (order(station="x"), Reason.MISSING_FIELD, "row.operator_id"),
        (order(station__owner={}), Reason.WRONG_TYPE, "station.owner is an object"),
        (order(order__id="\n"), Reason.MISSING_FIELD, "session.session_id"),
        (order(order__id="a\tb"), Reason.BAD_ID, "session.session_id"),
        (order(order__state="lost"), Reason.UNKNOWN_STATUS, "session.status: 'lost'"),
        (order(order__created="3 Nov"), Reason.BAD_TIME, "session.started_at: '3 Nov'"),
        (order(order__created="2026-11-03T08:29:59"), Reason.BAD_TIME, "has no offset"),
        (order(order__created="2027-11-03T08:29:59Z"), Reason.IN_THE_FUTURE, "started_at"),
        (order(total="12.505"), Reason.OUT_OF_RANGE, "payment.amount_received: '12.505'"),
        (order(total=-1), Reason.OUT_OF_RANGE, "payment.amount_received"),
        (order(total="twelve"), Reason.WRONG_TYPE, "payment.amount_received: 'twelve'"),
        (order(currency="EURO"), Reason.UNKNOWN_CURRENCY, "payment.currency"),
        (order(revision=-1), Reason.WRONG_TYPE, "session.version: '-1'"),
        (order(revision=2**53 + 1), Reason.OUT_OF_RANGE, "session.version"),
    ],
)
def test_what_cant_be_used_has_a_reason_and_the_maps_key(value, reason, detail):
    found = rejection(value)
    assert (found.reason, detail in found.detail) == (reason, True), found


def test_what_cant_be_used_leaves_its_neighbours():
    by_kind, rejections = outcome([b"{", ORDER, order(order__id=82, currency="?"), order(order__id=83)])
    assert [index for index, _ in rejections] == [0, 2]
    assert by_kind[SESSION]["M1"].ids == by_kind[PAYMENT]["M1"].ids == ["81", "83"]
    assert by_kind[SESSION]["M1"].indexes == [1, 3]


def test_an_energy_that_is_none_is_unknown():
    for change in ({"meter__end_wh": "x"}, {"meter__end_wh": None}, {"meter__begin_wh": 20_000}, {"meter": None}):
        by_kind, rejections = outcome([order(**change)])
        assert by_kind[SESSION]["M1"].rows[0][ENERGY] is None
        assert not rejections


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "shop.orders"', "", "missing required field `name` - at `topic`"),
        ('name = "shop.orders"', 'name = "shop orders"', "`topic.name`"),
        ("number = 1", "number = 0", "`topic.number`"),
        ('path = "station.owner"', 'column = "owner"', "`row.operator_id.column` is there: here a place is a `path`"),
        ('path = "station.owner"', 'path = "station..owner"', "`row.operator_id` names 'station..owner', which is no path"),
        ('path = "order.closed" }\nversion', 'path = "a[", formats = ["iso8601"] }\nversion', "`payment.paid_at` names 'a\\['"),
        ('paid = "COMPLETED"', 'paid = "DONE"', "`session.status.values.paid` is 'DONE'"),
        ("[payment] #", "[payments] #", "unknown field `payments`"),
        ('{ path = "order.created" }', '{ path = "order.created", formats = ["local_ms"] }', "`times.zone` is missing"),
        ("[topic]", "[topic", "line 7"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_map_is_named(old, new, sentence):
    assert old in ORDERS
    with pytest.raises(MapError, match=sentence):
        load_topic(ORDERS.replace(old, new, 1).encode())


DOCUMENT = {"a": {"b.c": [{"k": "x", "v": 1}, {"k": 2, "v": 3}]}, "m": [[1, 2], 3], "é": {"": 0}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('a."b.c"[0].v', 1),
        ('a."b.c"[-1].v', 3),
        ('a."b.c"[k=2].v', 3),
        ('a."b.c"[k=y].v', None),
        ("m[0][1]", 2),
        ("m[2]", None),
        ("m.x", None),
        ("a[0]", None),
        ('é.""', 0),
    ],
)
def test_a_path_leads_to_a_value_or_nothing(path, found):
    assert walk(DOCUMENT, steps(path)) == found


@pytest.mark.parametrize("path", ["", ".", "a.", "a..b", "a[", "a[x]", "a b", '"a', "a.[0]", "[0]a"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match=r"empty|neither"):
        steps(path)


def test_the_comment_of_the_map_that_ships_shows_a_record_it_takes():
    comment = [line.removeprefix("#") for line in ORDERS.splitlines() if line.startswith(("# {", "#  "))]
    assert not outcome(["".join(comment).encode()]).rejections
    assert tomllib.loads(ORDERS)["topic"]["name"] == "shop.orders"
