"""A small map that tests change, and ways to use it."""

import csv
import io
import json

from stream_app.importer.mapping import Mapping, SourceRecord
from stream_app.sources.maps.map_load import load
from stream_app.sources.maps.values import Refusal

HEADER = ["id", "who", "when", "until", "paid", "off", "back", "state", "kwh", "club"]
MAP = """
[times]
zone = "Europe/Zurich"
formats = ["%d.%m.%Y %H:%M", "iso8601"]

[row]
operator_id = { value = "M1" }
customer_id = { column = "who", anonymous = ["-", "unknown"] }

[session]
session_id = { column = "id" }
status = { column = "state", values = { done = "COMPLETED", void = "INVALID" } }
started_at = { column = "when" }
ended_at = { column = "until" }
energy_kwh = { column = "kwh", decimal = "," }

[payment]
payment_id = { column = "id" }
session_id = { column = "id" }
status = { value = "SUCCEEDED" }
amount_received = { column = "paid" }
amount_discount = { column = "off" }
amount_refunded = { column = "back" }
currency = { value = "CHF" }
paid_at = { column = "until" }

[groups]
group_ids = { column = "club", separator = ";" }
at = { column = "when" }
"""
ROW = {
    "id": "s-1",
    "who": "c-9",
    "when": "03.11.2026 08:29",
    "until": "03.11.2026 09:11",
    "paid": "12.50",
    "off": "1.5",
    "back": "",
    "state": "done",
    "kwh": "12,40",
    "club": "vip; fleet",
}


def mapped(changes: dict[str, str] | None = None, map_text: str = MAP) -> list[SourceRecord] | Refusal:
    """ROW with changes, by a map."""
    row = ROW | (changes or {})
    return Mapping(load(map_text.encode()), HEADER).records([row[name] for name in HEADER])


def values(changes: dict[str, str] | None = None, map_text: str = MAP) -> dict[str, dict]:
    """The records of a row that must be taken: topic -> JSON."""
    records = mapped(changes, map_text)
    assert isinstance(records, list), records
    return {record.topic.name: json.loads(record.value) for record in records}


def refusal(changes: dict[str, str], map_text: str = MAP) -> tuple[str, str]:
    """Why a row is refused: (reason, key of the map)."""
    result = mapped(changes, map_text)
    assert isinstance(result, Refusal), result
    return result.reason, result.key


def csv_text(rows: list[dict[str, str]]) -> str:
    """A CSV file with HEADER."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
