"""Results topics: keys, values and headers of the records that others build on. Pure: the tick sends them in its transaction.

CloudEvents 1.0 in Kafka's binary form. A record's key says which cell it shows, in encoded ids; `ce_id` is unique: key@version. A null value
says that the cell left retention, and keeps its headers. Writer and reader of the keys side by side.
"""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

import msgspec

from stream_app.domain.cells import HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.local_time import day_of, month_string
from stream_app.domain.report import iso_date, iso_ms, monthly_row
from stream_app.formats.ids import decode_id, encode_id
from stream_app.formats.murmur2 import partition_for
from stream_app.ports.records import Headers, Record

__all__ = ["ResultRecords", "half_hour_key_of", "monthly_key_of", "partition_for"]

_encode: Final = msgspec.json.Encoder().encode


@lru_cache(100_000)
def _monthly_name(operator: str, group: str, month: int, currency: str) -> bytes:
    return f"{encode_id(operator)}|{encode_id(group)}|{month_string(month)}|{currency}".encode()


@lru_cache(100_000)
def _half_hour_name(operator: str, group: str, day: int) -> bytes:
    return f"{encode_id(operator)}|{encode_id(group)}|{iso_date(day)}".encode()


def monthly_key_of(name: bytes) -> tuple[MonthlyKey, str]:
    """The cell and the currency of a key of the monthly topic."""
    operator, group, month, currency = name.decode().split("|")
    return MonthlyKey(decode_id(operator), decode_id(group), int(month[:4]) * 100 + int(month[5:])), currency


def half_hour_key_of(name: bytes) -> HalfHourKey:
    """The cell of a key of the half-hour topic."""
    operator, group, day = name.decode().split("|")
    return HalfHourKey(decode_id(operator), decode_id(group), day_of(date.fromisoformat(day)))


class _Kind:
    """One of the topics: the headers that all its records share."""

    def __init__(self, name: str, type_prefix: str, source: str) -> None:
        self._constant: Headers = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_source", source.encode()),
            ("ce_type", f"{type_prefix}.{name}".encode()),
            ("ce_dataschema", f"urn:crm-stats:schema:{name}".encode()),
        ]

    def record(self, key: bytes, value: bytes | None, version: int | str, as_of: str) -> Record:
        """A record; version: what makes it another one than the key's last."""
        own = [("ce_id", b"%b@%b" % (key, str(version).encode())), ("ce_subject", key), ("ce_time", as_of.encode())]
        return Record(key, value, self._constant + own)


class ResultRecords:
    """Makes the records of the three topics.

    type_prefix: of the events' types, a reverse domain name; source: a URI reference that names this service.
    """

    def __init__(self, type_prefix: str, source: str) -> None:
        self._monthly = _Kind("monthly.v1", type_prefix, source)
        self._half_hour = _Kind("half-hour.v1", type_prefix, source)
        self._as_of = _Kind("as-of.v1", type_prefix, source)

    def monthly(self, operator: Operator, key: MonthlyKey, cell: Monthly, partition: int) -> list[Record]:
        """A cell's records, one a currency."""
        as_of, records = iso_ms(cell.as_of), []
        for currency in cell.money:
            value = monthly_row(cell, key.month, currency)
            value["operatorId"] = key.operator
            value["groupId"] = key.group
            value["currency"] = currency
            value["timezone"] = operator.timezone
            value["partition"] = partition
            value["asOf"] = as_of
            value["version"] = cell.version
            records.append(self._monthly.record(_monthly_name(*key, currency), _encode(value), cell.version, as_of))
        return records

    def half_hour(self, operator: Operator, key: HalfHourKey, cell: HalfHour, partition: int) -> Record:
        """A cell's record."""
        as_of = iso_ms(cell.as_of)
        value = {
            "operatorId": key.operator,
            "groupId": key.group,
            "date": iso_date(key.day),
            "timezone": operator.timezone,
            "slots": cell.slots,
            "total": sum(cell.slots),
            "partition": partition,
            "asOf": as_of,
            "version": cell.version,
        }
        return self._half_hour.record(_half_hour_name(*key), _encode(value), cell.version, as_of)

    def monthly_tombstones(
        self, key: MonthlyKey, currencies: Iterable[str], version: int, as_of_ms: int
    ) -> list[Record]:
        """Records of a cell that left retention: of all currencies that it had; version: above its last one."""
        as_of = iso_ms(as_of_ms)
        return [self._monthly.record(_monthly_name(*key, currency), None, version, as_of) for currency in currencies]

    def half_hour_tombstone(self, key: HalfHourKey, version: int, as_of_ms: int) -> Record:
        """The record of a cell whose day is not kept any more; version: above its last one."""
        return self._half_hour.record(_half_hour_name(*key), None, version, iso_ms(as_of_ms))

    def as_of(self, partition: int, as_of_ms: int) -> Record:
        """Up to when the records of a partition hold; its version is that time."""
        as_of = iso_ms(as_of_ms)
        value = {"partition": partition, "asOf": as_of}
        return self._as_of.record(str(partition).encode(), _encode(value), as_of, as_of)
