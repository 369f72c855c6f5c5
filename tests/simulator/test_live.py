"""Live traffic: every record of now, usable, at its pace."""

import asyncio
import json
import time
from collections import Counter

import pytest

from stream_app.simulator.live import Live
from stream_app.simulator.network import build
from stream_app.simulator.plan import History
from stream_app.simulator.run import send_history, send_live
from stream_app.sources import decode, registry
from tests.simulator.test_plan import NOW_MS, instant

STEP_MS = 200


def asked(count, seed=1, began_ms=NOW_MS):
    """(time of asking, record), five a second."""
    live = Live(build(seed, 6, 60), began_ms)
    return [(now, live.next(now)) for now in range(NOW_MS, NOW_MS + count * STEP_MS, STEP_MS)]


def test_the_same_questions_get_the_same_answers():
    assert asked(500) == asked(500)
    assert asked(500) != asked(500, seed=2)


def test_every_record_can_be_used_and_none_is_of_the_future():
    for now, record in asked(5000):
        decoded = decode(record.topic, [record.value], [0], [0], 0, now_ms=now, ocpi_operators={})
        assert decoded.rejections == []
        value = json.loads(record.value)
        for name in ("started_at", "ended_at", "paid_at", "end_date_time"):
            if name in value and value["status" if "status" in value else name] != "ACTIVE":
                assert instant(value[name]) * 1000 <= now
                assert instant(value[name]) * 1000 > now - 120_000


def test_visits_come_to_an_end():
    records = [record for _, record in asked(5000)]
    states = Counter(json.loads(r.value)["status"] for r in records if r.topic is registry.SESSIONS)
    assert states["COMPLETED"] > 0.8 * states["ACTIVE"]
    assert states["INVALID"]
    payments = [json.loads(r.value) for r in records if r.topic is registry.PAYMENTS]
    assert len(payments) > 0.8 * states["COMPLETED"]
    assert any(p["amount_refunded"] for p in payments)
    assert {registry.CDRS, registry.CUSTOMER_GROUPS} <= {r.topic for r in records}


def test_ids_meet_neither_those_of_the_history_nor_of_another_run():
    def ids(records):
        return {json.loads(r.value)["session_id"] for r in records if r.topic is registry.SESSIONS}

    network = build(1, 6, 60)
    history = ids(r for day in History(network, 1, NOW_MS) for r in day)
    one, other = (ids(record for _, record in asked(500, began_ms=began)) for began in (NOW_MS, NOW_MS + 1))
    assert len(one) > 100
    assert not one & other
    assert not one & history


class Collector:
    """A sender that notes when it was given what; `slow` seconds for its first batch."""

    def __init__(self, slow=0.0):
        self.batches, self._slow = [], slow

    async def send(self, some):
        self.batches.append((time.monotonic(), len(some)))
        pause, self._slow = self._slow, 0.0
        await asyncio.sleep(pause)
        return int(time.time() * 1000)

    @property
    def count(self):
        return sum(count for _, count in self.batches)


@pytest.mark.parametrize("rate", [5, 400])
async def test_the_rate_is_kept(rate):
    sender, seconds = Collector(), 2.0
    sent = await send_live(Live(build(1, 1, 20), NOW_MS), sender, rate, seconds, lambda _: None)
    assert sent == sender.count
    assert 0.7 * rate * seconds <= sent <= rate * seconds


async def test_time_that_was_lost_is_not_made_up_for():
    sender = Collector(slow=2.0)
    await send_live(Live(build(1, 1, 20), NOW_MS), sender, 100, 3.0, lambda _: None)
    assert sender.count <= 150  # 300 were due
    assert max(count for _, count in sender.batches) <= 60


async def test_a_history_is_sent_whole_and_in_its_order():
    plan, progress, sent = History(build(1, 2, 30), 2, NOW_MS), [], []

    class Keeper:
        async def send(self, some):
            sent.extend(some)
            return 77

    result = await send_history(plan, Keeper(), lambda day, count: progress.append((day, count)))
    assert sent == [record for day in plan for record in day]
    assert result == (len(sent), 77)
    assert progress[-1] == (plan.days, len(sent))
    assert progress == sorted(progress)
