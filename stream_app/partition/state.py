"""The rows of a partition as the ledger and the sinks see them.

`State` is what was frozen last: the rows of the tick being committed above the store (domain.working.Rows). `Committed` is the store alone:
what a sink may copy (ports.sinks.View).
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from stream_app.domain.cells import Customer, Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.events import Row
from stream_app.domain.ledger import Frozen
from stream_app.formats import rows

T = TypeVar("T")


class RowStore(Protocol):
    """What is committed: stream_app.partition.store.Store, or a stand-in of the simulation."""

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys."""

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in order of keys, those with the prefix and above `after`."""


def _decoded(values: Iterable[bytes | None], decode: Callable[[bytes], T]) -> list[T | None]:
    return [decode(raw) if raw else None for raw in values]


class State:
    """The frozen rows. `committing` holds encoded rows of the tick on its way; an empty value is a deletion."""

    def __init__(self, store: RowStore) -> None:
        self.store = store
        self.committing: dict[bytes, bytes] = {}

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys; empty or None where there is none."""
        committing = self.committing
        if not committing:
            return self.store.load(keys)
        out = [committing.get(key) for key in keys]
        absent = [i for i, value in enumerate(out) if value is None]
        if absent:
            for i, value in zip(absent, self.store.load([keys[i] for i in absent]), strict=True):
                out[i] = value
        return out

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in order of keys, those with the prefix and above `after`."""
        committing = self.committing
        own = sorted((key, value) for key, value in committing.items() if key.startswith(prefix) and key > after)
        stored = ((key, value) for key, value in self.store.scan(prefix, after) if key not in committing)
        return (row for row in heapq.merge(own, stored) if row[1])

    # -- domain.working.Rows

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        """The name of an entity's row."""
        return rows.entity_prefix(operator, kind) + entity_id.encode()

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Entities."""
        return _decoded(self.load(keys), rows.decode_entity)

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        """Customers by (operator, customer)."""
        return _decoded(self.load([_customer_key(*name) for name in names]), rows.decode_customer)

    def monthly(self, keys: Sequence[MonthlyKey]) -> list[Monthly | None]:
        """Monthly cells."""
        return _decoded(self.load([rows.monthly_key(key) for key in keys]), rows.decode_monthly)

    def half_hours(self, keys: Sequence[HalfHourKey]) -> list[HalfHour | None]:
        """Half-hour cells."""
        return _decoded(self.load([rows.half_hour_key(key) for key in keys]), rows.decode_half_hour)

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        """(kind, key, row) of an operator's entities."""
        prefix = rows.entities_prefix(operator)
        for key, value in self.scan(prefix, after):
            yield key[len(prefix)], key, rows.decode_entity(value)

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        """An operator's customers."""
        prefix = rows.customer_prefix(operator)
        for key, value in self.scan(prefix, prefix + after.encode() if after else b""):
            yield key[len(prefix) :].decode(), rows.decode_customer(value)

    def scan_monthly(self, operator: str) -> Iterator[tuple[MonthlyKey, Monthly]]:
        """An operator's monthly cells."""
        for key, value in self.scan(rows.monthly_prefix(operator)):
            yield rows.parse_monthly_key(key), rows.decode_monthly(value)

    def scan_half_hours(self, operator: str) -> Iterator[tuple[HalfHourKey, HalfHour]]:
        """An operator's half-hour cells."""
        for key, value in self.scan(rows.half_hour_prefix(operator)):
            yield rows.parse_half_hour_key(key), rows.decode_half_hour(value)

    def operators(self) -> dict[str, Operator]:
        """All operators."""
        return {key[1:].decode(): rows.decode_operator(value) for key, value in self.scan(rows.OPERATORS)}

    def groups(self) -> Iterator[tuple[str, str, Group]]:
        """All groups."""
        for key, value in self.scan(rows.GROUPS):
            yield *rows.parse_group_key(key), rows.decode_group(value)


def _customer_key(operator: str, customer: str) -> bytes:
    return rows.customer_prefix(operator) + customer.encode()


def encode(frozen: Frozen) -> dict[bytes, bytes]:
    """The rows of what was frozen; an empty value is a deletion."""

    def put(key: bytes, value: object) -> None:
        out[key] = rows.DELETED if value is None else encode_(value)

    encode_ = rows.encode
    out = {key: rows.DELETED if row is None else encode_(row) for key, row in frozen.entities.items()}
    for name, customer in frozen.customers.items():
        put(_customer_key(*name), customer)
    for month, monthly in frozen.monthly.items():
        put(rows.monthly_key(month), monthly)
    for day, half_hour in frozen.half_hours.items():
        put(rows.half_hour_key(day), half_hour)
    for operator, found in frozen.operators.items():
        put(rows.operator_key(operator), found)
    for group, named in frozen.groups.items():
        put(rows.group_key(*group), named)
    return out


class Committed:
    """The committed state of one partition, for sinks."""

    def __init__(self, partition: int, store: RowStore) -> None:
        self.partition = partition
        self._state = State(store)

    def operators(self) -> list[str]:
        """Ids of the known operators."""
        return list(self._state.operators())

    def operator(self, operator: str) -> Operator | None:
        """A known operator."""
        return _decoded(self._state.load([rows.operator_key(operator)]), rows.decode_operator)[0]

    def groups(self, operator: str) -> dict[str, Group]:
        """All groups of an operator by id, ALL included, also those that only have a name."""
        found = self._state.scan(rows.group_key(operator, ""))
        return {rows.parse_group_key(key)[1]: rows.decode_group(value) for key, value in found}

    def monthly(self, operator: str, group: str, months: Sequence[int]) -> list[Monthly | None]:
        """Monthly cells, in the order asked for."""
        return self._state.monthly([MonthlyKey(operator, group, month) for month in months])

    def half_hours(self, operator: str, group: str, days: Sequence[int]) -> list[HalfHour | None]:
        """Half-hour cells, in the order asked for."""
        return self._state.half_hours([HalfHourKey(operator, group, day) for day in days])

    def monthly_cells(self, operator: str) -> Iterator[tuple[MonthlyKey, Monthly]]:
        """All retained monthly cells of an operator."""
        return self._state.scan_monthly(operator)

    def half_hour_cells(self, operator: str) -> Iterator[tuple[HalfHourKey, HalfHour]]:
        """All kept half-hour cells of an operator."""
        return self._state.scan_half_hours(operator)
