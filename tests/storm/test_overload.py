"""The input of an overload follows what the worker takes, and tells what Kafka had taken by when."""

import json
import math
import time
from collections import defaultdict

from tests.storm.overload import Look, per_second
from tests.storm.payments import OPERATORS, PARTITIONS, Payments
from tests.support.waiting import wait_until


class TakesAll:
    """A producer whose records are taken when it is polled. `taken`: of each (partition, operator, payment, version, amount received)."""

    def __init__(self):
        self.taken = []
        self._reports = []

    def produce(self, topic, value, *, partition, on_delivery):
        paid = json.loads(value)
        names = ("operator_id", "payment_id", "version", "amount_received")
        self.taken.append((partition, *(paid[name] for name in names)))
        self._reports.append(on_delivery)

    def poll(self, _):
        reports, self._reports = self._reports, []
        for report in reports:
            if report is not None:
                report(None, None)

    def flush(self, _):
        self.poll(0)
        return 0


def test_each_payment_comes_again_one_cent_dearer_in_the_partition_of_its_operator():
    producer = TakesAll()
    with Payments(producer) as payments:
        payments.per_second = 100_000.0
        wait_until("payments come again", lambda: payments.sent > 250_000)
    assert len(producer.taken) == payments.sent
    partitions, versions = {}, defaultdict(list)
    for partition, operator, payment, *version in producer.taken:
        assert partitions.setdefault(operator, partition) == partition
        versions[payment].append(version)
    assert partitions.keys() == set(OPERATORS)
    assert set(partitions.values()) == set(range(PARTITIONS))
    assert all(found == [[n, n + 1] for n in range(len(found))] for found in versions.values())
    assert max(map(len, versions.values())) == math.ceil(payments.sent / len(versions)) > 1


def test_no_more_is_said_to_be_taken_than_was():
    producer = TakesAll()
    with Payments(producer) as payments:
        payments.per_second = 20_000.0
        wait_until("payments are taken", lambda: payments.taken(OPERATORS[0], 2**62) > 100)
    sent = sum(operator == OPERATORS[0] for _, operator, *_ in producer.taken)
    assert 100 < payments.taken(OPERATORS[0], 2**62) <= sent < payments.taken(OPERATORS[0], 2**62) + 20
    assert payments.taken(OPERATORS[0], int(time.time() * 1000) - 3_600_000) == 0
    assert payments.failed == []


def _looks(taken, waiting):
    return [Look(float(n), waiting + taken * n, taken * n, 30.0, 300.0, 0) for n in range(40)]


def test_more_is_sent_than_is_taken_until_enough_waits():
    assert per_second(_looks(5000, 0), 0.0) > 5000
    assert round(per_second(_looks(5000, 25 * 5000), 0.0)) == 5000
    assert per_second(_looks(5000, 25 * 5000), 0.5) > 5000
    assert round(per_second(_looks(5000, 60 * 5000), 1.0)) == 5000
    assert per_second(_looks(5000, 90 * 5000), 1.0) < 5000


def test_the_rate_has_bounds():
    assert per_second(_looks(0, 5000), 0.0) == per_second(_looks(100, 0), 0.0) == 2000
    assert per_second(_looks(90_000, 0), 1.0) == 100_000
    assert per_second(_looks(20_000, 600 * 20_000), 0.0) == 10_000
