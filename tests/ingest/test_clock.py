"""Clock records: when ingest says that time has passed."""

import asyncio
import logging

import pytest

from stream_app.formats.frames import decode_frame
from stream_app.ingest import ingest as ingest_module
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.ports.records import Batch
from stream_app.sources.registry import OPERATORS, SESSIONS

NOW_MS = 1_795_500_000_000
QUARTER = NOW_MS // 900_000
PARTITIONS = 3


class Appender:
    """A broker whose clock is `ahead_ms` of ours."""

    def __init__(self):
        self.ahead_ms, self.now_s, self.records = 0, NOW_MS / 1000, []

    async def start(self):
        pass

    async def stop(self):
        pass

    async def partitions(self, topic):
        return 1

    async def append(self, records):
        self.records += [(at, value) for at, some in records.items() for _, value, _ in some]
        return int(self.now_s * 1000) + self.ahead_ms

    def clocks(self):
        """(partition, quarter) of the clock records."""
        frames = [(at[1], decode_frame(value)) for at, value in self.records if at[0] == "events"]
        return [(partition, clock) for partition, (clock, _) in frames if clock is not None]


@pytest.fixture
async def run(monkeypatch):
    """Makes a running ingest's clock with `clock` wall or stream; ended with the test."""
    monkeypatch.setattr(ingest_module, "_CLOCK_POLL_S", 0.001)
    tasks = []

    async def make(*, stream):
        appender = Appender()
        sources = {"charging.sessions": SESSIONS, "crm.operators": OPERATORS}
        conf = IngestConf(sources, "events", PARTITIONS, "dead-letters", {}, 13, stream, 30_000)
        ingest = Ingest(conf, appender, lambda: appender.now_s)
        await ingest.start()
        tasks.append(asyncio.create_task(ingest.run_clock()))
        return appender, ingest

    yield make
    for task in tasks:
        assert not task.done(), task.exception()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def polled():
    """A few rounds of the clock."""
    await asyncio.sleep(0.05)


async def test_each_quarter_of_an_hour_is_written_once_to_every_partition(run):
    """Of the wall clock; one that goes back writes nothing."""
    appender, _ = await run(stream=False)
    await polled()
    everywhere = [(partition, QUARTER) for partition in range(PARTITIONS)]
    assert appender.clocks() == everywhere
    appender.now_s -= 3600
    await polled()
    assert appender.clocks() == everywhere
    appender.now_s += 3600 + 2 * 900
    await polled()
    assert appender.clocks()[PARTITIONS:] == [(partition, QUARTER + 2) for partition in range(PARTITIONS)]


@pytest.mark.parametrize(("ahead_ms", "says"), [(30_001, "-30.0 s"), (-90_000, "90.0 s")])
async def test_a_clock_that_is_off_the_brokers_writes_none_and_says_so_once(run, ahead_ms, says, caplog):
    """Whichever is wrong; mended, it goes on."""
    caplog.set_level(logging.ERROR)
    appender, _ = await run(stream=False)
    await polled()
    appender.ahead_ms, before = ahead_ms, len(appender.clocks())
    appender.now_s += 900
    await polled()
    assert len(appender.clocks()) == before
    assert caplog.text.count(f"this machine's clock is {says} off the broker's: it moves no time") == 1
    appender.ahead_ms = 30_000
    await polled()
    assert appender.clocks()[before:] == [(partition, QUARTER + 1) for partition in range(PARTITIONS)]
    appender.ahead_ms = ahead_ms
    appender.now_s += 900
    await polled()
    assert caplog.text.count("off the broker's") == 2


async def test_stream_time_is_the_highest_event_time_of_usable_records(run):
    """Whatever their status; nothing before the first, nothing by records without time or of no use."""
    appender, ingest = await run(stream=True)
    appender.ahead_ms = 10**9  # no matter

    async def take(topic, *values):
        batch = Batch([None] * len(values), list(values), list(range(len(values))), [0] * len(values), len(values))
        await ingest.take(topic, 0, [batch])
        await polled()

    def session(time_ms, status="ACTIVE"):
        return b'{"session_id":"s","operator_id":"M1","status":"%s","started_at":%d}' % (status.encode(), time_ms)

    await take("crm.operators", b'{"operator_id":"M1","timezone":"UTC","currency":"EUR"}')
    await take("charging.sessions", session(NOW_MS + 2 * 86_400_000), session(NOW_MS, "NONSENSE"), b"{")
    assert appender.clocks() == []
    await take("charging.sessions", session(NOW_MS - 86_400_000), session(NOW_MS - 2 * 86_400_000))
    assert appender.clocks() == [(partition, QUARTER - 96) for partition in range(PARTITIONS)]
    await take("charging.sessions", session(NOW_MS - 86_400_000 - 1))
    assert len(appender.clocks()) == PARTITIONS
    await take("charging.sessions", session(NOW_MS, "INVALID"))
    assert appender.clocks()[PARTITIONS:] == [(partition, QUARTER) for partition in range(PARTITIONS)]
