"""The state comes from the changelog alone."""

import json
import time
from pathlib import Path

import pytest

from stream_app.access.kafka import KafkaAccess
from stream_app.kafka.replay import replay
from stream_app.partition.store import Store, new_cache
from tests.support.deployment import Deployment

GROUP = "crm-stats-ledger-1"


def _feed(deployment: Deployment) -> int:
    producer, now = deployment.producer(), int(time.time() * 1000)
    for n in range(3000):
        event = {"operator_id": f"M{n % 11}", "customer_id": f"c-{n % 97}", "version": n % 4}
        session = {**event, "session_id": f"s-{n % 900}", "status": "COMPLETED", "started_at": now - n * 7_200_000}
        producer.produce("charging.sessions", json.dumps(session))
        producer.produce("crm.customer-groups", json.dumps({**event, "group_ids": [f"g-{n % 5}"]}))
    producer.flush(20)
    return int(time.time() * 1000)


def _rows(path: Path, partition: int) -> dict[bytes, bytes]:
    store = Store(path / str(partition), new_cache(8))
    try:
        return {key: value for key, value in store.scan(b"") if key != b"l"}
    finally:
        store.close()


@pytest.mark.usefixtures("whole_batches")
async def test_the_state_recovered_on_an_empty_disk_equals_the_state_before_row_by_row(deploy, tmp_path, observe):
    """All rows of all partitions, read from RocksDB as the worker left them, and from the changelog. That keeps deletions for a week."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.wait_as_of(_feed(deployment), names=["worker-1"])
    assert deployment.stop("worker-1") == 0
    changelog = f"{GROUP}-ledger-changelog"
    assert (await observe(deployment.kafka).retention([changelog]))[changelog].tombstones_ms == 7 * 24 * 3_600_000
    before = {p: _rows(deployment.run.state / "worker-1" / GROUP, p) for p in range(8)}
    assert sum(map(len, before.values())) > 2000

    stores = {p: Store(tmp_path / "new" / str(p), new_cache(8)) for p in range(8)}
    (tmp_path / "new").mkdir(exist_ok=True)
    await replay(KafkaAccess(deployment.kafka), changelog, stores)
    for store in stores.values():
        store.close()
    after = {p: _rows(tmp_path / "new", p) for p in range(8)}
    assert after == before
