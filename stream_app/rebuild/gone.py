"""Removal of results that the new generation does not have: tombstones in results topics, zeros in ClickHouse."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from stream_app.domain.cells import Cell, CellKey, FigureCell, Group, Operator
from stream_app.domain.report import has_documents
from stream_app.domain.sums import PAYMENT_SUMS
from stream_app.domain.tables import Table
from stream_app.formats.murmur2 import partition_for
from stream_app.ports.records import Record
from stream_app.ports.sinks import Dirty, View
from stream_app.rebuild.shown import Name, cell_of
from stream_app.sinks.topics import ResultRecords

C = TypeVar("C", bound=Cell)


def tombstones(
    names: Iterable[Name], topics: Mapping[str, tuple[str, int]], results: ResultRecords, version: int, as_of_ms: int
) -> dict[tuple[str, int], list[Record]]:
    """Records that remove keys from their topics. `topics`: by table, the topic and its number of partitions."""
    out: dict[tuple[str, int], list[Record]] = {}
    for name in names:
        table, _, _ = cell_of(name)
        topic, partitions = topics[table.name]
        record = results.gone(table, name[1], version, as_of_ms)
        out.setdefault((topic, partition_for(record.key, partitions)), []).append(record)
    return out


class GoneCells:
    """A view in which cells that are gone are zeros: a sink that copies them shows zeros in their place.

    Reads nothing of the partition's view after it is made, since a worker may own the partition by then.
    """

    def __init__(self, view: View, names: Iterable[Name], version: int, as_of_ms: int) -> None:
        self.partition = view.partition
        self.version, self._as_of_ms = version, as_of_ms
        self._currencies: dict[tuple[str, CellKey], list[str]] = {}
        self.dirty = Dirty()
        for name in names:
            table, key, currency = cell_of(name)
            self._currencies.setdefault((table.name, key), []).append(currency)
            self.dirty.cells[table.name].add(key)
        operators = {key.operator for _, key in self._currencies}
        self._operators = {operator: view.operator(operator) for operator in operators}
        self._groups = {operator: view.groups(operator) for operator in operators}

    def without_documents(self) -> Dirty:
        """The cells of groups that have no documents: those of the generation before are to be removed from Redis."""
        found = Dirty()
        for name, keys in self.dirty.cells.items():
            for key in keys:
                operator, group = self._operators[key.operator], self._groups[key.operator].get(key.group)
                if operator is not None and not has_documents(operator, key.group, group or Group()):
                    found.cells[name].add(key)
        return found

    def operators(self) -> Iterable[str]:
        """Ids of the operators of these cells."""
        return self._operators

    def operator(self, operator: str) -> Operator | None:
        """An operator of these cells."""
        return self._operators.get(operator)

    def groups(self, operator: str) -> dict[str, Group]:
        """All groups of an operator of these cells, by id."""
        return self._groups.get(operator, {})

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of zeros, figures in the currencies that they were shown in."""
        return [self._zeros(table, key) for key in keys]

    def past(self, table: Table[Any]) -> list[CellKey]:
        """None: what left retention is held by the partition."""
        del table
        return []

    def last_cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """The same as `cells`."""
        return self.cells(table, keys)

    def _zeros(self, table: Table[C], key: CellKey) -> C:
        cell: Any = table.new()
        cell.version, cell.as_of = self.version, self._as_of_ms
        if isinstance(cell, FigureCell):
            cell.payments = {currency: PAYMENT_SUMS.zeros() for currency in self._currencies[table.name, key]}
        return cell  # type: ignore[no-any-return]

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """No cells: a view of cells that are gone is written, not compared."""
        del table, operator
        return iter(())
