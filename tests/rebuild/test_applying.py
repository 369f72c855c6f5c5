"""What a rebuild sees of the lanes that it works with."""

import asyncio
from types import SimpleNamespace

from stream_app.rebuild.applying import Applying


async def test_nothing_is_compared_while_a_partition_is_lost():
    """What it holds would seem to be gone, and would be removed from the results topics."""
    lanes = [SimpleNamespace(view=f"of {partition}") for partition in range(2)]
    there = lanes[:1]
    settings = SimpleNamespace(events_partitions=2)
    applying = Applying(settings, settings, SimpleNamespace(open_lanes=lambda: list(there)), None, None, copies=False)
    asking = asyncio.create_task(applying.views())
    await asyncio.sleep(0.1)
    assert not asking.done()
    there.append(lanes[1])
    assert await asking == ["of 0", "of 1"]
