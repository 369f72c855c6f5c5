"""What is sent: source records in the words of the contract, one function a topic. Pure.

Each source writes as its team might: other keys, other ways to say a time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from stream_app.domain.money import DIGITS, decimal_string
from stream_app.simulator.network import SimulatedOperator
from stream_app.sources import registry
from stream_app.sources.registry import SourceTopic

_json = msgspec.json.Encoder().encode


class SourceRecord(NamedTuple):
    """A record of a source topic; without a key it may go anywhere."""

    topic: SourceTopic
    key: bytes | None
    value: bytes


class Visit(NamedTuple):
    """A charge and what it costs: times in epoch ms, amounts in minor units."""

    id: str
    customer_id: str | None
    start_ms: int
    end_ms: int
    kwh: float
    received: int
    discount: int
    currency: str


def operator(of: SimulatedOperator, version: int, *, named: bool) -> SourceRecord:
    """An operator announces itself."""
    fields: dict[str, Any] = {
        "operator_id": of.id,
        "timezone": of.zone.key,
        "currency": of.currency,
        "version": version,
    }
    if named:
        fields["name"] = of.name
    return SourceRecord(registry.OPERATORS, of.id.encode(), _json(fields))


def group(of: SimulatedOperator, group_id: str, name: str) -> SourceRecord:
    """A group gets its name."""
    fields = {"operator_id": of.id, "group_id": group_id, "name": name, "version": 1}
    return SourceRecord(registry.GROUPS, None, _json(fields))


def membership(operator_id: str, customer_id: str, group_ids: Sequence[str], version: int) -> SourceRecord:
    """A customer's groups from now on."""
    fields = {"operator_id": operator_id, "customer_id": customer_id, "group_ids": group_ids, "version": version}
    return SourceRecord(registry.CUSTOMER_GROUPS, customer_id.encode(), _json(fields))


def session(of: SimulatedOperator, visit: Visit, status: str, version: int) -> SourceRecord:
    """A charging session; its source writes local times with their offset."""
    fields: dict[str, Any] = {
        "session_id": f"s-{visit.id}",
        "operator_id": of.id,
        "customer_id": visit.customer_id,
        "status": status,
        "started_at": _local(visit.start_ms, of),
        "version": version,
    }
    if status != "ACTIVE":
        fields["ended_at"] = _local(visit.end_ms, of)
        fields["energy_kwh"] = f"{visit.kwh:.1f}"
    return SourceRecord(registry.SESSIONS, visit.id.encode(), _json(fields))


def payment(
    of: SimulatedOperator, visit: Visit, status: str, version: int, *, refunded: int = 0, suffix: str = ""
) -> SourceRecord:
    """A payment for a visit; its source writes epoch milliseconds. `suffix` tells several of one visit apart."""
    fields = {
        "payment_id": f"p-{visit.id}{suffix}",
        "session_id": f"s-{visit.id}",
        "operator_id": of.id,
        "customer_id": visit.customer_id,
        "status": status,
        "amount_received": visit.received,
        "amount_discount": visit.discount,
        "amount_refunded": refunded,
        "currency": visit.currency,
        "paid_at": visit.end_ms,
        "version": version,
    }
    return SourceRecord(registry.PAYMENTS, of.id.encode(), _json(fields))


def cdr(of: SimulatedOperator, visit: Visit, *, credit: bool = False, reservation: bool = False) -> SourceRecord:
    """A charge detail record. `credit` takes the visit's own back; a `reservation` was never used but has its price."""
    assert of.party is not None
    total = msgspec.Raw(decimal_string(visit.received, DIGITS[visit.currency]).encode())
    fields: dict[str, Any] = {
        "country_code": of.party[0],
        "party_id": of.party[1],
        "id": f"{visit.id}-C" if credit else visit.id,
        "start_date_time": _utc(visit.start_ms),
        "end_date_time": _utc(visit.end_ms),
        "session_id": f"s-{visit.id}",
        "cdr_token": {
            "country_code": of.party[0],
            "party_id": of.party[1],
            "uid": visit.customer_id or visit.id,
            "type": "RFID" if visit.customer_id else "AD_HOC_USER",
            "contract_id": visit.customer_id or f"{of.id}-AD-HOC",
        },
        "currency": visit.currency,
        "total_cost": {"excl_vat": total, "incl_vat": total},
        "total_energy": round(visit.kwh, 1),
        "total_time": round((visit.end_ms - visit.start_ms) / 3_600_000, 2),
        "last_updated": _utc(visit.end_ms),
    }
    if reservation:
        del fields["session_id"]
        fields["total_energy"] = 0
    if credit:
        fields |= {"credit": True, "credit_reference_id": visit.id}
    return SourceRecord(registry.CDRS, None, _json(fields))


def _local(epoch_ms: int, of: SimulatedOperator) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, of.zone).isoformat()


def _utc(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
