"""Sums beyond 64 bits: what a record may hold, any number of records may add up to."""

import asyncio
import json

from stream_app.domain.tables import MONTHLY
from stream_app.partition.frozen_rows import CommittedRows
from tests.oracle import Clock, Record, truth
from tests.simulation.compare import differences
from tests.simulation.world import EVENTS_PARTITIONS, World
from tests.support.strategies import NOW_MS

LARGEST = 2**53 - 1
PAYMENTS = 2060  # from 2049 on, payments of the largest amount are beyond 64 bits in all


def _record(topic: str, offset: int, **fields: object) -> Record:
    return Record(topic, 0, offset, NOW_MS, None, json.dumps({"operator_id": "M1"} | fields).encode())


def _payment(offset: int, number: int, **fields: object) -> Record:
    whole = {"payment_id": f"p{number}", "status": "SUCCEEDED", "currency": "EUR", "paid_at": NOW_MS}
    amounts = {"amount_received": LARGEST, "amount_discount": LARGEST}
    return _record("charging.payments", offset, customer_id=f"c{number % 2}", **whole, **amounts, **fields)


def test_sums_are_exact_whatever_their_size():
    """In the cells of all groups and in the rows of customers, which move between groups; and back below 64 bits."""
    paid = [_payment(number, number) for number in range(PAYMENTS)]
    member = _record("crm.customer-groups", 0, customer_id="c0", group_ids=["vip"])
    back = [
        _payment(PAYMENTS, 7, version=1, amount_refunded=LARGEST - 1),
        _record("crm.customer-groups", 1, customer_id="c0", group_ids=["fleet"], version=1),
        _record("crm.operators", 0, timezone="Asia/Tokyo", currency="JPY"),
        *[_payment(PAYMENTS + 1 + number, number, version=1, session_id="s") for number in range(20, 40)],
    ]
    gone = [
        Record("charging.payments", 0, 9000 + n, NOW_MS, None, (record.value or b"").replace(b"SUCCEEDED", b"FAILED"))
        for n, record in enumerate(paid[:-1])
    ]

    async def play() -> None:
        world = World(1, wall_now_ms=NOW_MS)
        fed: list[Record] = []
        for step in ([*paid, member], [*paid, *back], gone):
            await world.feed([Clock(NOW_MS), *step])
            for partition in range(EVENTS_PARTITIONS):
                await world.run(partition, len(world.kafka.events[partition]))
            fed += step
            views = [CommittedRows(partition, disk) for partition, disk in enumerate(world.disks)]
            expected = truth(fed, now=NOW_MS)
            assert differences(expected, views) == []
            assert not expected.bad
            world.check_topics(views)
            sums = [
                cell.payments["EUR"][0]
                for view in views
                for key, cell in view.scan_cells(MONTHLY, "M1")
                if key[1] == "ALL"
            ]
            assert (max(sums) > 2**64) == (step is not gone)

    asyncio.run(play())
