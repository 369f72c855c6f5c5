"""The rows of a partition as the ledger and the sinks see them.

`FrozenRows` is what was frozen last: the rows of the tick being committed above the store (domain.working.Rows).
`CommittedRows` is the store alone: what a sink may copy (ports.sinks.View).
"""

import heapq
from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeVar

from stream_app.domain.cells import Cell, CellKey, Customer, Group, Operator
from stream_app.domain.events import Row
from stream_app.domain.ledger import Frozen
from stream_app.domain.steps import in_steps
from stream_app.domain.tables import TABLES, Table
from stream_app.formats import rows
from stream_app.partition.pieces import Pieces, join, whole
from stream_app.ports.store import RowStore, Store

C = TypeVar("C", bound=Cell)

_STEP_ROWS = 2000  # encoded at once: some 15 ms


class FrozenRows:
    """The frozen rows. `committing` holds encoded rows of the tick on its way; an empty value is a deletion."""

    def __init__(self, store: RowStore) -> None:
        self.store = store
        self.committing: dict[bytes, bytes] = {}
        self._pieces = Pieces()

    def find_pieces(self) -> None:
        """Learn which rows of the store are in pieces, once it has all rows."""
        self._pieces.find(self.store.scan(rows.PIECES))

    def freeze(self, changes: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Hold encoded rows as those of the tick on its way; how they are written."""
        self.committing = self._pieces.split(changes)
        return self.committing

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys; empty or None where there is none."""
        out = self._load(keys)
        join(keys, out, self._load)
        return out

    def _load(self, keys: Sequence[bytes]) -> list[bytes | None]:
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
        return ((key, whole(key, value, self._load)) for key, value in heapq.merge(own, stored) if value)

    # -- domain.working.Rows

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        """The name of an entity's row."""
        return rows.entity_prefix(operator, kind) + entity_id.encode()

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Entities by the keys of their rows."""
        return rows.decode_entity.all(self.load(keys))

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        """Customers by (operator, customer)."""
        return rows.decode_customer.all(self.load([_customer_key(*name) for name in names]))

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table by key, filled up to today's figures."""
        return self._cells(table, rows.keys_of_cells(table, keys))

    def series(self, table: Table[C], operator: str, group: str, periods: Sequence[int]) -> list[C | None]:
        """Cells of a group by period, filled up to today's figures."""
        return self._cells(table, rows.cell_keys(table, operator, group, periods))

    def _cells(self, table: Table[C], keys: Sequence[bytes]) -> list[C | None]:
        return table.read_all(rows.cell_decoder(table).all(self.load(keys)))

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        """(kind, key, row) of an operator's entities."""
        prefix = rows.entities_prefix(operator)
        for key, value in self.scan(prefix, after):
            yield key[len(prefix)], key, rows.decode_entity(value)

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        """(id, customer) of an operator's customers, those above `after`."""
        prefix = rows.customer_prefix(operator)
        for key, value in self.scan(prefix, prefix + after.encode() if after else b""):
            yield key[len(prefix) :].decode(), rows.decode_customer(value)

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """(key, cell) of an operator's cells of a table."""
        decode = rows.cell_decoder(table)
        for key, value in self.scan(rows.cells_prefix(table, operator)):
            yield rows.parse_cell_key(key), table.read(decode(value))

    def past_cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table that left retention and are held, by key, filled up to today's figures."""
        return self._cells(table, [rows.past_key(table, key) for key in keys])

    def operators(self, only: str | None = None) -> dict[str, Operator]:
        """All known operators by id, or only one."""
        if only is not None:
            (raw,) = self.load([rows.operator_key(only)])
            return {only: rows.decode_operator(raw)} if raw else {}
        return {key[1:].decode(): rows.decode_operator(value) for key, value in self.scan(rows.OPERATORS)}

    def groups(self, only: str | None = None) -> Iterator[tuple[str, str, Group]]:
        """(operator, group, row) of all groups, or of one operator's."""
        for key, value in self.scan(rows.GROUPS if only is None else rows.group_key(only, "")):
            yield *rows.parse_group_key(key), rows.decode_group(value)


def _customer_key(operator: str, customer: str) -> bytes:
    return rows.customer_prefix(operator) + customer.encode()


def _of_frozen(frozen: Frozen) -> Iterator[Sequence[tuple[bytes, object]]]:
    """Names and values of rows, as many at a time as are encoded at once. Customers are taken out of `frozen`."""
    yield from in_steps(frozen.entities.items(), _STEP_ROWS)
    take = frozen.customers.pop
    for names in in_steps(list(frozen.customers), _STEP_ROWS):
        yield [(_customer_key(*name), take(name)) for name in names]
    yield [(rows.operator_key(name), operator) for name, operator in frozen.operators.items()]
    for groups in in_steps(frozen.groups.items(), _STEP_ROWS):
        yield [(rows.group_key(*name), group) for name, group in groups]
    for table in TABLES:
        for cells in in_steps(frozen.cells[table.name].items(), _STEP_ROWS):
            yield [(rows.cell_key(table, key), cell) for key, cell in cells if type(cell) is not bytes]


def encoding(frozen: Frozen) -> Generator[None, None, dict[bytes, bytes]]:
    """The rows of what was frozen, made in steps; an empty value is a deletion. Customers are taken out of `frozen` on the way."""
    encoded = frozen.encoded
    for some in _of_frozen(frozen):
        encoded |= rows.encode_all(some)
        if len(some) >= _STEP_ROWS:
            yield
    return encoded


class CommittedRows:
    """The committed state of one partition, for sinks."""

    def __init__(self, partition: int, store: Store) -> None:
        self.partition = partition
        self._store, self._rows = store, FrozenRows(store)
        self._version, self._log = 0, -1  # of the state at a changelog position

    @property
    def version(self) -> int:
        """The version of the state, 0 before any."""
        if self._store.log != self._log:
            self._log = self._store.log
            (raw,) = self._rows.load([rows.POSITION])
            position = None if raw is None else rows.decode_position(raw)
            self._version = 0 if position is None else rows.version_of(position.generation, position.applied)
        return self._version

    def operators(self) -> list[str]:
        """Ids of the known operators."""
        return list(self._rows.operators())

    def operator(self, operator: str) -> Operator | None:
        """A known operator."""
        return rows.decode_operator.all(self._rows.load([rows.operator_key(operator)]))[0]

    def groups(self, operator: str) -> dict[str, Group]:
        """All groups of an operator by id, ALL included, also those that only have a name."""
        found = self._rows.scan(rows.group_key(operator, ""))
        return {rows.parse_group_key(key)[1]: rows.decode_group(value) for key, value in found}

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table, in the order asked for."""
        return self._rows.cells(table, keys)

    def series(self, table: Table[C], operator: str, group: str, periods: Sequence[int]) -> list[C | None]:
        """Cells of a group in a table, in the order of periods."""
        return self._rows.series(table, operator, group, periods)

    def past(self, table: Table[Any]) -> list[CellKey]:
        """Names of cells that left retention, and are held until the sink that keeps them for ever has them."""
        return [rows.parse_past_key(key) for key, _ in self._rows.scan(rows.past_prefix(table))]

    def last_cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table, in the order asked for; those that left retention as they last were, while they are held."""
        found = self._rows.cells(table, keys)
        absent = [index for index, cell in enumerate(found) if cell is None]
        held = self._rows.past_cells(table, [keys[index] for index in absent])
        for index, cell in zip(absent, held, strict=True):
            found[index] = cell
        return found

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """All retained cells of an operator in a table."""
        return self._rows.scan_cells(table, operator)
