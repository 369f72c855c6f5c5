"""An import from end to end: read, map, send, count.

Invariant: rows go out in the file's order and at most `BATCH_ROWS` of them are held; a row that is counted as taken was acknowledged.
"""

from collections.abc import Callable

from stream_app.importer.mapping import Mapping, Record, Refusal
from stream_app.importer.read import Reader
from stream_app.importer.send import Sender
from stream_app.importer.tally import Tally

BATCH_ROWS = 1000


async def run(
    reader: Reader, mapping: Mapping, sender: Sender, progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Import all rows; `progress` is told the bytes read so far. `Raises` FileError, SendError."""
    tally = Tally()
    announcements = mapping.announcements()
    await sender.send(announcements)
    tally.add(announcements)
    taken: list[list[Record]] = []

    async def flush() -> None:
        await sender.send([record for records in taken for record in records])
        for records in taken:
            tally.take(records)
        taken.clear()
        progress(reader.position())

    for line, cells in reader.rows():
        result = cells if isinstance(cells, Refusal) else mapping.records(cells)
        if isinstance(result, Refusal):
            tally.refuse(line, result)
        else:
            taken.append(result)
            if len(taken) == BATCH_ROWS:
                await flush()
    await flush()
    return tally
