"""Results topics: keys, values and headers of the records that others build on.

Pure: the tick sends them in its transaction.

CloudEvents 1.0 in Kafka's binary form. A record's key says which cell it shows, in encoded ids; `ce_id` is unique:
key@version. A null value says that the cell left retention, and keeps its headers. Writer and reader of the keys side
by side.
"""

from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey, CountCell, FigureCell, Operator
from stream_app.domain.report import count_record, figure_record, iso_ms
from stream_app.domain.tables import TABLES, CountTable, FigureTable, Table
from stream_app.formats.ids import decode_id, encode_id
from stream_app.formats.murmur2 import partition_for
from stream_app.ports.records import Headers, Record

__all__ = ["ResultRecords", "partition_for", "read_key"]

C = TypeVar("C", bound=Cell)

_encode: Final = msgspec.json.Encoder().encode


@lru_cache(100_000)
def _key(table: Table[Any], key: CellKey, currency: str) -> bytes:
    """The key of a record: operator|group|period, and |currency in a table with currencies."""
    parts = [encode_id(key.operator), encode_id(key.group), table.period.text(key.period)]
    return "|".join([*parts, currency] if currency else parts).encode()


def read_key(table: Table[Any], name: bytes) -> tuple[CellKey, str]:
    """The cell and the currency of a key in a table's topic; the currency is empty in a table without currencies."""
    operator, group, period, *currency = name.decode().split("|")
    return CellKey(decode_id(operator), decode_id(group), table.period.parse(period)), "".join(currency)


class _Kind:
    """One of the results topics: the headers that all its records share."""

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
        return self.with_id(key, value, b"%b@%b" % (key, str(version).encode()), as_of)

    def with_id(self, key: bytes, value: bytes | None, id_: bytes, as_of: str) -> Record:
        """The same, with its `ce_id`."""
        own: Headers = [("ce_id", id_), ("ce_subject", key), ("ce_time", as_of.encode())]
        return Record(key, value, self._constant + own)


class ResultRecords:
    """Makes the records of the results topics, one of each table, and of the topic of as-of.

    type_prefix: of the events' types, a reverse domain name; source: a URI reference that names this service.
    """

    def __init__(self, type_prefix: str, source: str) -> None:
        self._kinds = {table.name: _Kind(table.topic, type_prefix, source) for table in TABLES}
        self._as_of = _Kind("as-of.v1", type_prefix, source)

    def of(self, table: Table[C], operator: Operator, key: CellKey, cell: C, partition: int) -> list[Record]:
        """A cell's records: one, or one for each currency."""
        kind, as_of = self._kinds[table.name], iso_ms(cell.as_of)
        if isinstance(table, CountTable) and isinstance(cell, CountCell):
            value = _encode(count_record(table, operator, key, cell, partition))
            return [kind.record(_key(table, key, ""), value, cell.version, as_of)]
        assert isinstance(table, FigureTable)
        assert isinstance(cell, FigureCell)
        values = {
            currency: figure_record(table, operator, key, cell, currency, partition) for currency in cell.payments
        }
        return [
            kind.record(_key(table, key, currency), _encode(value), cell.version, as_of)
            for currency, value in values.items()
        ]

    def made(self, table: Table[Any], key: bytes, value: bytes, id_: bytes, as_of_ms: int) -> Record:
        """A record of which key, value and `ce_id` are made already."""
        return self._kinds[table.name].with_id(key, value, id_, iso_ms(as_of_ms))

    def tombstones(self, table: Table[C], key: CellKey, cell: C, version: int, as_of_ms: int) -> list[Record]:
        """Records of a cell that left retention, one for each that it had; version: above its last one."""
        kind, as_of = self._kinds[table.name], iso_ms(as_of_ms)
        currencies = cell.payments if isinstance(cell, FigureCell) else [""]
        return [kind.record(_key(table, key, currency), None, version, as_of) for currency in currencies]

    def gone(self, table: Table[Any], name: bytes, version: int, as_of_ms: int) -> Record:
        """The record that removes a key; version: above its last one."""
        return self._kinds[table.name].record(name, None, version, iso_ms(as_of_ms))

    def as_of(self, partition: int, as_of_ms: int) -> Record:
        """The record of a partition's as-of; its version is that time."""
        as_of = iso_ms(as_of_ms)
        value = {"partition": partition, "asOf": as_of}
        return self._as_of.record(str(partition).encode(), _encode(value), as_of, as_of)
