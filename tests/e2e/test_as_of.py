"""As-of is never ahead of the truth: a record appended before an as-of is in the result that carries it."""

import json
import time
from bisect import bisect_left

from tests.support.feed import OPERATORS, Feed, epoch_ms
from tests.support.waiting import wait_until

SECONDS = 40


def test_a_record_appended_before_an_as_of_is_in_the_result_that_carries_it(deploy):
    """Numbered payments through a kill and two rebalances, read all the time; as-of first, then the document, as the contract says."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.start_worker(2)
    deployment.wait_ready(1)
    deployment.wait_ready(2)
    feed = Feed(deployment)
    feed.start()
    redis, checked, moved = deployment.redis, 0, set()
    try:
        started, killed, again = time.monotonic(), False, False
        while (passed := time.monotonic() - started) < SECONDS:
            if passed > 8 and not killed:
                deployment.kill("worker-2")
                killed = True
            if passed > 22 and not again:
                deployment.start_worker(2)
                again = True
            for operator in OPERATORS:
                as_of = redis.hgetall("crm:as-of")
                document = redis.get(f"crm:{{{operator}}}:monthly:ALL")
                if document is None:
                    continue
                data = json.loads(document)
                time_ = as_of.get(str(data["partition"]).encode())
                if time_ is None:
                    continue
                counted = sum(month["paymentCount"] for month in data["months"])
                taken_before = bisect_left(list(feed.taken_ms[operator]), epoch_ms(time_.decode()))
                assert counted >= taken_before, (operator, counted, taken_before, time_, data["version"])
                checked += 1
                moved.add(time_)
            time.sleep(0.01)
    finally:
        feed.ended.set()
        feed.join()
    assert checked > 1000
    assert len(moved) > 50, "as-of must move on"
    total = sum(map(len, feed.taken_ms.values()))
    deployment.wait_as_of(int(time.time() * 1000))

    def counted_all() -> bool:
        documents = [json.loads(redis.get(f"crm:{{{operator}}}:monthly:ALL") or b"{}") for operator in OPERATORS]
        return sum(month["paymentCount"] for d in documents for month in d["months"]) == total

    wait_until("all payments are counted once", counted_all)
