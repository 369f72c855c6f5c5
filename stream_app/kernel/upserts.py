"""Sessions, payments and memberships applied to rows as bytes, without the interpreter's lock: what domain.ledger does with the same events, entity by entity.

`left` are entities with anything unusual, which go the ledger's own way, and so do the differences of cells that are (upserts.c says which). Figures and
tables are told to the library as numbers, so that those that are added need no C; where one of them is no sum of fields, or a table of another kind, all goes
the ledger's way.
"""

import ctypes
import logging
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate, chain, compress, pairwise
from operator import add
from typing import Any, Final, NamedTuple

import msgspec

from stream_app.domain import tables
from stream_app.domain.cells import CellKey, Customer
from stream_app.domain.events import DecodedEvents, Events, Row
from stream_app.domain.local_time import Zone, zone
from stream_app.domain.rules import Groups, Rule, kept
from stream_app.domain.steps import in_steps
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Adder, Layout
from stream_app.domain.tables import MONTHLY, CountTable, FigureTable, Table
from stream_app.domain.working import Working
from stream_app.domain.working_cells import STEP_CELLS
from stream_app.formats import rows
from stream_app.kernel.encoded_cells import EncodedCells, Load
from stream_app.kernel.library import address, address_of_bytes, load, numbers_at, texts_at

log = logging.getLogger(__name__)

_DAY_QUARTERS: Final = 96
_DAYS: Final = 8192  # of the tables of an instant: 22 years
_TERMS_MAX: Final = 4
_TOO_LARGE: Final = -2
_RESULTS: Final = 20  # numbers, at most, besides one for each table
_MOVED_BY: Final = 1000  # days, of the first one of those tables
_PAYMENT_KEY, _SESSION_KEY, _COUNT_KEY = 5, 4, 4  # numbers that name a difference, see upserts.c
_PAID: Final = 4  # numbers that tell of payments
_COUNTS, _LACKS = 2, 4  # what is said of a cell, in bits; 0: it is left
_WHICH_COUNTS, _WHICH_LACKS = (bytes(flag & bit for flag in range(256)) for bit in (_COUNTS, _LACKS))

_TEXT, _AT, _NUMBER = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: Final = {
    "begin": (_TEXT, _AT, _NUMBER, _TEXT, _AT, _NUMBER, _AT, _AT),
    "customers": (_AT, _TEXT, _AT, _AT, _AT, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _AT),
    "apply": (_AT, _TEXT, _AT, _AT, _AT, _TEXT, _NUMBER, _NUMBER, _AT, _AT, _AT, _AT),
    "cells": (_AT, _TEXT, _AT, _AT),
    "fold": (_AT, _TEXT, _AT, _AT, _TEXT, _AT, _NUMBER, _AT, _AT),
    "end": (_AT,),
}


def new_upserts(stored: Load) -> "NativeUpserts | None":
    """What applies sessions, payments and memberships to rows above stored ones, where the native library is there and can."""
    library = load()
    if library is None:
        return None
    layouts = [numbers for layout in (PAYMENT_SUMS, SESSION_SUMS) if (numbers := _numbers(layout)) is not None]
    if len(layouts) < 2 or any(type(table) not in (FigureTable, CountTable) for table in tables.TABLES):
        _tell_that_it_cannot()
        return None
    return NativeUpserts(library, stored, layouts)


@cache
def _tell_that_it_cannot() -> None:
    log.warning(
        "a figure is no sum of fields, or a table of another kind: events are applied without the native library"
    )


def _numbers(layout: Layout) -> "array[int] | None":
    """A layout as upserts.c reads it; None where an amount is no sum of fields."""
    sums, tallies, parts, customers_at = layout.adders
    out = array("q", (layout.size, layout.customer_size, layout.count_at, layout.own_count_at))
    out.extend((len(sums), len(customers_at), len(tallies), len(parts)))
    for adder in chain(sums, tallies, parts):
        if (numbers := _amount(adder)) is None:
            return None
        out.extend(numbers)
    out.extend(customers_at)
    return out


