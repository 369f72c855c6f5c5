"""Examples of answers, for the documentation only."""

from typing import Any


def example(data: Any) -> dict[str, Any]:
    """An answer with this data."""
    return {"code": 0, "message": "ok", "data": data}


MONTH_EXAMPLE: dict[str, Any] = {
    "month": "2026-06",
    "receivedAmount": "1234.50",
    "discountAmount": "12.00",
    "refundedAmount": "0.00",
    "paymentCount": 101,
    "payingCustomers": 40,
    "perCapitaPayment": "30.86",
    "sessionCount": 120,
    "chargingCustomers": 44,
    "perCapitaFrequency": "2.73",
    "anonymousAmount": "0.00",
    "anonymousSessionCount": 0,
}
_HEAD = {"operatorId": "M1", "groupId": "ALL", "timezone": "Europe/Berlin"}
_STATE = {"partition": 3, "asOf": "2026-11-24T08:00:00.000Z", "version": 1234}
MONTHLY_EXAMPLE = example(
    {**_HEAD, "currency": "EUR", "currencies": ["EUR"], **_STATE, "months": [MONTH_EXAMPLE]},
)
DISTRIBUTION_EXAMPLE = example(
    {
        **_HEAD,
        **_STATE,
        "from": "2026-10-26",
        "to": "2026-11-24",
        "total": 576,
        "slots": [
            {
                "slot": slot,
                "start": f"{slot // 2:02d}:{slot % 2 * 30:02d}",
                "end": f"{(slot + 1) // 2:02d}:{(slot + 1) % 2 * 30:02d}",
                "chargeCount": 12,
            }
            for slot in range(48)
        ],
    }
)
STREAM_EXAMPLE = """event: monthly
id: 1234-0
data: {"operatorId":"M1","groupId":"ALL", ...}

event: distribution
id: 1234-1230
data: {"operatorId":"M1","groupId":"ALL", ...}

event: as-of
data: {"operatorId":"M1","groupId":"ALL","partition":3,"asOf":"2026-11-24T08:00:00.000Z"}

"""
OPERATIONS_EXAMPLE = example(
    {
        "answers": True,
        "failure": None,
        "awaySeconds": None,
        "knownSeconds": 0.4,
        "groups": {"ingest": "crm-stats-ingest", "ledger": "crm-stats-ledger-1"},
        "status": {"now_ms": 1795507200000, "groups": [], "results": [], "sinks": [], "sources": []},
        "operators": [],
    }
)
GROUPS_EXAMPLE = example({"groups": [{"groupId": "ALL", "name": None}, {"groupId": "vip", "name": "大客户"}]})
OPERATORS_EXAMPLE = example(
    {"operators": [{"operatorId": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR"}]}
)
