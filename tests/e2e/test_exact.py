"""Everything at once, end to end: two workers that are killed or stopped on the way, and four outputs that equal the oracle to the cent."""

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from stream_app.access.kafka import KafkaAccess
from stream_app.observing.observer import Observer
from tables.ledger import changelog
from tests.support.deployment import Deployment
from tests.support.exactness import check, deployed
from tests.support.kafka import flush
from tests.support.live import produce
from tests.support.scenario import build
from tests.support.waiting import wait_until

ENTITIES = 6000


def _send_in_parts(deployment: Deployment, seed: int, parts: int, between: Callable[[int], None]) -> int:
    """Send the scenario, with something happening after each part; when all was taken, in epoch milliseconds."""
    sends = build(seed, ENTITIES, int(time.time() * 1000))
    producer = deployment.producer()
    for part in range(parts):
        for send in sends[len(sends) * part // parts : len(sends) * (part + 1) // parts]:
            produce(producer, send)
        between(part)
    flush(producer)
    return int(time.time() * 1000)


@pytest.mark.parametrize("seed", [1])
def test_all_outputs_equal_the_oracle_though_a_worker_is_killed_ten_times(deploy, seed):
    """kill -9 of one of the two, ten times, while records arrive."""
    deployment, rng = deployed(deploy), random.Random(seed)

    def kill_one(part: int) -> None:
        number = rng.choice((1, 2))
        time.sleep(rng.uniform(0.5, 3))
        deployment.kill(f"worker-{number}")
        time.sleep(rng.uniform(0, 1))
        deployment.start_worker(number)
        if part % 3 == 2:
            deployment.wait_ready(number)

    check(deployment, _send_in_parts(deployment, seed, 10, kill_one))


def test_all_outputs_equal_the_oracle_though_a_worker_is_stopped_past_its_session_and_goes_on(deploy):
    """A zombie: SIGSTOP until the group has given its partitions away, then SIGCONT."""
    deployment = deployed(deploy)

    def stop_one(part: int) -> None:
        if part == 1:
            process = deployment.process("worker-1")
            process.send_signal(signal.SIGSTOP)
            time.sleep(14)  # the session times out after 6 s
            process.send_signal(signal.SIGCONT)
            time.sleep(3)
        elif deployment.process("worker-1").poll() is not None:
            deployment.start_worker(1)  # it may have ended with an error: what matters is that nothing counts twice

    sent_ms = _send_in_parts(deployment, 2, 4, stop_one)
    if deployment.process("worker-1").poll() is not None:
        deployment.start_worker(1)
    check(deployment, sent_ms)


def test_all_outputs_equal_the_oracle_though_a_worker_stands_still_past_its_transactions(deploy):
    """SIGSTOP amid a transaction, until Kafka has aborted it, then SIGCONT: nobody else has come, so the worker goes on with its partitions."""
    deployment = deployed(deploy, transaction_timeout_ms="3000", session_timeout_ms="45000")
    process = deployment.process("worker-1")

    def stop_one(part: int) -> None:
        if part != 1:
            return
        wait_until("it stands still amid a transaction", lambda: _is_stopped_amid_a_transaction(deployment, process))
        wait_until("Kafka has aborted it", lambda: not _open_transactions(deployment))
        process.send_signal(signal.SIGCONT)

    sent_ms = _send_in_parts(deployment, 3, 3, stop_one)
    check(deployment, sent_ms)
    assert "the transaction is lost" in deployment.log("worker-1")
    assert "are worked on again" in deployment.log("worker-1")


def _is_stopped_amid_a_transaction(deployment: Deployment, process: "subprocess.Popen[bytes]") -> bool:
    """Stop the worker; it goes on where it had none open, beside those of the other one, which end by themselves."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    if found := _open_transactions(deployment):
        time.sleep(1)
        if found & _open_transactions(
            deployment
        ):  # on a machine with much to do, a commit of the other one may take as long
            return True
    process.send_signal(signal.SIGCONT)
    time.sleep(0.05)
    return False


def _open_transactions(deployment: Deployment) -> set[tuple[int, int]]:
    """Transactions to the changelog that have been open for more than the time of a commit: producer id and first offset."""

    async def ask() -> set[tuple[int, int]]:
        observer = Observer(KafkaAccess(deployment.kafka))
        topic, limit_ms = changelog("crm-stats-ledger-1"), deployment.now_ms() - 400
        try:
            found = [await observer.open_transactions((topic, partition)) for partition in range(deployment.partitions)]
        finally:
            await observer.close()
        return {(each.producer_id, each.start_offset) for some in found for each in some if each.written_ms < limit_ms}

    return asyncio.run(ask())