def _amount(adder: Adder) -> list[int] | None:
    if adder.amount is None or len(adder.amount.terms) > _TERMS_MAX:
        return None
    padded = [*adder.amount.terms, *[(0, 0)] * (_TERMS_MAX - len(adder.amount.terms))]
    head = [adder.at, adder.own_at, adder.amount.constant, len(adder.amount.terms)]
    return head + [field for field, _ in padded] + [times for _, times in padded]


class _Times:
    """Of each quarter hour in each zone: period by table of figures, then key of a customer's count by table of counts. Made as they are needed."""

    def __init__(self, first_day: int) -> None:
        self.first_day = first_day
        figures, counts = _tables_by_kind()
        self.width = len(figures) + len(counts)
        self._figures, self._counts = figures, counts
        self._indexes: dict[str, int] = {}
        self._zones: list[Zone] = []
        self._by_day: list[array[int]] = []
        self._days: dict[
            tuple[int, int], array[int]
        ] = {}  # by local time of its begin, which zones share, and the zone with a clock change
        self.zones = array("q")  # where the table of each lies

    def index(self, name: str) -> int:
        """The number of a zone."""
        found = self._indexes.get(name)
        if found is None:
            found = self._indexes[name] = len(self._zones)
            self._zones.append(zone(name))
            self._by_day.append(array("q", bytes(8 * _DAYS)))
            self.zones.append(address(self._by_day[-1]))
        return found

    def fill(self, index: int, day: int) -> None:
        """Make the table of a day, counted from the first one."""
        if self._by_day[index][day]:
            return
        first = (self.first_day + day) * _DAY_QUARTERS
        whens = list(map(self._zones[index].local, range(first, first + _DAY_QUARTERS)))
        key = whens[0], -1 if whens[-1] - whens[0] == _DAY_QUARTERS - 1 else index
        numbers = self._days.get(key)
        if numbers is None:
            numbers = self._days[key] = array("q")
            for when in whens:
                numbers.extend(table.period.of_day(when // _DAY_QUARTERS) for table in self._figures)
                numbers.extend(table.key(when) for table in self._counts)
        self._by_day[index][day] = address(numbers)


def _tables_by_kind() -> tuple[list[FigureTable], list[CountTable]]:
    figures = [table for table in tables.TABLES if isinstance(table, FigureTable)]
    return figures, [table for table in tables.TABLES if isinstance(table, CountTable)]


@lru_cache(2)
def _times(first_day: int) -> _Times:
    return _Times(first_day)


@lru_cache(100_000)
def _groups(encoded: bytes) -> Groups:
    return msgspec.msgpack.decode(encoded, type=Groups)


def _customer_key(operator: str, customer: str) -> bytes:
    return rows.customer_prefix(operator) + customer.encode()


class NativeUpserts:
    """Rows of one partition that a loaded library changed (domain.working_rows.Upserts)."""

    def __init__(self, library: ctypes.CDLL, stored: Load, layouts: "Sequence[array[int]]") -> None:
        self._library, self._stored, self._layouts = library, stored, layouts
        figures, counts = _tables_by_kind()
        self._figures, self._figures_at = figures, [tables.TABLES.index(table) for table in figures]
        self._counts, self._counts_at = counts, [tables.TABLES.index(table) for table in counts]
        names = [name for table in figures for name in (f"{table.prefix}p", f"{table.prefix}s")]
        names += [table.prefix for table in counts]
        self._names = b"".join(bytes([len(name)]) + name.encode() for name in names)
        self._encoded: dict[bytes, bytes] = {}
        self._tables: list[Table[Any]] = [*figures, *counts]
        self.cells: dict[str, EncodedCells[Any]] = {table.name: EncodedCells(table, stored) for table in self._tables}
        for name, signature in _SIGNATURES.items():
            function = getattr(library, f"stream_app_upserts_{name}")
            function.argtypes, function.restype = signature, ctypes.c_int32

    # -- what the ledger asks for as objects

    def entities(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """Hand over those of the entities that are here."""
        encoded = self._encoded
        return {key: rows.decode_entity(encoded.pop(key)) for key in keys if key in encoded} if encoded else {}

    def customers(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Customer]:
        """Hand over those of the customers, by (operator, customer), that are here."""
        encoded, out = self._encoded, {}
        for name in names if encoded else ():
            raw = encoded.pop(_customer_key(*name), None)
            if raw is not None:
                out[name] = rows.decode_customer(raw) if raw else Customer()
        return out

    def of(self, operator: str) -> tuple[dict[bytes, Row], dict[tuple[str, str], Customer]]:
        """Hand over all entities and customers of an operator."""
        entities, customers = rows.entities_prefix(operator), rows.customer_prefix(operator)
        names = [(operator, key[len(customers) :].decode()) for key in self._encoded if key.startswith(customers)]
        return self.entities([key for key in self._encoded if key.startswith(entities)]), self.customers(names)

    def freeze(self) -> dict[bytes, bytes]:
        """Rows of entities and customers that changed since the last freeze, by key; an empty value is a deletion."""
        encoded, self._encoded = self._encoded, {}
        return encoded

    def months(self) -> list[tuple[CellKey, bool]]:
        """Those of groups that are here and changed since the last call, and whether anything counts in each."""
        return self.cells[MONTHLY.name].take_counts() if MONTHLY.name in self.cells else []

    # -- applying

    def upserting(
        self, work: Working, parts: Sequence[Events], rules: Mapping[str, Sequence[Rule]]
    ) -> Generator[None, None, Sequence[Events]]:
        """Apply parts of these kinds, as they stand in frames, in steps; what is left of them."""
        operators = list(dict.fromkeys(part.operator for part in parts))
        for name, customer in work.give_customers(operators).items():
            customer_row = kept(customer)
            self._encoded[_customer_key(*name)] = rows.DELETED if customer_row is None else rows.encode(customer_row)
        run = _Run(self._library, operators, parts)
        try:
            left = self._upsert(run, work)
            if left is None:
                return parts
            yield from self._fold(run, work, rules)
            return left
        finally:
            run.end()

    def _upsert(self, run: "_Run", work: Working) -> Sequence[Events] | None:
        """Change entities and customers; the events that are left. None: nothing was changed."""
        entities = run.begin()
        values = self._values(entities, work.entities)
        found = [work.operators[name] for name in run.operators]
        times = _times(work.horizon // _DAY_QUARTERS // _MOVED_BY * _MOVED_BY)
        customers = run.customers(
            values, [(times.index(one.timezone), one.horizon) for one in found], times, work.horizon
        )
        firsts = [table.first_kept(one) for table in self._figures for one in found]
        firsts += [table.first_kept(one) * table.width for table in self._counts for one in found]
        changes = run.apply(
            self._values(customers, {}), self._layouts, self._names, len(self._figures_at), len(self._counts), firsts
        )
        if changes is None:
            return None
        keys = list(compress(chain(entities, customers), changes.changed))
        self._encoded.update(zip(keys, changes.rows, strict=True))
        for key in keys if work.entities else ():
            work.entities.pop(key, None)
        return run.left(changes.left)

    def _values(self, keys: Sequence[bytes], objects: Mapping[bytes, Row | None]) -> list[bytes]:
        """Values of rows, after everything that was applied; empty where there is none."""
        out = list(map(self._encoded.get, keys))
        for index, key in enumerate(keys) if objects else ():
            if key in objects:
                row = objects[key]
                out[index] = rows.DELETED if row is None else rows.encode(row)
        absent = [index for index, value in enumerate(out) if value is None]
        for index, value in zip(absent, self._stored([keys[index] for index in absent]), strict=True):
            out[index] = value or rows.DELETED
        return out  # type: ignore[return-value]  # no None is left

    def _fold(self, run: "_Run", work: Working, rules: Mapping[str, Sequence[Rule]]) -> Iterator[None]:
        """Add differences to cells; those of cells that are left, to `rules`."""
        widths = [table.width for table in self._counts]
        named = run.cells("".join(table.prefix for table in self._tables), widths)
        values: list[bytes] = []
        for table, cells in zip(self._tables, named, strict=True):
            for some in in_steps(range(len(cells.keys)), STEP_CELLS):
                start, end = some[0], some[-1] + 1
                values += self._cell_values(work, table, cells.keys[start:end], cells.names[start:end])
                yield
        own = [work.operators[name].currency.encode() for name in run.operators]
        paid_table = self._figures.index(MONTHLY) if MONTHLY in self._figures else -1
        folded = run.fold(values, widths, self._layouts, own, paid_table)
        start = 0
        for table, cells in zip(self._tables, named, strict=True):
            end = start + len(cells.keys)
            self._put(table, cells, folded.rows[start:end], folded.flags[start:end])
            start = end
        currencies = [name.decode() for name in folded.currencies]
        for operator, currency, month, count in folded.paid:
            work.count_payments(run.operators[operator], currencies[currency], month, count)
        self._add(run.operators, folded, currencies, rules)

    def _cell_values(
        self, work: Working, table: Table[Any], keys: Sequence[bytes], names: Sequence[CellKey]
    ) -> list[bytes]:
        """Rows of cells, after everything that was applied; empty where there is none. Those that are objects are handed over."""
        encoded = self.cells[table.name]
        for name, cell in work.cells[table.name].give(names).items():
            encoded.put(name, cell)
        return [row or rows.DELETED for row in encoded.load(keys)]

    def _put(self, table: Table[Any], cells: "_Cells", rows_: Sequence[bytes], flags: bytes) -> None:
        """Hold changed rows of cells."""
        encoded, keys = self.cells[table.name], list(compress(cells.keys, flags))
        encoded.changed.update(
            zip(keys, zip(compress(cells.names, flags), compress(rows_, flags), strict=True), strict=True)
        )
        encoded.lacking.difference_update(keys)
        encoded.lacking.update(compress(cells.keys, flags.translate(_WHICH_LACKS)))
        if table is MONTHLY:
            counted = compress(flags.translate(_WHICH_COUNTS), flags)
            encoded.counts.update(zip(keys, map(bool, counted), strict=True))

    def _add(
        self,
        operators: Sequence[str],
        left: "_Folded",
        currencies: Sequence[str],
        rules: Mapping[str, Sequence[Rule]],
    ) -> None:
        """Add differences that are left to those of the rules."""
        groups = [_groups(some) for some in left.groups]
        for table, operator, group_set, period, currency, *sums in left.payments:
            payments = rules[operators[operator]][self._figures_at[table]].payments  # type: ignore[attr-defined]  # of a FigureRule
            key = groups[group_set], period, currencies[currency]
            payments[key] = list(map(add, payments[key], sums)) if key in payments else sums
        for table, operator, group_set, period, *sums in left.sessions:
            sessions = rules[operators[operator]][self._figures_at[table]].sessions  # type: ignore[attr-defined]  # of a FigureRule
            place = groups[group_set], period
            sessions[place] = list(map(add, sessions[place], sums)) if place in sessions else sums
        for table, operator, group_set, at, by in left.counts:
            period, slot = divmod(at, self._counts[table].width)
            rule = rules[operators[operator]][self._counts_at[table]]
            rule.counts[groups[group_set], period][slot] += by  # type: ignore[attr-defined]  # of a CountRule


class _Changes(NamedTuple):
    """What a run changes of entities and customers.

    `changed`: a byte for each entity, then each customer, 1 where it has a row in `rows`; `left`: for each event.
    """

    changed: bytes
    left: bytes
    rows: list[bytes]


class _Cells(NamedTuple):
    """Cells of a table that a run concerns: keys of their rows, and their names."""

    keys: list[bytes]
    names: list[CellKey]


class _Folded(NamedTuple):
    """Rows of cells, and what is said of each (see upserts.c). `paid`: operator, currency, month, by how many payments.

    The rest are differences of cells that are left, each with numbers that name it.
    """

    rows: list[bytes]
    flags: bytes
    groups: list[bytes]
    currencies: list[bytes]
    payments: list[list[int]]
    sessions: list[list[int]]
    counts: list[list[int]]
    paid: list[list[int]]


class _Run:
    """Calls of the library for one batch of parts; what they are handed lives as long as this."""

    def __init__(self, library: ctypes.CDLL, operators: Sequence[str], parts: Sequence[Events]) -> None:
        self._library, self.operators, self.parts = library, operators, parts
        self._kept: list[object] = []
        self._run = 0
        self._left_parts = bytearray(len(parts))
        self._events = self._entities = self._customers = 0

    def end(self) -> None:
        """Free what the library holds."""
        self._library.stream_app_upserts_end(self._run)

    def _numbers(self, numbers: Iterable[int]) -> int:
        """Numbers that the library may read until the end: their address."""
        made = array("q", numbers)
        self._kept.append(made)
        return address(made)

    def _bytes(self, pieces: Iterable[bytes]) -> bytes:
        """The same of bytes."""
        made = b"".join(pieces)
        self._kept.append(made)
        return made

    def begin(self) -> list[bytes]:
        """Names of the entities."""
        numbers = {name: number for number, name in enumerate(self.operators)}
        encoded = [part.encoded for part in self.parts if part.encoded is not None]
        of = [(numbers[part.operator], part.kind) for part in self.parts]
        sizes = [(len(names), len(found)) for names, found in encoded]
        ids = [name.encode() for name in self.operators]
        results = array("q", bytes(8 * _RESULTS))
        failed = self._library.stream_app_upserts_begin(
            *(
                self._bytes(chain.from_iterable(encoded)),
                self._numbers(chain.from_iterable(map(add, of, sizes))),
                len(of),
            ),
            *(self._bytes(ids), self._numbers(map(len, ids)), len(ids)),
            *(address_of_bytes(self._left_parts), address(results)),
        )
        self._run, self._events, self._entities, names_at, size, ends_at = results[:6]
        if failed:
            raise MemoryError
        return texts_at(names_at, size, ends_at, self._entities)

    def customers(
        self, values: Sequence[bytes], operators: Sequence[tuple[int, int]], times: _Times, known_from: int
    ) -> list[bytes]:
        """Names of the customers, where the entities have these `values`; `operators`: number of the zone, first quarter hour that is kept."""
        results = array("q", bytes(8 * _RESULTS))
        self._kept.append(times)
        failed = self._library.stream_app_upserts_customers(
            *(
                self._run,
                self._bytes(values),
                self._numbers(map(len, values)),
                self._numbers(chain.from_iterable(operators)),
            ),
            *(address(times.zones), times.first_day, _DAYS, times.width, known_from, address(results)),
        )
        if failed:
            raise MemoryError
        self._customers, names, size, ends, missing, missing_count = results[:6]
        for index, day in _rows_of(missing, 16 * missing_count, 2):
            times.fill(index, day)
        return texts_at(names, size, ends, self._customers)

    def apply(
        self,
        values: Sequence[bytes],
        layouts: "Sequence[array[int]]",
        names: bytes,
        figure_tables: int,
        count_tables: int,
        firsts: Iterable[int],
    ) -> _Changes | None:
        """What changes, where the customers have these `values`; None: a sum is too large."""
        results = array("q", bytes(8 * _RESULTS))
        left, changed = (
            bytearray(self._events + 1),
            bytearray(self._entities + self._customers + 1),
        )  # a buffer has an address from one byte on
        failed = self._library.stream_app_upserts_apply(
            *(self._run, self._bytes(values), self._numbers(map(len, values)), *map(address, layouts)),
            *(
                names,
                figure_tables,
                count_tables,
                self._numbers(firsts),
                address_of_bytes(left),
                address_of_bytes(changed),
                address(results),
            ),
        )
        if failed == _TOO_LARGE:
            return None
        if failed:
            raise MemoryError
        changed_rows = texts_at(results[0], results[1], results[2], results[3] // 8)
        return _Changes(bytes(changed[:-1]), bytes(left[:-1]), changed_rows)

    def cells(self, prefixes: str, widths: Sequence[int]) -> list[_Cells]:
        """The cells that differences concern, by table; `widths`: slots of a period, by table of counts."""
        results = array("q", bytes(8 * (_RESULTS + len(prefixes))))
        failed = self._library.stream_app_upserts_cells(
            self._run, prefixes.encode(), self._numbers(widths), address(results)
        )
        if failed:
            raise MemoryError
        by_table = results[8 : 8 + len(prefixes)]
        count = sum(by_table)
        keys = texts_at(results[0], results[1], results[2], count)
        groups = [group.decode() for group in texts_at(results[4], results[5], results[6], results[7])]
        numbers = numbers_at(results[3], 24 * count)
        operators = map(self.operators.__getitem__, numbers[0::3])
        names = list(map(CellKey, operators, map(groups.__getitem__, numbers[1::3]), numbers[2::3]))
        ends = list(accumulate(by_table, initial=0))
        return [_Cells(keys[start:end], names[start:end]) for start, end in pairwise(ends)]

    def fold(
        self,
        values: Sequence[bytes],
        widths: Sequence[int],
        layouts: "Sequence[array[int]]",
        currencies: Sequence[bytes],
        paid_table: int,
    ) -> _Folded:
        """Add differences to the cells, where they have these `values`; `currencies`: the own one of each operator."""
        results = array("q", bytes(8 * _RESULTS))
        flags = bytearray(len(values) + 1)
        failed = self._library.stream_app_upserts_fold(
            *(self._run, self._bytes(values), self._numbers(map(len, values)), self._numbers(widths)),
            *(self._bytes(currencies), self._numbers(map(len, currencies)), paid_table),
            *(address_of_bytes(flags), address(results)),
        )
        if failed:
            raise MemoryError
        payments, sessions = (numbers[0] for numbers in layouts)  # the first number: how many sums
        folded, groups, currencies = (
            texts_at(results[at], results[at + 1], results[at + 2], results[at + 3] // 8) for at in (0, 4, 8)
        )
        return _Folded(
            folded,
            bytes(flags[:-1]),
            groups,
            currencies,
            _rows_of(results[12], results[13], _PAYMENT_KEY + payments),
            _rows_of(results[14], results[15], _SESSION_KEY + sessions),
            _rows_of(results[16], results[17], _COUNT_KEY + 1),
            _rows_of(results[18], results[19], _PAID),
        )

    def left(self, events: bytes) -> list[Events]:
        """What the library did not take: parts, and of the others events with a 1."""
        if 1 not in events and 1 not in self._left_parts:
            return []
        out, at = [], 0
        for part, is_left in zip(self.parts, self._left_parts, strict=True):
            if is_left:
                out.append(part)
                continue
            here = events[at : at + part.count]
            at += len(here)
            if 1 in here:
                out.append(_only(part, list(compress(range(len(here)), here))))
        return out


def _only(part: Events, indexes: Sequence[int]) -> Events:
    """Some of the events of a part."""
    ids, keys = ([some[index] for index in indexes] if some else [] for some in (part.ids, part.keys))
    found = [part.rows[index] for index in indexes]
    raws = {new: part.raws[old] for new, old in enumerate(indexes) if old in part.raws}
    return DecodedEvents(part.operator, part.kind, ids, keys, found, raws, part.again)


def _rows_of(at: int, size: int, width: int) -> list[list[int]]:
    """Numbers, so many to a row."""
    found = numbers_at(at, size)
    return [found[start : start + width] for start in range(0, len(found), width)]
