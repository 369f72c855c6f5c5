"""Clock records: when ingest says that time has passed."""

import asyncio
import logging

import pytest

from stream_app.formats.frames import decode_frame, probe_frame
from stream_app.ingest import broker_clock
from stream_app.ingest import ingest as ingest_module
from stream_app.ingest.ingest import Ingest, IngestConf, NotTakenError
from stream_app.ports.records import Batch
from stream_app.sources.registry import OPERATORS, SESSIONS

NOW_MS = 1_795_500_000_000
QUARTER = NOW_MS // 900_000
PARTITIONS = 3
DAY_S = 86_400


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

    def probes(self):
        """How often it was asked for its time."""
        return self.records.count((("events", 0), probe_frame()))

    def taken(self):
        """All else."""
        return [(at, value) for at, value in self.records if value != probe_frame() and at[0] == "events"]


def new_ingest(appender, *, stream):
    sources = {"charging.sessions": SESSIONS, "crm.operators": OPERATORS}
    conf = IngestConf(sources, "events", PARTITIONS, "dead-letters", {}, 13, stream, 30_000)
    return Ingest(conf, appender, lambda: appender.now_s)


@pytest.fixture
async def run(monkeypatch):
    """Makes a running ingest's clock with `clock` wall or stream; ended with the test."""
    monkeypatch.setattr(ingest_module, "_CLOCK_POLL_S", 0.001)
    monkeypatch.setattr(broker_clock, "_AGAIN_S", 0.001)
    tasks = []

    async def make(*, stream):
        appender = Appender()
        ingest = new_ingest(appender, stream=stream)
        await ingest.start()
        if not stream:
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
    assert caplog.text.count(f"this machine's clock is {says} off the broker's: this worker takes no records in") == 1
    appender.ahead_ms = 30_000
    await polled()
    assert appender.clocks()[before:] == [(partition, QUARTER + 1) for partition in range(PARTITIONS)]
    appender.ahead_ms = ahead_ms
    appender.now_s += 900
    await polled()
    assert caplog.text.count("off the broker's") == 2


def session(time_ms, status="ACTIVE"):
    return b'{"session_id":"s","operator_id":"M1","status":"%s","started_at":%d}' % (status.encode(), time_ms)


async def take(ingest, topic, *values):
    await ingest.take(
        topic, 0, [Batch([None] * len(values), list(values), list(range(len(values))), [0] * len(values), len(values))]
    )


@pytest.mark.parametrize("stream", [False, True], ids=["wall", "stream"])
async def test_a_worker_whose_clock_is_two_days_slow_takes_nothing_in(run, stream, caplog):
    """Its records would all lie in the future. Mended, it takes them."""
    caplog.set_level(logging.ERROR)
    appender, ingest = await run(stream=stream)
    appender.now_s, appender.ahead_ms = appender.now_s - 2 * DAY_S, 2 * DAY_S * 1000
    taking = asyncio.create_task(take(ingest, "charging.sessions", session(NOW_MS)))
    await polled()
    assert not taking.done()
    assert [at for at, _ in appender.records if at[0] == "dead-letters"] == []
    assert appender.taken() == []
    assert (
        "this machine's clock is -172800.0 s off the broker's: this worker takes no records in, and moves no time"
        in caplog.text
    )
    appender.now_s, appender.ahead_ms = appender.now_s + 2 * DAY_S, 0
    await asyncio.wait_for(taking, 60)
    assert [at for at, _ in appender.records if at[0] == "dead-letters"] == []
    async with asyncio.timeout(5):
        while len(appender.taken()) < 1 + PARTITIONS:  # noqa: ASYNC110  # the clock tells nobody
            await asyncio.sleep(0.001)
    assert len(appender.taken()) == 1 + PARTITIONS


async def test_a_clock_that_is_set_while_a_worker_runs_is_seen_before_the_next_record(run):
    """And one that stays right is not looked at with every record."""
    appender, ingest = await run(stream=True)
    for _ in range(3):
        await take(ingest, "charging.sessions", session(NOW_MS))
    assert appender.probes() == 1
    appender.now_s, appender.ahead_ms = appender.now_s - 2 * DAY_S, 2 * DAY_S * 1000
    before = appender.taken()
    taking = asyncio.create_task(take(ingest, "charging.sessions", session(NOW_MS)))
    await polled()
    assert appender.taken() == before
    ingest.refuse()
    with pytest.raises(NotTakenError):
        await taking


