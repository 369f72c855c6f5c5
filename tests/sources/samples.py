"""A good record of each kind, and what becomes of values."""

import json

from stream_app.domain.errors import Rejection
from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.sources import decode
from stream_app.sources.decode import FUTURE_MS
from stream_app.sources.exact import Fields, UnusableError, parse
from stream_app.sources.records import FORMAT
from stream_app.sources.registry import TEAMS

TOPICS = {topic.kind: topic for topic in TEAMS if topic.number == 0}  # those of the contract

NOW_MS = 1_793_700_000_000
LATEST_MS = NOW_MS + 86_400_000
OPERATORS = {"NL-TNM": "M1"}
DROP = object()  # as a change: leave the field out
TIMESTAMP, OFFSET, PARTITION_ = 1_793_600_000_000, 100, 3
STAMPED = [TIMESTAMP, OFFSET, PARTITION_, FORMAT]  # after the version

GOOD = {
    SESSION: {
        "session_id": "s-1", "operator_id": "M1", "customer_id": "c-9", "status": "COMPLETED",
        "started_at": "2026-11-03T08:29:59+01:00", "ended_at": "2026-11-03T09:11:00+01:00", "energy_kwh": "12.4", "version": 2,
    },
    PAYMENT: {
        "payment_id": "p-1", "session_id": "s-1", "operator_id": "M1", "customer_id": "c-9", "status": "SUCCEEDED",
        "amount_received": 1250, "amount_discount": 150, "amount_refunded": 0, "currency": "EUR", "paid_at": 1793693460000, "version": 1,
    },
    CDR: {
        "country_code": "nl", "party_id": "Alf", "id": "cdr-1", "start_date_time": "2026-11-03T08:29:59Z", "end_date_time": "2026-11-03T09:11:00",
        "session_id": "77", "cdr_token": {"uid": "1", "type": "RFID", "contract_id": "nl-tst-c1"}, "currency": "EUR",
        "total_cost": {"excl_vat": 10.00, "incl_vat": 12.10}, "total_energy": 15.342,
    },
    MEMBERSHIP: {"operator_id": "M1", "customer_id": "c-9", "group_ids": ["vip", "fleet"], "version": 7},
    GROUP: {"operator_id": "M1", "group_id": "vip", "name": "大客户", "version": 1},
    OPERATOR: {"operator_id": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR", "version": 1},
}  # fmt: skip


def sample(kind, **change):
    """The good record with some fields changed; `a__b` is field b of the object a."""
    record = json.loads(json.dumps(GOOD[kind]))
    for path, value in change.items():
        *above, field = path.split("__")
        place = record
        for name in above:
            place = place[name]
        if value is DROP:
            place.pop(field, None)
        else:
            place[field] = value
    return record


def outcomes(kind, values, operators=OPERATORS):
    """Of each value: a Rejection, or (operator, id, row)."""
    parts, rejections = decode(
        TOPICS[kind],
        values,
        [OFFSET + i for i in range(len(values))],
        [TIMESTAMP] * len(values),
        PARTITION_,
        now_ms=NOW_MS,
        ocpi_operators=operators,
    )
    found = dict(rejections)
    for operator, part in parts.items():
        assert part.indexes == sorted(part.indexes)
        assert len(part.ids) == len(part.rows) == len(part.indexes) > 0
        for id_, row, index in zip(*part, strict=True):
            assert index not in found
            found[index] = (operator, id_, row)
    assert sorted(found) == list(range(len(values)))
    return [found[i] for i in range(len(values))]


def one(kind, value, operators=OPERATORS):
    """The outcome of a value, given as bytes, None, or an object to be written as JSON."""
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    (outcome,) = outcomes(kind, [raw], operators)
    return outcome


def exactly(kind, raw, operators=OPERATORS):
    """The same by the exact way only."""
    source = TOPICS[kind].reader(operators)
    try:
        record = source.exact(Fields(parse(raw)), NOW_MS + FUTURE_MS)
    except UnusableError as error:
        return error.rejection
    return record.operator_id, record.id, source.row(record, TIMESTAMP, OFFSET, PARTITION_, NOW_MS + FUTURE_MS)


def usable(outcome):
    return not isinstance(outcome, Rejection)
