"""Topics with a map: what becomes of values by a map, and the reasons of those that can't be used."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream_app.domain.errors import Reason
from stream_app.domain.events import (
    CDR,
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
from tests.support.own_topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
MAPS = ROOT / "config" / "maps" / "topics"
ORDERS = (MAPS / "orders.toml").read_text()
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
        ([ORDER], Reason.MISSING_FIELD, "row.operator_id (station.owner)"),
        (b"7", Reason.NOT_JSON, "the value is 7"),
        (order(station__owner=None), Reason.MISSING_FIELD, "row.operator_id"),
        (order(station="x"), Reason.MISSING_FIELD, "row.operator_id"),
        (order(station__owner={}), Reason.WRONG_TYPE, "station.owner is an object"),
        (order(order__id=""), Reason.MISSING_FIELD, "session.session_id"),
        (order(order__id="a\tb"), Reason.BAD_ID, "session.session_id"),
        (order(order__state="lost"), Reason.UNKNOWN_STATUS, "session.status (order.state): 'lost'"),
        (order(order__created="3 Nov"), Reason.BAD_TIME, "session.started_at (order.created): '3 Nov'"),
        (order(order__created="2026-11-03T08:29:59"), Reason.BAD_TIME, "has no offset"),
        (order(order__created="2027-11-03T08:29:59Z"), Reason.IN_THE_FUTURE, "started_at"),
        (order(total="12.505"), Reason.OUT_OF_RANGE, "payment.amount_received (total): '12.505'"),
        (order(total=-1), Reason.OUT_OF_RANGE, "payment.amount_received"),
        (order(total="twelve"), Reason.WRONG_TYPE, "payment.amount_received (total): 'twelve'"),
        (order(currency="EURO"), Reason.UNKNOWN_CURRENCY, "payment.currency"),
        (order(revision=-1), Reason.WRONG_TYPE, "session.version (revision): '-1'"),
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


# -- envelopes, lists, filters

SHOP = """
[topic]
name = "t"
number = 7
{topic}

[row]
operator_id = {{ path = "op" }}
customer_id = {{ path = "who" }}