@pytest.mark.parametrize("before", [True, False])
async def test_a_pause_while_the_broker_is_asked_is_no_wrong_clock(before, caplog):
    """Of the worker or the broker, before the broker has looked at its clock or behind that."""

    class Paused(Appender):
        async def append(self, records):
            self.now_s += 40 if before else 0
            told_ms = await super().append(records)
            self.now_s += 0 if before else 40
            return told_ms

    appender = Paused()
    ingest = new_ingest(appender, stream=False)
    await ingest.start()
    await take(ingest, "charging.sessions", session(NOW_MS))
    assert len(appender.taken()) == 1
    assert appender.probes() == 1
    assert not caplog.records


async def test_a_wrong_clock_asks_the_broker_ever_more_seldom(monkeypatch):
    """The events topic is kept for ever: at most as many empty frames as clock records of a right clock, some 100 a day."""
    passed = [0.0]
    monkeypatch.setattr(broker_clock.time, "monotonic", lambda: passed[0])
    asked = []

    async def ask():
        asked.append(passed[0])
        return NOW_MS

    clock = broker_clock.BrokerClock(ask, 30_000, lambda: NOW_MS / 1000 - 2 * DAY_S + passed[0])
    while passed[0] < DAY_S:
        assert await clock.now_ms() is None
        passed[0] += 0.5
    assert len(asked) <= 110
    assert asked[-1] - asked[-2] <= 901


async def test_stream_time_is_the_highest_event_time_of_usable_records(run):
    """Whatever their status; nothing before the first, nothing by records without time or of no use."""
    appender, ingest = await run(stream=True)
    await take(ingest, "crm.operators", b'{"operator_id":"M1","timezone":"UTC","currency":"EUR"}')
    await take(ingest, "charging.sessions", session(NOW_MS + 2 * 86_400_000), session(NOW_MS, "NONSENSE"), b"{")
    assert appender.clocks() == []
    await take(ingest, "charging.sessions", session(NOW_MS - 86_400_000), session(NOW_MS - 2 * 86_400_000))
    assert appender.clocks() == [(partition, QUARTER - 96) for partition in range(PARTITIONS)]
    await take(ingest, "charging.sessions", session(NOW_MS - 86_400_000 - 1))
    assert len(appender.clocks()) == PARTITIONS
    await take(ingest, "charging.sessions", session(NOW_MS, "INVALID"))
    assert appender.clocks()[PARTITIONS:] == [(partition, QUARTER) for partition in range(PARTITIONS)]


async def test_stream_time_moves_with_the_records_that_move_it():
    """In the same append, behind them: a worker that ends right after it, with its offsets committed, leaves no time behind. It is kept over restarts."""
    appender = Appender()
    for ms in (NOW_MS - 86_400_000, NOW_MS, NOW_MS - 86_400_000):  # each by a worker of its own
        ingest, before = new_ingest(appender, stream=True), len(appender.taken())
        await ingest.start()
        await take(ingest, "charging.sessions", session(ms))
        records = appender.taken()[before:]
        (event,) = [index for index, (_, value) in enumerate(records) if decode_frame(value)[1]]
        same = [decode_frame(value)[0] for at, value in records[event + 1 :] if at == records[event][0]]
        assert same == [ms // 900_000]
    assert max(clock for _, clock in appender.clocks()) == QUARTER
    assert {partition for partition, clock in appender.clocks() if clock == QUARTER} == set(range(PARTITIONS))


async def test_events_that_kafka_did_not_take_move_no_time():
    """They are taken again."""
    appender = Appender()
    ingest = new_ingest(appender, stream=True)
    await ingest.start()
    await take(ingest, "crm.operators", b'{"operator_id":"M1","timezone":"UTC","currency":"EUR"}')
    working = appender.append

    async def fails(_):
        raise ConnectionError

    appender.append = fails
    with pytest.raises(ConnectionError):
        await take(ingest, "charging.sessions", session(NOW_MS))
    appender.append = working
    await take(ingest, "charging.sessions", session(NOW_MS))
    assert appender.clocks() == [(partition, QUARTER) for partition in range(PARTITIONS)]
