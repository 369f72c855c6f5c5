"""The cases of `make compare`, driven on a real broker and looked at by our monitor alone: its words, and its seconds against the truth.

Patience is shorter here than by default, so that it all fits into a minute; on a busy machine, where looks and words come late, it is watched for longer. How each tool beside ours does is what `make compare` shows.
"""

import asyncio
import time
from itertools import repeat

import pytest

from bench.compare.cases import CASES
from bench.compare.driver import now_ms
from bench.compare.page import case_problems
from bench.compare.reading import Reading, error
from bench.compare.run import drivers, observe
from stream_app.health.status import Limits, Status
from tests.monitor.conftest import Eyes

pytestmark = pytest.mark.alone  # a driver that gets no CPU for a second is another case than the one meant

# A look takes a second beside other work, and commits come each 1.1 s: what is unread for less than both together, with room, is young.
LIMITS = Limits(young_ms=5000, stall_ms=12_000, unassigned_ms=8000)
WARM_UP_S, OBSERVE_S, LONGER_S_MAX = 10.0, 35.0, 90.0
LOOKS_MIN = 8


@pytest.fixture(scope="module")
def seen(kafka):
    """Case -> its driver, and what was said of it."""
    with drivers(kafka, CASES) as driven:
        readings = asyncio.run(looked(kafka, driven))
    return {case.name: (case, driver, readings[driver.group]) for case, driver in driven}


async def looked(kafka, driven):
    readings = {driver.group: [] for _, driver in driven}
    eyes = Eyes(kafka, "compare-.*", limits=LIMITS)
    observing = asyncio.create_task(asyncio.to_thread(observe, driven, WARM_UP_S, OBSERVE_S))
    deadline = time.monotonic() + WARM_UP_S + OBSERVE_S + LONGER_S_MAX
    try:
        while not observing.done() or (time.monotonic() < deadline and not all(map(is_told, driven, repeat(readings)))):
            from_ms = now_ms()
            for group, row in (await eyes.look()).items():
                said = row.partitions[0] if row.partitions else row
                if row.partitions or row.status == Status.UNSUPPORTED:
                    readings[group].append(Reading(from_ms, now_ms(), said.status, said.lag_records, said.lag_seconds))
            await asyncio.sleep(0.5)
        await observing
    finally:
        await eyes.close()
    return readings


def is_told(one, readings):
    """Have there been looks enough, and was the last word of the case said?"""
    case, driver = one
    of = [reading for reading in readings[driver.group] if reading.from_ms >= driver.settled_ms]
    return len(of) > LOOKS_MIN and of[-1].word == case.right[-1]


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_the_words_are_right_and_the_seconds_true(seen, name):
    case, driver, readings = seen[name]
    assert case_problems(case, driver, readings) == [], readings
    off = error(readings, driver.truth, driver.settled_ms)
    if case.right == ("UNSUPPORTED",):
        assert off is None
    else:
        assert off.looks >= LOOKS_MIN


def test_hours_are_told_as_hours(seen):
    for name, hours in (("never", 3), ("rewound", 4)):
        _, driver, readings = seen[name]
        assert readings[-1].seconds / 3600 == pytest.approx(hours, rel=0.15), name
        assert driver.truth.ages_s(readings[-1].from_ms, readings[-1].to_ms)[-1] > 3 * 3600