[payment]
payment_id = {{ paths = ["shop", "id"], separator = ":" }}
status = {{ value = "SUCCEEDED" }}
amount_received = {{ path = "sum", unit = "minor" }}
currency = {{ path = "cur" }}
paid_at = {{ path = "at", formats = ["epoch_ms"] }}
version = {{ path = "rev" }}
{more}
"""
SALE = {"op": "M1", "who": None, "shop": "a", "id": 1, "sum": 500, "cur": "eur", "at": NOW_MS, "rev": 1}


def sales(values, topic="", more=""):
    """(operator, id, counted, received, version) of each payment, and the rejections."""
    by_kind, rejections = outcome(values, SHOP.format(topic=topic, more=more))
    rows = [
        (operator, id_, row[COUNTED] > 0, row[RECEIVED], row[VERSION])
        for operator, part in by_kind[PAYMENT].items()
        for id_, row in zip(part.ids, part.rows, strict=True)
    ]
    return rows, rejections


COUNTED_SALE = ("M1", "a:1", True, 500, 1)


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("", SALE),
        ('records = "$"', [SALE]),
        ('records = "page.items"', {"page": {"items": [SALE]}}),
        ('envelope = "cloudevents"', {"specversion": "1.0", "id": "1", "type": "sale", "source": "/", "data": SALE}),
        ('envelope = "cloudevents"', {"specversion": "1.0", "data": json.dumps(SALE)}),
        ('envelope = "cloudevents"\nrecords = "items"', {"specversion": "1.0", "data": {"items": [SALE]}}),
        ('envelope = "debezium"', {"op": "c", "before": None, "after": SALE}),
        ('envelope = "debezium"', {"op": "r", "after": SALE}),
        ('envelope = "debezium"', {"op": "u", "before": SALE, "after": SALE}),
        ('envelope = "debezium"', {"schema": {}, "payload": {"op": "c", "after": SALE}}),
        ('envelope = "ocpi"', {"status_code": 1000, "timestamp": "2026-11-03T08:29:59Z", "data": [SALE]}),
        ('envelope = "ocpi"', {"status_code": 1000, "data": SALE}),
        ('format = "json-lines"', json.dumps(SALE).encode() + b"\n\n"),
    ],
)
def test_a_record_is_found_in_its_envelope(topic, value):
    assert sales([value], topic) == ([COUNTED_SALE], [])


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ('envelope = "debezium"', None),
        ('envelope = "debezium"', {"op": "m", "message": {}}),
        ('envelope = "ocpi"', {"status_code": 1000, "data": []}),
        ('envelope = "ocpi"', {"status_code": 1000}),
        ('records = "$"', []),
        ('format = "json-lines"', b""),
    ],
)
def test_nothing_is_said_where_no_record_is(topic, value):
    assert sales([value], topic) == ([], [])


@pytest.mark.parametrize(
    ("topic", "value", "reason", "detail"),
    [
        ('envelope = "cloudevents"', SALE, Reason.MISSING_FIELD, "specversion is missing"),
        ('envelope = "cloudevents"', {"specversion": "1.0", "data_base64": "e30="}, Reason.WRONG_TYPE, "data_base64"),
        ('envelope = "cloudevents"', {"specversion": "1.0", "data": "{"}, Reason.NOT_JSON, "not JSON"),
        ('envelope = "debezium"', SALE, Reason.UNKNOWN_STATUS, 'op is "M1"'),
        ('envelope = "debezium"', {"op": "t"}, Reason.UNKNOWN_STATUS, 'op is "t"'),
        ('envelope = "debezium"', {"op": "c", "after": None}, Reason.MISSING_FIELD, "after is missing"),
        ('envelope = "debezium"', {"op": "d", "before": None}, Reason.MISSING_FIELD, "before is missing"),
        ('envelope = "debezium"', {"op": "d", "before": {"id": 1}}, Reason.MISSING_FIELD, "REPLICA IDENTITY FULL"),
        ('envelope = "debezium"', {"op": "d", "before": SALE | {"rev": None}}, Reason.MISSING_FIELD, "payment.version (rev)"),
        ('envelope = "ocpi"', {"status_code": 2000, "status_message": "no"}, Reason.UNKNOWN_STATUS, "status_code is 2000"),
        ('records = "items"', SALE, Reason.WRONG_TYPE, "items is null"),
        ('records = "$"', [SALE, 7], Reason.WRONG_TYPE, "record 2 of 2 is refused: the record is 7"),
        ('format = "json-lines"', None, Reason.TOMBSTONE, "null"),
    ],
)  # fmt: skip
def test_an_envelope_that_cant_be_used_has_a_reason(topic, value, reason, detail):
    _, ((_, found),) = sales([value], topic)
    assert (found.reason, detail in found.detail) == (reason, True), found


def test_records_of_a_list_are_taken_by_themselves():
    """The letter is that of the value: it names the first one that is refused, and how many are."""
    values = [SALE, SALE | {"id": 2, "sum": -1}, SALE | {"id": 3}, SALE | {"id": None}]
    rows, ((index, found),) = sales([values], 'records = "$"')
    assert [row[1] for row in rows] == ["a:1", "a:3"]
    assert (index, found.reason) == (0, Reason.OUT_OF_RANGE)
    assert found.detail.startswith(
        "record 2 of 4 is refused; so are 1 others: by the map's payment.amount_received (sum)"
    )


def test_of_one_entity_twice_in_a_value_the_later_one_counts():
    values = [SALE, SALE | {"sum": 7}, SALE | {"id": 2, "rev": 5}, SALE | {"id": 2, "rev": 4, "sum": 9}]
    assert sales([values], 'records = "$"')[0] == [("M1", "a:1", True, 7, 1), ("M1", "a:2", True, 500, 5)]


def test_a_deleted_row_is_taken_back():
    gone = [{"op": "d", "before": SALE}, {"op": "d", "before": SALE | {"at": None}, "ts_ms": NOW_MS}]
    rows, rejections = sales(gone, 'envelope = "debezium"')
    assert (rows, rejections) == ([("M1", "a:1", False, 0, 1)] * 2, [])


def test_what_a_change_no_more_says_is_taken_back():
    """A row of another operator or id now, or one that the map excludes."""
    more = 'where = [{ path = "cur", is_not = ["usd"] }]'
    for change in ({"op": "M2"}, {"id": 2}):
        moved = {"op": "u", "before": SALE, "after": SALE | change | {"rev": 2}}
        rows, _ = sales([moved], 'envelope = "debezium"')
        assert sorted(rows) == sorted([("M1", "a:1", False, 0, 1), (*_named(SALE | change), True, 500, 2)])
    excluded = {"op": "u", "before": SALE, "after": SALE | {"cur": "usd"}}
    assert sales([excluded], 'envelope = "debezium"', more)[0] == [("M1", "a:1", False, 0, 1)]


def _named(sale):
    return sale["op"], f"{sale['shop']}:{sale['id']}"


def test_a_filter_leaves_out_what_it_does_not_name():
    where = 'where = [{ path = "cur", is = ["eur"] }, { path = "test", is_not = ["true"] }]'
    values = [SALE, SALE | {"cur": "usd"}, SALE | {"test": True}, SALE | {"test": False, "id": 2}]
    assert [row[1] for row in sales(values, more=where)[0]] == ["a:1", "a:2"]


def test_cdrs_are_found_in_ocpi_s_response():
    cdr = {
        "country_code": "NL", "party_id": "ALF", "id": "c1", "start_date_time": "2026-11-03T08:00:00Z", "end_date_time": "2026-11-03T09:00:00Z",
        "cdr_token": {"contract_id": "C"}, "currency": "EUR", "total_cost": {"incl_vat": 1.5}, "total_energy": 2,
    }  # fmt: skip
    by_kind, rejections = outcome([{"status_code": 1000, "data": [cdr, {}]}], CDRS)
    (row,) = by_kind[CDR]["NL-ALF"].rows
    assert (row[RECEIVED], row[ENERGY]) == (150, 2000)
    assert "record 2 of 2" in rejections[0][1].detail


CDRS = """
[topic]
name = "roaming.cdrs"
number = 8
envelope = "ocpi"

