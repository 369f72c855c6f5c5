"""Cyclic objects don't stay in a worker whose ticks free what they allocate."""

import asyncio
import gc
import weakref
from unittest.mock import Mock

from clickhouse_driver.columns.intcolumn import UInt64Column

from stream_app import memory


def test_columns_of_blocks_that_were_written_are_freed(monkeypatch):
    """As ClickHouse's driver leaves them. Python by itself would look for them after so many allocations more."""
    monkeypatch.setattr(memory, "_CYCLES_S", 0.01)

    async def work():
        freed = asyncio.Event()
        weakref.finalize(UInt64Column(context=Mock(client_settings={})), freed.set)
        assert not freed.is_set(), "columns are not cyclic: nothing needs to be looked for"
        freeing = asyncio.create_task(memory.free_cycles())
        await asyncio.wait_for(freed.wait(), 60)
        freeing.cancel()

    before = gc.get_threshold()
    gc.set_threshold(500_000, 10, 10)
    try:
        asyncio.run(work())
    finally:
        gc.set_threshold(*before)
