"""What a working set stands on: rows that it can only load, and what holds further changes of them as bytes."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from stream_app.domain.cells import Cell, CellKey, Customer, Group, Operator
from stream_app.domain.events import Events, Row
from stream_app.domain.rules import Rule
from stream_app.domain.tables import Table

C = TypeVar("C", bound=Cell)
W_contra = TypeVar("W_contra", contravariant=True)  # a working set


class Rows(Protocol):
    """Rows as they were at the last freeze.

    Answers in the order asked, None for what is not there; scans give all of an operator.
    """

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        """The name of an entity's row."""

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Entities by the names of their rows."""

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        """Customers by (operator id, customer id)."""

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table by key."""

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        """(kind, key, row) of an operator's entities, in order of keys, those above `after`."""

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        """An operator's customers, in order of names in UTF-8, those above `after`."""

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """An operator's cells of a table."""

    def operators(self, only: str | None = None) -> dict[str, Operator]:
        """All known operators by id, or only one."""

    def groups(self, only: str | None = None) -> Iterator[tuple[str, str, Group]]:
        """(operator, group, row) of all groups, or of one operator's."""


class EncodedCells(Protocol[C]):
    """Cells of a table as rows. A cell is either here or among the objects of a working set: it is handed over when it is asked for."""

    def __len__(self) -> int:
        """How many have changed since the last freeze."""

    def take(self, names: Iterable[CellKey]) -> tuple[dict[CellKey, C], dict[CellKey, C]]:
        """Hand over those of the cells that are here: changed ones, and others."""

    def take_changed(self, operator: str) -> dict[CellKey, C]:
        """Hand over all of an operator that changed."""

    def take_lacking(self) -> dict[CellKey, C]:
        """Hand over those that changed, and to which `Table.complete` has something to add."""

    def forget(self, operator: str) -> None:
        """Know nothing of an operator's cells, of which none has changed, any longer."""

    def peek(self, names: Sequence[CellKey]) -> list[C | None]:
        """Cells in the order asked for, after everything that was applied here; they stay here."""

    def peek_rows(self, names: Sequence[CellKey]) -> list[bytes | None]:
        """Their rows; empty or None where there is none."""

    def freeze(self, version: int, as_of: int) -> tuple[dict[CellKey, bytes], dict[bytes, bytes]]:
        """Rows that changed since the last freeze, with this version and as-of (epoch milliseconds), by name and by key."""


class Upserts(Protocol[W_contra]):
    """Sessions, payments and memberships applied to rows as bytes, with the outcome that the ledger's own way has; what it changed is here until the next freeze.

    A row is either here or among the objects of a working set: it is handed over when it is asked for.
    """

    @property
    def cells(self) -> Mapping[str, EncodedCells[Any]]:
        """What it holds of the cells of each table, by name."""

    def upserting(
        self, work: W_contra, parts: Sequence[Events], rules: Mapping[str, Sequence[Rule]]
    ) -> Generator[None, None, Sequence[Events]]:
        """Apply parts of these kinds to rows and cells, in steps; what is left of them must go the ledger's own way, behind it.

        So must differences of cells that can't be folded, which are added to `rules`.
        """

    def months(self) -> Sequence[tuple[CellKey, bool]]:
        """Months of groups that are here and changed since the last call, and whether anything counts in each."""

    def entities(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """Hand over those of the entities that are here."""

    def customers(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Customer]:
        """Hand over those of the customers, by (operator, customer), that are here."""

    def of(self, operator: str) -> tuple[dict[bytes, Row], dict[tuple[str, str], Customer]]:
        """Hand over all entities and customers of an operator."""

    def freeze(self) -> dict[bytes, bytes]:
        """Rows of entities and customers that changed since the last freeze, by key; an empty value is a deletion."""
