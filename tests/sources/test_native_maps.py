"""The native library reads records by simple maps as Python does, to the same events, and leaves the rest: of any record near a good one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ROOT
from stream_app.domain.events import ENERGY, OFFSET, PARTITIONS_MAX, SESSION
from stream_app.formats.frames import decode_frame, frames_of_encoded
from stream_app.kernel.source_records import new_reader
from stream_app.sources import FUTURE_MS, read
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import mapped
from stream_app.sources.wire import NONE_KNOWN
from tests.sources.samples import NOW_MS

PARTITION, FIRST_OFFSET, TIMESTAMP = 3, 100, 1_793_000_000_123
READER = new_reader()
ROW = """
[row]
operator_id = { path = "merchant" }
customer_id = { path = "driver.id", anonymous = ["guest", "0"] }
"""
SESSIONS = """
[session]
session_id = { path = "order.id" }
status = { path = "state", values = { paid = "COMPLETED", open = "ACTIVE" } }
started_at = { path = "opened" }
ended_at = { path = "closed" }
energy_kwh = { path = "wh", unit = "Wh" }
version = { path = "revision" }
"""
PAYMENTS = """
[payment]
payment_id = { path = "order.id" }
session_id = { path = "order.session" }
status = { path = "state", values = { paid = "SUCCEEDED", open = "PENDING" } }
amount_received = { path = "total" }
amount_discount = { path = "voucher" }
amount_refunded = { path = "back", unit = "minor" }
currency = { path = "currency", values = { Euro = "EUR" } }
paid_at = { path = "closed" }
version = { path = "revision" }
"""
NUMBERS = """
[session]
session_id = { path = "order.id" }
status = { value = "COMPLETED" }
started_at = { path = "opened", formats = ["epoch_ms"] }
energy_kwh = { path = "wh" }
version = 7
[payment]
payment_id = { path = "order.session" }
status = { value = "SUCCEEDED" }
amount_received = { path = "total", unit = "minor" }
currency = { value = "KWD" }
paid_at = { path = "closed", formats = ["epoch_s"] }
"""
SCALED = """
[[where]]
path = "type"
is_not = ["test", ""]
[session]
session_id = { path = "order.id", values = { p-1 = "P-1", none = "x" } }
status = { path = "state", values = { paid = "COMPLETED" } }
started_at = { path = "opened" }
energy_kwh = { path = "wh", minus = "wh0", unit = "Wh" }
where = [{ path = "state", is = ["paid", "COMPLETED", ""] }, { path = "$.live", is = ["true", "1"] }]
[payment]
payment_id = { path = "order.id" }
status = { value = "SUCCEEDED" }
amount_received = { path = "total", scale = 2 }
amount_discount = { path = "voucher", scale = 0, unit = "minor" }
amount_refunded = { path = "back", scale = 5 }
currency = { path = "currency" }
paid_at = { path = "closed" }
where = [{ path = "live", is_not = ["0"] }]
"""


LISTS = """
[session]
session_id = { path = "lines[0].id" }
status = { path = "state", values = { paid = "COMPLETED", open = "ACTIVE" } }
started_at = { path = "lines[-1].at" }
ended_at = { path = "lines[1].at" }
version = { path = "tags[0][1]" }
[session.energy_kwh]
path = "readings[context=End].wh"
minus = "readings[context=Begin].wh"
unit = "Wh"
"""


def topic(sections, more=""):
    row = ROW if "[row]" not in sections else ""
    return mapped(load_topic(f'[topic]\nname = "own"\nnumber = 1\n{more}\n{row}{sections}'.encode()))


PLAIN, NUMBERED = topic(SESSIONS + PAYMENTS), topic(NUMBERS)
ORDER = {
    "merchant": "M1", "driver": {"id": "c-1"}, "state": "paid", "opened": "2026-10-03T08:29:59+02:00", "closed": "2026-10-03T09:29:59.5Z", "currency": "EUR",
    "order": {"id": "p-1", "session": "s-1"}, "wh": 12_400, "total": "12.50", "voucher": 1.5, "back": 5, "revision": 3, "site": {"at": [52.5, -1e-3], "open": True, "名": "大\n"},
}  # fmt: skip
NUMBERED_ORDER = ORDER | {"opened": NOW_MS - 10**7, "closed": NOW_MS // 1000 - 100, "wh": "12.4", "total": 1250}
SCALED_ORDER = ORDER | {"type": "sale", "live": True, "wh0": 400, "total": "BOI=", "voucher": "AJY=", "back": "AMNQ"}
LINES = [
    {"id": "p-1", "at": "2026-10-03T08:29:59Z"},
    {"id": "p-2", "at": "2026-10-03T09:29:59Z"},
    {"at": "2026-10-03T08:30:59+02:00"},
]
READINGS = [
    {"context": "Begin", "wh": 400},
    {"wh": 900, "context": "Middle"},
    {"wh": 12_800, "context": "End"},
    {"wh": 1, "context": "End"},
]
LISTED_ORDER = ORDER | {"lines": LINES, "readings": READINGS, "tags": [["a", 4]]}
CONSTANT = """
[row]
operator_id = { value = "M9" }
"""
TOPICS = {
    "scaled": (topic(SCALED), SCALED_ORDER, lambda order: order),
    "constant": (topic(CONSTANT + SESSIONS), ORDER, lambda order: order),
    "translated": (topic('[row]\noperator_id = { path = "merchant", values = { M1 = "operator-1", x = "y" } }\n' + PAYMENTS), ORDER, lambda order: order),
    "clock": (topic('[times]\nzone = "UTC"\nformats = ["local_us"]\n' + SESSIONS, 'envelope = "debezium"'), ORDER | {"opened": 1_790_000_000_123_456, "closed": 1_790_000_001_000_000}, lambda order: {"op": "c", "after": order}),
    "zone": (topic('[times]\nzone = "Europe/Berlin"\n' + SESSIONS), ORDER | {"opened": "2026-07-03T08:29:59.123456", "closed": "2026-11-03T09:29:59"}, lambda order: order),
    "numbered zone": (topic('[times]\nzone = "America/St_Johns"\nformats = ["local_ms"]\n' + SESSIONS), ORDER | {"opened": 1_790_000_000_123, "closed": 1_790_000_001_000}, lambda order: order),
    "lists": (topic(LISTS), LISTED_ORDER, lambda order: order),
    "lists of changes": (topic(LISTS, 'envelope = "debezium"'), LISTED_ORDER, lambda order: {"op": "u", "before": order, "after": order}),
    "plain": (PLAIN, ORDER, lambda order: order),
    "sessions": (topic(SESSIONS), ORDER, lambda order: order),
    "payments": (topic(PAYMENTS), ORDER, lambda order: order),
    "numbers": (NUMBERED, NUMBERED_ORDER, lambda order: order),
    "cloudevents": (topic(SESSIONS + PAYMENTS, 'envelope = "cloudevents"'), ORDER, lambda order: {"specversion": "1.0", "id": "1", "data": order}),
    "debezium": (topic(SESSIONS + PAYMENTS, 'envelope = "debezium"'), ORDER, lambda order: {"op": "u", "before": order, "after": order, "source": {"lsn": 1}, "ts_ms": 5}),
}  # fmt: skip


def python(source, values, schemas=NONE_KNOWN):
    """What Python makes of values: (kind, operator, id, row) by their index."""
    offsets = list(range(FIRST_OFFSET, FIRST_OFFSET + len(values)))
    found = read(
        source, values, offsets, [TIMESTAMP] * len(values), PARTITION, now_ms=NOW_MS, ocpi_operators={}, schemas=schemas
    )
    events = {index: [] for index in range(len(values))}
    for kind in sorted(found.by_kind):
        for operator, part in found.by_kind[kind].items():
            for id_, row, index in zip(part.ids, part.rows, part.indexes, strict=True):
                events[index].append((kind, operator, id_.encode(), row))
    return events


def native(source, values, schemas=NONE_KNOWN, **bounds):
    """What the library makes of them, and what it left."""
    program = source.map_reader.program(schemas)
    assert READER is not None
    assert program is not None
    bounds = {"oldest_ms": 0, "latest_ms": NOW_MS + FUTURE_MS} | bounds
    offsets = list(range(FIRST_OFFSET, FIRST_OFFSET + len(values)))
    at = source.number * PARTITIONS_MAX + PARTITION
    taken = READER.read_mapped(program, values, offsets, [TIMESTAMP] * len(values), at, **bounds)
    events = {index: [] for index in range(len(values)) if index not in taken.left}
    unknown = 0
    for _, part in taken.parts:
        for frame in frames_of_encoded([part]):
            for one in decode_frame(frame)[1]:
                assert (one.raws, one.again) == ({}, False)
                for id_, row in zip(one.ids, one.rows, strict=True):
                    events[row[OFFSET] - FIRST_OFFSET].append((one.kind, one.operator, id_, row))
                    unknown += one.kind == SESSION and row[ENERGY] is None
    assert taken.unknown_energy == unknown
    return events, taken.left


def check(source, values, schemas=NONE_KNOWN):
    """What is taken is what Python makes of it; gives what is left."""
    found, left = native(source, values, schemas)
    wanted = python(source, values, schemas)
    assert found == {index: events for index, events in wanted.items() if index not in left}
    return left


VALUES = st.sampled_from(
    [
        None, "", "M1", "guest", "0", 0, 7, -1, 10**16, 10**17, 2**53, 2**53 + 1, True, False, 1.5, 1e3, "1e3", "大", "a\\b", "é", "x" * 200, "x" * 201, [], {}, ["a"], {"id": "c"},
        "12.5", "12.50", "12.505", "012.5", "12.", ".5", " 12.5", "-12.5", "12,5", "12.5 EUR", "EUR 5", "1250", "999999999", "1000000000", "99999999999.99", "999999999999", 9999.999, 0.0005,
        "paid", "open", "COMPLETED", "SUCCEEDED", "PAID", "EUR", "eur", "Euro", "JPY", "KWD", "CLF", "XXX", "2026-10-03T08:29:59Z", "2026-10-03T08:29:59", "2026-10-03 08:29:59Z",
        "2026-10-03T08:29:60Z", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", NOW_MS, NOW_MS // 1000, NOW_MS + 10**9, "12.4 kWh", "5Wh", 999_999.999, 1_000_000, 12.3456,
    ]
)  # fmt: skip


@st.composite
def orders(draw, good):
    """A good order with a few places that hold something else, or nothing."""
    order = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*good, "driver.id", "order.id", "order.session", "else"]))
        of = order
        *above, last = name.split(".")
        for each in above:
            of = of.get(each) if isinstance(of, dict) else None
        if not isinstance(of, dict):
            continue
        if draw(st.integers(0, 4)) == 0:
            of.pop(last, None)
        else:
            of[last] = draw(VALUES)
    return order


def disturbed(draw, raw):
    """A few bytes replaced, put in or cut out."""
    out = bytearray(raw)
    for _ in range(draw(st.integers(0, 2)) if draw(st.integers(0, 3)) == 0 else 0):
        at = draw(st.integers(0, len(out) - 1))
        out[at : at + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2)
            | st.sampled_from(
                [b'"', b"{", b"}", b",", b"0", b".", b"\\", b"e", b"-", b"null", b":", b" ", b"9" * 18, b"["]
            )
        )
    return bytes(out)


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_what_is_taken_is_what_python_makes_of_it(data):
    source, good, wrap = TOPICS[data.draw(st.sampled_from(sorted(TOPICS)))]
    values = []
    for _ in range(data.draw(st.integers(1, 4))):
        value = wrap(data.draw(orders(good)))
        if "before" in value and data.draw(st.integers(0, 1)):
            value["before"] = data.draw(st.none() | orders(good))
            value["op"] = data.draw(st.sampled_from(["c", "u", "r", "d", "t", "m", None, 1]))
        if data.draw(st.integers(0, 9)) == 0:
            value = {"schema": {}, "payload": value}
        values.append(disturbed(data.draw, json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode()))
    check(source, values + data.draw(st.lists(st.none() | st.binary(max_size=9), max_size=1)))


ITEMS = st.one_of(
    VALUES,
    st.dictionaries(
        st.sampled_from(["id", "at", "wh", "context", "else", "é"]),
        VALUES | st.sampled_from(["End", "Begin", "2026-10-03T08:29:59Z"]),
        max_size=4,
    ),
    st.lists(VALUES, max_size=3),
    st.sampled_from([*LINES, *READINGS]),
)


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_what_is_taken_of_lists_is_what_python_makes_of_it(data):
    values = []
    for _ in range(data.draw(st.integers(1, 4))):
        order = LISTED_ORDER | {
            name: data.draw(st.lists(ITEMS, max_size=4) | VALUES)
            for name in data.draw(st.sets(st.sampled_from(["lines", "readings", "tags"])))
        }
        values.append(disturbed(data.draw, json.dumps(order, ensure_ascii=data.draw(st.booleans())).encode()))
    check(TOPICS["lists"][0], values)


OCPP = mapped(load_topic((ROOT / "config" / "maps" / "topics" / "ocpp-transactions.toml").read_bytes()))


def ended(**changes):
    """The last event of a transaction, as a charging station sends it."""
    register = "Energy.Active.Import.Register"
    readings = [
        {"timestamp": f"2026-10-03T0{hour}:29:59Z", "sampledValue": [{"value": 21.5, "measurand": "SoC"}, {"value": wh, "measurand": register}]}
        for hour, wh in ((8, 1200), (9, 13_600))
    ]  # fmt: skip
    return {
        "eventType": "Ended", "timestamp": "2026-10-03T09:30:00Z", "seqNo": 7, "idToken": {"idToken": "C-1", "type": "ISO14443"},
        "transactionInfo": {"transactionId": "T-1"}, "meterValue": readings,
    } | changes  # fmt: skip


def test_messages_of_a_charging_station_are_taken():
    """Others than that of the end are no session."""
    calls = [
        [2, "1", "TransactionEvent", ended()], [2, "2", "TransactionEvent", ended(eventType="Updated", meterValue=[])], [2, "3", "Heartbeat", {}],
        [2, "4", "TransactionEvent", ended(meterValue=ended()["meterValue"][:1], idToken=None)],
    ]  # fmt: skip
    assert check(OCPP, [json.dumps(call).encode() for call in calls]) == []


@pytest.mark.parametrize(
    "value",
    [
        ["x"], [], {}, {"2": "TransactionEvent"}, [2, "1", "TransactionEvent", ended(meterValue={})], [2, "1", "TransactionEvent", [ended()]], [2, "1", ["TransactionEvent"], ended()],
        [2, "1", "TransactionEvent", ended(meterValue=[None])], [2, "1", "TransactionEvent", ended(meterValue=[{"timestamp": "2026-10-03T08:29:59Z", "sampledValue": [{"measurand": 1.5}]}])],
        [2, "1", "TransactionEvent", ended(meterValue=[{"timestamp": "2026-10-03T08:29:59Z", "sampledValue": [{"measurand": "é"}, {"m\u00e9": 1}]}])],
    ],
)  # fmt: skip
def test_messages_of_another_shape_are_what_python_makes_of_them(value):
    check(OCPP, [json.dumps(value, ensure_ascii=ascii_).encode() for ascii_ in (True, False)])


@pytest.mark.parametrize("again", ['"measurand": "SoC"', '"value": 3'])
def test_a_name_twice_in_an_item_is_what_python_makes_of_it(again):
    raw = json.dumps([2, "1", "TransactionEvent", ended()]).replace(
        '"measurand": "Energy', f'{again}, "measurand": "Energy'
    )
    check(OCPP, [raw.encode()])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in TOPICS),
        *(("plain", {"driver": {"id": customer}}) for customer in ("guest", "0", 0, "", None, 17, "x" * 200)),
        *(("plain", {"driver": driver}) for driver in (None, {})),
        *(("plain", {"order": {"id": 81, "session": session}}) for session in ("", None, 9, "s")),
        *(("plain", {"total": total, "back": 0}) for total in ("0", 0, "0.00", 12, 12.5, "99999999999.99", None)),
        *(("plain", {"currency": currency, "total": total, "voucher": 1, "back": None}) for currency, total in (("JPY", "1250"), ("KWD", "1.255"), ("eur", "1.2"), ("Euro", 3))),
        *(("plain", {"state": state}) for state in ("open", "PENDING")),
        *(("plain", {"revision": revision}) for revision in (None, "", 0, 2**53)),
        *(("sessions", {"wh": wh, "closed": closed}) for wh in (0, "12400", 999_999_999, None) for closed in (None, "", "2026-10-03T09:29:59Z")),
        ("plain", {"total": 12.5, "back": 1250}),  # refunded in full
        *(("scaled", {"type": type_, "live": live, "state": state}) for type_ in ("test", None, "sale", 7) for live in (True, False, "1", 0, None) for state in ("paid", "open")),
        *(("scaled", {"total": total, "voucher": None, "back": None}) for total in ("fw==", "AIA=", "AP8=", "H////////w==")),
        *(("scaled", {"back": back}) for back in ("AA==", None)),
        *(("scaled", {"wh": wh, "wh0": wh0}) for wh, wh0 in ((5, 5), (999_999_999, 0), (None, 5), (5, None))),
        ("translated", {"merchant": "x"}), ("translated", {"merchant": "M3"}), ("constant", {"merchant": None}),
    ],
)  # fmt: skip
def test_what_is_usual_is_taken(name, changes):
    """Else the library would be there for nothing."""
    source, good, wrap = TOPICS[name]
    assert check(source, [json.dumps(wrap(good | changes)).encode()]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plain", ORDER | {"driver": "c-1"}), ("plain", ORDER | {"total": "12.505"}), ("plain", ORDER | {"back": 1251}), ("plain", ORDER | {"merchant": None}), ("plain", [ORDER]),
        ("debezium", {"op": "d", "before": ORDER, "after": None}), ("debezium", {"op": "u", "before": ORDER | {"merchant": "M2"}, "after": ORDER}),
        ("debezium", {"op": "u", "before": ORDER, "after": ORDER | {"total": None}}), ("debezium", {"payload": {"op": "c", "before": None, "after": ORDER}}), ("debezium", {"op": "c", "before": None}),
        *(("scaled", SCALED_ORDER | {"total": total}) for total in ("/w==", "", "A", "BOI", "BO=I", "BOI==", "B*I=", "AQAAAAAAAAAA", "IAAAAAAAAA==", 5)), ("scaled", SCALED_ORDER | {"back": "AQ=="}),
        ("scaled", SCALED_ORDER | {"wh0": 12_401}), ("scaled", SCALED_ORDER | {"live": 1.5}), ("scaled", SCALED_ORDER | {"type": []}),
        ("cloudevents", {"data": ORDER}), ("cloudevents", {"specversion": "1.0", "data_base64": "e30="}),
    ],
)  # fmt: skip
def test_what_is_unusual_is_left_to_python(name, value):
    assert check(TOPICS[name][0], [json.dumps(value).encode()]) == [0]


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Shanghai",
        "Pacific/Apia",
        "UTC",
    ],
)
def test_a_wall_clock_is_read_as_python_reads_it(zone):
    """In two years, and around the first day that the library knows; days on which the clock changes are left."""
    source = topic(f'[times]\nzone = "{zone}"\nformats = ["local_ms"]\n' + SESSIONS)
    day, oldest = 86_400_000, 10_957 * 86_400_000
    clocks = [*range(NOW_MS - 730 * day, NOW_MS, 8_100_000), *range(oldest - day, oldest + day, 900_000)]
    values = [json.dumps(ORDER | {"opened": clock, "closed": None}).encode() for clock in clocks]
    left = [clocks[index] for index in check(source, values)]
    assert len({clock // day for clock in left if clock > oldest}) <= 8
    assert [clock for clock in left if clock < oldest] == [clock for clock in clocks if clock < oldest]


def test_a_place_twice_is_left():
    """What the last one says counts, in Python."""
    raw = json.dumps(ORDER).encode()
    again = [raw[:-1] + more for more in (b',"total":"1"}', b',"order":{"id":"p"}}', b',"order":null}', b',"site":1}')]
    assert check(PLAIN, again) == [0, 1, 2]
    assert check(PLAIN, [b'{"order":null,' + raw[1:]]) == [0]


@pytest.mark.parametrize("bounds", [{"oldest_ms": 1_790_000_000_001}, {"latest_ms": 1_789_999_999_999}])
def test_what_may_be_too_late_or_lies_in_the_future_is_left(bounds):
    """The value as a whole, where one of its records does."""
    times = {"opened": "2026-09-21T16:26:41Z", "closed": "2026-09-21T14:13:20Z"}
    raw = json.dumps(
        ORDER | (times if "oldest_ms" in bounds else {"opened": times["closed"], "closed": times["opened"]})
    ).encode()
    assert native(PLAIN, [raw])[1] == []
    assert native(PLAIN, [raw], **bounds)[1] == [0]


def test_many_values_with_long_ids_find_room():
    values = [
        json.dumps(
            ORDER | {"merchant": f"M{n % 7}" * 20, "order": {"id": f"{n:0200}", "session": f"{n:0200}"}}
        ).encode()
        for n in range(4000)
    ]
    assert check(PLAIN, values) == []


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("orders", True), ("orders-postgresql", True), ("stripe-charges", True), ("orders-mysql", True), ("ocpp-transactions", True)],
)  # fmt: skip
def test_which_maps_of_the_examples_are_known(name, is_known):
    text = (ROOT / "config" / "maps" / "topics" / f"{name}.toml").read_bytes()
    assert (mapped(load_topic(text)).map_reader.program(NONE_KNOWN) is not None) == is_known


@pytest.mark.parametrize(
    "text",
    [
        PAYMENTS.replace('path = "order.id"', 'paths = ["merchant", "order.id"]'), SESSIONS.replace('"wh", unit = "Wh"', '"wh", minus = "wh0"'), SESSIONS.replace('"wh"', '"wh", decimal = ","'),
        SESSIONS.replace('"opened"', '"opened", formats = ["%Y-%m-%dT%H:%M:%S%z"]'), SESSIONS.replace('"order.id"', '"orders[-2].id"'), SESSIONS.replace('"order.id"', '"orders[kind=].id"'), SESSIONS.replace('"wh"', '"wh", minus = "$.a[7].b[0][1].c"').replace('"Wh"', '"kWh"'), SESSIONS.replace('"order.id"', '"driver"'),
        '[times]\nformats = ["iso8601", "epoch_ms"]\n' + SESSIONS, '[money]\ndecimal = ","\n' + PAYMENTS, SESSIONS + '[groups]\ngroup_ids = { path = "tags" }\nat = { path = "opened" }',
        SESSIONS.replace('"opened"', '"opened", zone = "site.zone"'),
        SESSIONS.replace('"order.id"', '"order.id", values = { a = "大" }'), '[row]\noperator_id = { paths = ["a", "b"] }\n' + SESSIONS,
    ],
)  # fmt: skip
def test_a_map_that_says_more_has_no_program(text):
    assert topic(text).map_reader.program(NONE_KNOWN) is None


@pytest.mark.parametrize("more", ['format = "json-lines"', 'records = "rows"', 'envelope = "ocpi"', 'format = "avro"'])
def test_nor_has_one_of_another_form(more):
    assert topic(SESSIONS, more).map_reader.program(NONE_KNOWN) is None
