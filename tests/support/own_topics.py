"""Messages of topics that nobody here designed, in the shapes of their public documentation, and what they come to, computed straight from them.

Debezium's change events of an order table in MySQL (with schemas) and in PostgreSQL (without), OCPP 2.0.1's TransactionEvent, Stripe's events of charges. The
same seed makes the same messages. Must not use any code of the product.
"""

import base64
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


class Message(NamedTuple):
    """Key and value, as they are in Kafka."""

    key: str
    value: bytes | None


class Sums(NamedTuple):
    """Of an operator, of all months: counts, minor units, watt-hours, distinct customers."""

    payments: int
    received: int
    discount: int
    refunded: int
    payers: int
    sessions: int
    energy_wh: int
    chargers: int


def _row(rng: random.Random, number: int, start: datetime) -> dict[str, Any]:
    """An order as its team would say it: in plain values."""
    started = start + timedelta(minutes=rng.randrange(20 * 24 * 60), milliseconds=rng.randrange(1000))
    return {
        "number": number, "merchant": rng.choice(["M1", "M2"]), "customer": rng.choice([None, *range(1, 9)]), "started": started,
        "paid": started + timedelta(minutes=rng.randrange(5, 300)), "wh": rng.randrange(90_000), "total": rng.randrange(1, 9_000),
        "voucher": rng.randrange(300), "refunded": 0, "state": "open",
    }  # fmt: skip


def _history(seed: int, start: datetime) -> Iterator[tuple[str, dict[str, Any] | None, dict[str, Any] | None]]:
    """Changes of a table: (op, before, after), some rows in a snapshot first."""
    rng = random.Random(seed)
    table: dict[int, dict[str, Any]] = {}
    for number in range(1, 121):
        row = _row(rng, number, start)
        table[number] = row
        yield ("r" if number <= 20 else "c"), None, row
        if number <= 20:
            continue
        for _ in range(rng.choice([1, 1, 1, 2])):
            other = rng.choice(sorted(table))
            before = table[other]
            chance = rng.random()
            if chance < 0.08:
                del table[other]
                yield "d", before, None
                continue
            after = dict(before)
            after["state"] = (
                rng.choice(["done", "done", "done", "void"]) if before["state"] == "open" else before["state"]
            )
            if chance < 0.2:
                after["total"] = rng.randrange(1, 9_000)
                after["refunded"] = rng.randrange(after["total"] + 1)
            if chance > 0.95:
                after["merchant"] = "M2" if before["merchant"] == "M1" else "M1"
            table[other] = after
            yield "u", before, after


