"""An import from end to end: read, map, send, count.

Invariant: rows go out in the file's order and at most `BATCH_ROWS` of them are held; a row that is counted as taken was acknowledged.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from stream_app.importer.mapping import SourceRecord
from stream_app.importer.read import Reader
from stream_app.importer.send import Sender
from stream_app.importer.tally import Tally
from stream_app.sources.maps.values import Refusal

BATCH_ROWS = 1000


class Rules(Protocol):
    """Makes records of rows: a map, or the mapping of CDRs."""

    def announcements(self) -> list[SourceRecord]:
        """Records to send before those of rows."""

    def records(self, row: Sequence[str]) -> list[SourceRecord] | Refusal:
        """The records of a row, or why it is refused."""

    @property
    def left_out(self) -> Sequence[Refusal]:
        """What of the last row that was taken is not in its records, and why."""


async def run(
    reader: Reader,
    mapping: Rules,
    sender: Sender,
    progress: Callable[[int], None] = lambda _: None,
    done: Callable[[int], None] = lambda _: None,
    skip: int = 0,
) -> Tally:
    """Import all rows but the first `skip`. `progress` is told the bytes read so far, `done` how many of the file's rows need not be sent again.

    `Raises` FileError, SendError.
    """
    tally = Tally()
    announcements = mapping.announcements()
    await sender.send(announcements)
    tally.add(announcements)
    taken: list[list[SourceRecord]] = []

    async def flush() -> None:
        await sender.send([record for records in taken for record in records])
        for records in taken:
            tally.take(records)
        taken.clear()
        done(tally.skipped + tally.read)
        progress(reader.position())

    rows = reader.rows()
    tally.skipped = sum(1 for _ in islice(rows, skip))
    for line, cells in rows:
        result = cells if isinstance(cells, Refusal) else mapping.records(cells)
        if isinstance(result, Refusal):
            tally.refuse(line, result)
        else:
            taken.append(result)
            tally.leave_out(line, mapping.left_out)
            if len(taken) == BATCH_ROWS:
                await flush()
    await flush()
    return tally