[cdr]
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (CDRS.replace("[cdr]", ""), "makes nothing"),
        (CDRS + '[row]\noperator_id = { value = "M1" }', "no other section"),
        (SHOP.format(topic="", more="").replace("[row]", "[rows]"), "unknown field `rows`"),
        (SHOP.format(topic="", more='where = [{ path = "a" }]'), r"`payment.where\[0\]` needs either `is` or `is_not`"),
        (SHOP.format(topic="", more='where = [{ is = ["a"] }]'), r"`payment.where\[0\]` needs `path`"),
        (SHOP.format(topic='records = "a["', more=""), "`topic.records` names 'a\\['"),
        (SHOP.format(topic='envelope = "soap"', more=""), "topic.envelope"),
    ],
)
def test_a_mistake_in_what_is_around_records_is_named(text, sentence):
    with pytest.raises(MapError, match=sentence):
        load_topic(text.encode())


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name in TOPICS for seed in range(3)])
def test_a_map_that_ships_reads_all_of_the_messages_it_is_for(name, seed):
    """What they come to is compared end to end (tests/e2e/test_own_topics.py)."""
    messages = list(TOPICS[name][1](seed, datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(days=22)))
    by_kind, rejections = outcome([message.value for message in messages], (MAPS / f"{name}.toml").read_text())
    assert not rejections
    assert sum(len(part.ids) for some in by_kind.values() for part in some.values()) > 50