def _precise(cents: int) -> str:
    """A DECIMAL(10,2) as Connect's Decimal in JSON: base64 of the unscaled integer."""
    return base64.b64encode(cents.to_bytes(max(1, (cents.bit_length() + 8) // 8), "big", signed=True)).decode()


def _wall_clock(when: datetime, zone: ZoneInfo | Any) -> timedelta:
    """A local time, counted from 1970 as if it were UTC's."""
    return when.astimezone(zone).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)


_MYSQL_STATES = {"open": "charging", "done": "paid", "void": "canceled"}


def mysql(seed: int, start: datetime) -> Iterator[Message]:
    """Debezium's MySQL connector, with schemas."""

    def shown(row: dict[str, Any] | None) -> dict[str, Any] | None:
        if row is None:
            return None
        return {
            "id": row["number"], "merchant": row["merchant"], "customer_id": row["customer"], "state": _MYSQL_STATES[row["state"]],
            "started_at": _wall_clock(row["started"], BERLIN) // timedelta(milliseconds=1),
            "paid_at": None if row["state"] == "open" else row["paid"].strftime("%Y-%m-%dT%H:%M:%SZ"), "energy_wh": row["wh"],
            "total": None if row["state"] == "open" else _precise(row["total"]), "voucher": _precise(row["voucher"]), "currency": "EUR",
        }  # fmt: skip

    fields = [
        {"type": "int64", "optional": False, "field": "id"},
        {"type": "string", "optional": False, "field": "merchant"},
        {"type": "int64", "optional": False, "name": "io.debezium.time.Timestamp", "version": 1, "field": "started_at"},
        {
            "type": "bytes", "optional": True, "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
            "parameters": {"scale": "2", "connect.decimal.precision": "10"}, "field": "total",
        },
    ]  # fmt: skip
    schema = {"type": "struct", "fields": fields, "optional": False, "name": "shop.sales.orders.Envelope", "version": 2}
    for position, (op, before, after) in enumerate(_history(seed, start)):
        key = json.dumps({"schema": {}, "payload": {"id": (after or before or {})["number"]}})
        ms = int(start.timestamp() * 1000) + position
        source = {
            "version": "3.0.5.Final", "connector": "mysql", "name": "shop", "ts_ms": ms, "snapshot": "true" if op == "r" else "false", "db": "sales",
            "sequence": None, "ts_us": ms * 1000, "ts_ns": ms * 1_000_000, "table": "orders", "server_id": 0 if op == "r" else 223344, "gtid": None,
            "file": "mysql-bin.000003", "pos": 484 + position, "row": 0, "thread": None if op == "r" else 7, "query": None,
        }  # fmt: skip
        payload = {
            "before": shown(before),
            "after": shown(after),
            "source": source,
            "transaction": None,
            "op": op,
            "ts_ms": ms + 9,
        }
        yield Message(key, json.dumps({"schema": schema, "payload": payload}).encode())
        if op == "d":
            yield Message(key, None)


def _uuid(number: int) -> str:
    return f"5e4f6c1a-0000-4000-8000-{number:012d}"


def postgresql(seed: int, start: datetime) -> Iterator[Message]:
    """Debezium's PostgreSQL connector, without schemas, with REPLICA IDENTITY FULL and decimals as strings."""

    def shown(row: dict[str, Any] | None) -> dict[str, Any] | None:
        if row is None:
            return None
        is_open = row["state"] == "open"
        return {
            "id": _uuid(row["number"]), "merchant": row["merchant"], "customer_id": "guest" if row["customer"] is None else f"c{row['customer']}",
            "state": row["state"], "started_at": row["started"].isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "paid_at": None if is_open else _wall_clock(row["paid"], UTC) // timedelta(microseconds=1), "energy_kwh": f"{row['wh'] / 1000:.3f}",
            "total": None if is_open else f"{row['total'] / 100:.2f}", "refunded": f"{row['refunded'] / 100:.2f}", "currency": "EUR",
        }  # fmt: skip

    for position, (op, before, after) in enumerate(_history(seed, start)):
        ms, lsn = int(start.timestamp() * 1000) + position, 24_023_128 + 56 * position
        key = json.dumps({"id": _uuid((after or before or {})["number"])})
        source = {
            "version": "3.0.5.Final", "connector": "postgresql", "name": "app", "ts_ms": ms, "snapshot": "last_in_data_collection" if op == "r" else "false",
            "db": "app", "sequence": f'[null,"{lsn}"]', "ts_us": ms * 1000, "ts_ns": ms * 1_000_000, "schema": "public", "table": "orders",
            "txId": 555 + position, "lsn": lsn, "xmin": None,
        }  # fmt: skip
        value = {
            "before": shown(before),
            "after": shown(after),
            "source": source,
            "transaction": None,
            "op": op,
            "ts_ms": ms + 9,
        }
        yield Message(key, json.dumps(value).encode())
        if op == "d":
            yield Message(key, None)


def _register(wh: float, context: str, at: datetime) -> dict[str, Any]:
    sampled = [
        {"value": 6.2, "context": context, "measurand": "Current.Import", "phase": "L1", "unitOfMeasure": {"unit": "A"}},
        {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register", "location": "Outlet", "unitOfMeasure": {"unit": "Wh"}},
    ]  # fmt: skip
    return {"timestamp": at.isoformat().replace("+00:00", "Z"), "sampledValue": sampled}


def ocpp(seed: int, start: datetime) -> Iterator[Message]:
    """Calls of OCPP 2.0.1, of two stations: heartbeats among transactions, some of whose messages come twice."""
    rng = random.Random(seed)
    for number in range(60):
        begun = start + timedelta(minutes=rng.randrange(20 * 24 * 60))
        ended = begun + timedelta(minutes=rng.randrange(5, 300))
        transaction, token = f"tx-{seed}-{number}", {"idToken": f"04E9{rng.randrange(12):04X}", "type": "ISO14443"}
        register = float(rng.randrange(10**6))
        first = _register(register, "Transaction.Begin", begun)
        last = _register(register + rng.randrange(80_000), "Transaction.End", ended)

        def event(kind: str, at: datetime, reason: str, number: int, of: str = transaction, **more: Any) -> list[Any]:
            info = {"transactionId": of, "chargingState": "Charging"}
            payload = {
                "eventType": kind,
                "timestamp": at.isoformat(),
                "triggerReason": reason,
                "seqNo": number,
                "transactionInfo": info,
            }
            return [
                2,
                f"{rng.getrandbits(64):016x}",
                "TransactionEvent",
                payload | {"evse": {"id": 1, "connectorId": 1}} | more,
            ]

        calls = [
            [2, "hb", "Heartbeat", {}],
            event("Started", begun, "Authorized", 0, idToken=token, meterValue=[first]),
            event("Updated", begun, "MeterValuePeriodic", 1),
        ]
        if number % 10:  # else it still goes on
            calls.append(event("Ended", ended, "StopAuthorized", 2, idToken=token, meterValue=[first, last]))
            calls += calls[-1:] * (number % 3 == 0)
        yield from (Message(f"CS{number % 2}", json.dumps(call).encode()) for call in calls)


def stripe(seed: int, start: datetime) -> Iterator[Message]:
    """Events of charges, out of their order and some twice, with others among them."""
    rng = random.Random(seed)
    events: list[dict[str, Any]] = []
    for number in range(80):
        created = int(start.timestamp()) + rng.randrange(20 * 24 * 3600)
        charge = {
            "id": f"ch_{seed}_{number}", "object": "charge", "amount": rng.randrange(1, 9_000), "amount_captured": 0, "amount_refunded": 0,
            "billing_details": {"address": {"country": "DE"}, "email": None}, "captured": True, "created": created, "currency": "eur",
            "customer": rng.choice([None, "cus_1", "cus_2", "cus_3"]), "livemode": True, "metadata": {"charging_session": f"s-{number}"},
            "paid": True, "refunded": False, "status": "failed" if number % 9 == 0 else "succeeded",
        }  # fmt: skip

        def event(kind: str, at: int, what: dict[str, Any], *, livemode: bool = True) -> dict[str, Any]:
            return {
                "id": f"evt_{rng.getrandbits(64):016x}", "object": "event", "account": "acct_1PGfXk2eZvKYlo2C", "api_version": "2024-04-10",
                "created": at, "data": {"object": dict(what)}, "livemode": livemode, "pending_webhooks": 1, "request": {"id": None}, "type": kind,
            }  # fmt: skip

        if charge["status"] == "failed":
            events.append(event("charge.failed", created + 1, charge))
            continue
        events.append(event("charge.succeeded", created + 1, charge))
        events.append(event("customer.updated", created + 1, {"id": "cus_1", "object": "customer"}))
        events.append(event("charge.succeeded", created + 2, charge | {"id": f"ch_test_{number}"}, livemode=False))
        if number % 4 == 0:
            back = charge["amount"] if number % 8 == 0 else rng.randrange(1, charge["amount"] + 1)
            events.append(
                event(
                    "charge.refunded",
                    created + 90,
                    charge | {"amount_refunded": back, "refunded": back == charge["amount"]},
                )
            )
    events += rng.sample(events, 15)
    rng.shuffle(events)
    return iter([Message(each["data"]["object"]["id"], json.dumps(each).encode()) for each in events])


# -- what they come to


def _sums(payments: list[tuple[str, int, int, int, Any]], sessions: list[tuple[str, int, Any]]) -> dict[str, Sums]:
    """Of counted payments (operator, received, discount, refunded, customer) and counted sessions (operator, Wh, customer)."""
    out = {}
    for operator in {each[0] for each in [*payments, *sessions]}:
        paid = [each for each in payments if each[0] == operator]
        charged = [each for each in sessions if each[0] == operator]
        out[operator] = Sums(
            len(paid), sum(p[1] - p[3] for p in paid), sum(p[2] for p in paid), sum(p[3] for p in paid),
            len({p[4] for p in paid if p[1] > p[3]} - {None}), len(charged), sum(s[1] for s in charged), len({s[2] for s in charged} - {None}),
        )  # fmt: skip
    return out


def _last_rows(messages: list[Message]) -> list[dict[str, Any]]:
    """The rows of a table after all its changes."""
    table: dict[str, dict[str, Any]] = {}
    for message in messages:
        if message.value is None:
            continue
        change = json.loads(message.value)
        change = change.get("payload", change)
        if change["op"] == "d":
            del table[message.key]
        else:
            table[message.key] = change["after"]
    return list(table.values())


def sums_of_mysql(messages: list[Message]) -> dict[str, Sums]:
    rows = [row for row in _last_rows(messages) if row["state"] == "paid"]

    def cents(text: str) -> int:
        return int.from_bytes(base64.b64decode(text), "big", signed=True)

    return _sums(
        [(r["merchant"], cents(r["total"]), cents(r["voucher"]), 0, r["customer_id"]) for r in rows],
        [(r["merchant"], r["energy_wh"], r["customer_id"]) for r in rows],
    )


def sums_of_postgresql(messages: list[Message]) -> dict[str, Sums]:
    rows = [row for row in _last_rows(messages) if row["state"] == "done"]

    def whole(text: str, digits: int) -> int:
        return int(Decimal(text).scaleb(digits))

    def customer(row: dict[str, Any]) -> str | None:
        return None if row["customer_id"] == "guest" else row["customer_id"]

    paid = [r for r in rows if not r["total"] == r["refunded"] != "0.00"]
    return _sums(
        [(r["merchant"], whole(r["total"], 2), 0, whole(r["refunded"], 2), customer(r)) for r in paid],
        [(r["merchant"], whole(r["energy_kwh"], 3), customer(r)) for r in rows],
    )


def sums_of_ocpp(messages: list[Message]) -> dict[str, Sums]:
    ended = {}
    for _, value in messages:
        call = json.loads(value or b"")
        if call[2] == "TransactionEvent" and call[3]["eventType"] == "Ended":
            ended[call[3]["transactionInfo"]["transactionId"]] = call[3]

    def register(meter: dict[str, Any]) -> float:
        return sum(
            each["value"] for each in meter["sampledValue"] if each["measurand"] == "Energy.Active.Import.Register"
        )

    sessions = [
        ("M1", round(register(event["meterValue"][-1]) - register(event["meterValue"][0])), event["idToken"]["idToken"])
        for event in ended.values()
    ]
    return _sums([], sessions)


def sums_of_stripe(messages: list[Message]) -> dict[str, Sums]:
    latest: dict[str, dict[str, Any]] = defaultdict(lambda: {"created": -1})
    for _, value in messages:
        event = json.loads(value or b"")
        if event["livemode"] and event["type"].startswith("charge."):
            charge = event["data"]["object"]
            if event["created"] > latest[charge["id"]]["created"]:
                latest[charge["id"]] = event
    charges = [event["data"]["object"] for event in latest.values()]
    counted = [c for c in charges if c["status"] == "succeeded" and not c["refunded"]]
    return _sums([("M1", c["amount"], 0, c["amount_refunded"], c["customer"]) for c in counted], [])


Make = Callable[[int, datetime], Iterator[Message]]
# Map -> its topic, its messages, and what they come to.
TOPICS: dict[str, tuple[str, Make, Callable[[list[Message]], dict[str, Sums]]]] = {
    "orders-mysql": ("shop.sales.orders", mysql, sums_of_mysql),
    "orders-postgresql": ("app.public.orders", postgresql, sums_of_postgresql),
    "ocpp-transactions": ("csms.ocpp", ocpp, sums_of_ocpp),
    "stripe-charges": ("stripe.events", stripe, sums_of_stripe),
}
