"""What a rebuild would change: keys whose records would say something else, appear or go.

While events come in, a key that both generations have just changed differs for a moment. So what differs is looked at
again, some times, and a key that never held still is told apart from one that differs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from stream_app.ports.sinks import View
from stream_app.rebuild.shown import Name, Shown, ShownResults, own_records, records_of
from stream_app.sinks.topics import ResultRecords

_LOOKS: Final = 5
_PAUSE_S: Final = 2.0  # longer than a record takes from an event into its topic


class Difference(NamedTuple):
    """What a rebuild would change, of `compared` keys.

    `changed`: name -> (document that is shown, document that would be shown), {} for none; `moving`: names that
    differed, and changed at each look.
    """

    changed: dict[Name, tuple[dict[str, Any], dict[str, Any]]]
    moving: set[Name]
    compared: int


def different(shown: Mapping[Name, Shown], own: Mapping[Name, Shown]) -> set[Name]:
    """Names whose records say something else, or stand on one side only and say something there.

    Which zeros stand follows from how events fell into transactions: a currency that an operator had for a moment, a
    group that was left again.
    """
    cells = {_cell(name) for name in own}, {_cell(name) for name in shown}
    found = set()
    for name in shown.keys() | own.keys():
        one, other = shown.get(name), own.get(name)
        if one is not None and other is not None:
            is_same = one.digest == other.digest
        else:
            there = one or other
            assert there is not None, "the name is of one side"
            is_beside = _cell(name) in cells[one is None]  # a cell of the other side, in another currency
            is_same = not (there.counts_itself if is_beside else there.counts)
        if not is_same:
            found.add(name)
    return found


def _cell(name: Name) -> Name:
    """The table and the cell of a record, without its currency."""
    table, key = name
    return table, b"|".join(key.split(b"|")[:3])


async def difference(
    shown: ShownResults,
    views: Callable[[], Awaitable[Sequence[View]]],
    results: ResultRecords,
    settle: Callable[[], Awaitable[None]],
) -> Difference:
    """Between what is shown and what the new generation holds, while both go on applying events.

    `settle` waits until both have applied all events that there are when it is called.
    """
    await settle()
    await shown.catch_up()
    own = await own_records(await views(), results)
    compared = len(shown.by_name.keys() | own.keys())
    suspects = different(shown.by_name, own)
    still: set[Name] = set()
    for _ in range(_LOOKS):
        if suspects == still:
            break
        before = {name: (shown.by_name.get(name), own.get(name)) for name in suspects}
        await settle()
        await asyncio.sleep(_PAUSE_S)
        own = await own_records(await views(), results)
        await shown.catch_up()
        suspects &= different(shown.by_name, own)
        still |= {name for name in suspects if before[name] == (shown.by_name.get(name), own.get(name))}
        still &= suspects
    said = await shown.values(still)
    would = _values(await views(), results, still)
    changed = {name: (said.get(name, {}), would.get(name, {})) for name in still}
    return Difference(changed, suspects - still, compared)


def _values(views: Sequence[View], results: ResultRecords, names: set[Name]) -> dict[Name, dict[str, Any]]:
    return {name: orjson.loads(value) for view in views for name, value in records_of(view, results) if name in names}
