"""What aiokafka logs while a broker is away."""

import asyncio
import gc
import logging
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, ProducerFenced
from mode.utils.logging import DefaultFormatter

from stream_app.clients import waiting
from stream_app.clients.waiting import until_kafka_answers
from stream_app.kafka import logs
from stream_app.kafka.logs import RateLimitedLog


@pytest.fixture
def lines():
    """(the time, what passed) of a logger with the filter."""
    now, passed = [100.0], []
    logger, handler = logging.getLogger("seldom"), logging.Handler()
    seldom = RateLimitedLog(10, 4, lambda: now[0])
    handler.emit = lambda record: passed.append(record.getMessage())
    logger.addFilter(seldom)
    logger.addHandler(handler)
    yield now, passed, logger
    logger.removeFilter(seldom)
    logger.removeHandler(handler)


def test_one_line_of_a_place_passes_and_the_next_tells_how_many_did_not(lines):
    now, passed, logger = lines
    for second in (0, 1, 9.9, 10, 11, 25):
        now[0] = 100.0 + second
        logger.warning("no broker after %s s", second)
    assert passed == [
        "no broker after 0 s",
        "no broker after 10 s (and 2 more in 10 s)",
        "no broker after 25 s (and 1 more in 15 s)",
    ]


def test_other_places_and_other_levels_are_said_at_once(lines):
    _, passed, logger = lines
    for level in (logging.WARNING, logging.ERROR):
        logger.log(level, "no broker")
    logger.error("another place")
    assert passed == ["no broker", "no broker", "another place"]


def test_lines_of_all_places_together_are_limited(lines):
    now, passed, logger = lines
    for at in (100.0, 105.0, 110.0):
        now[0] = at
        for place in range(6):
            line = "\n" * place + "logger.warning('place %d', place)"
            exec(compile(line, "places", "exec"), {"logger": logger, "place": place})  # a line of its own for each
    assert [each.partition(" (")[0] for each in passed] == [f"place {n}" for n in (0, 1, 2, 3, 0, 1, 2, 3)]


def test_a_line_that_tells_of_others_can_be_formatted_by_faust(lines):
    """Its handler takes arguments that are no tuple for one argument."""
    now, _, logger = lines
    shown = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(DefaultFormatter("%(message)s").format(record))
    logger.addHandler(handler)
    for second in (0, 1, 11):
        now[0] = 100.0 + second
        logger.warning("no broker after %s s", second)
    logger.removeHandler(handler)
    assert shown[-1] == "no broker after 11 s (and 1 more in 11 s)"


async def test_what_nobody_asked_a_future_for_is_said_unless_kafka_refused_it(caplog):
    """Errors of Kafka's were told to who sent or committed."""
    logs.drop_what_was_told()
    try:
        for error in (ProducerFenced(), ValueError("ours")):
            asyncio.get_running_loop().create_future().set_exception(error)
            gc.collect()
    finally:
        logging.getLogger("asyncio").removeFilter(logs._TOLD_BEFORE)
    assert [record.exc_info[0] for record in caplog.records if "never retrieved" in record.getMessage()] == [ValueError]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test may add to, as `until_kafka_answers` reads them."""
    at = [0.0]
    monkeypatch.setattr(waiting, "_now_s", lambda: at[0])
    monkeypatch.setattr(waiting, "_FIRST_S", 0.001)
    monkeypatch.setattr(waiting, "_LARGEST_S", 0.001)
    monkeypatch.setattr(waiting, "_waiting", {})
    return at


async def test_all_who_wait_for_the_same_are_told_in_two_lines(clock, caplog):
    """However many partitions they are, and whichever comes back first."""
    back = [False] * 8

    async def ask(number):
        if not back[number]:
            raise KafkaConnectionError("away")
        return number

    waiters = [asyncio.create_task(until_kafka_answers(lambda n=n: ask(n), "transactions")) for n in range(8)]
    for number in range(8):
        await asyncio.sleep(0.01)
        assert len(caplog.records) == 1
        back[number] = True
        assert await waiters[number] == number
    assert [record.getMessage() for record in caplog.records] == [
        "transactions: Kafka is waited for (KafkaConnectionError: away)",
        "transactions: Kafka answers again",
    ]


async def test_a_kafka_that_comes_and_goes_is_told_at_most_twice_in_a_minute(clock, caplog):
    """And one that stays away is told, also where it answered for a moment just before."""
    answers = [True]

    async def ask():
        answers[0] = not answers[0]
        if answers[0]:
            return 1
        raise KafkaConnectionError("away")

    for second in range(60):
        clock[0] = float(second)
        assert await until_kafka_answers(ask, "appends") == 1
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "appends: Kafka is waited for", "appends: Kafka answers again",
    ] * 2  # fmt: skip

    async def away():
        raise KafkaConnectionError("away")

    caplog.clear()
    waiter = asyncio.create_task(until_kafka_answers(away, "appends"))
    await asyncio.sleep(0.02)
    clock[0] = 59.9
    await asyncio.sleep(0.02)
    assert not caplog.records
    clock[0] = 60.1
    await asyncio.sleep(0.02)
    assert len(caplog.records) == 1
    waiter.cancel()


async def test_a_broker_that_is_away_is_told_once(caplog):
    """A real client of a port where nobody listens."""
    filters = {name: list(logging.getLogger(name).filters) for name in logging.root.manager.loggerDict}
    logs.install(60, 8)
    try:
        for _ in range(5):
            producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9", retry_backoff_ms=20)
            with suppress(KafkaConnectionError):
                await asyncio.wait_for(producer.start(), 60)
            await producer.stop()
    finally:
        for name, before in filters.items():
            logging.getLogger(name).filters[:] = before
    said = [record for record in caplog.records if "Unable connect" in record.getMessage()]
    assert len(said) == 1
