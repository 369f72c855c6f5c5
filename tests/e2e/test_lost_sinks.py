"""What is lost in a sink is written again from the state, under a live worker."""

import json
import time

from clickhouse_driver.errors import ErrorCodes, ServerException

from tests.support.deployment import Deployment
from tests.support.kafka import flush
from tests.support.service import DATABASE
from tests.support.waiting import wait_until

NOW = int(time.time() * 1000)


def _feed(deployment: Deployment, count: int, first: int = 0) -> int:
    producer = deployment.producer()
    producer.produce(
        "crm.operators", json.dumps({"operator_id": "M1", "timezone": "Asia/Kathmandu", "currency": "JPY", "name": "N"})
    )
    for n in range(first, first + count):
        event = {"operator_id": f"M{n % 3}", "customer_id": f"c-{n % 7}"}
        payment = {
            **event,
            "payment_id": f"p-{n}",
            "status": "SUCCEEDED",
            "amount_received": n,
            "currency": "EUR",
            "paid_at": NOW,
        }
        session = {**event, "session_id": f"s-{n}", "status": "COMPLETED", "started_at": NOW - n * 3_600_000}
        producer.produce("charging.payments", json.dumps(payment))
        producer.produce("charging.sessions", json.dumps(session))
        producer.produce("crm.customer-groups", json.dumps({**event, "group_ids": ["vip", "大客户"]}))
    flush(producer)
    return int(time.time() * 1000)


def _documents(deployment: Deployment) -> dict[bytes, object]:
    redis = deployment.redis
    found: dict[bytes, object] = {}
    for key in redis.scan_iter("crm:{*"):
        found[key] = json.loads(redis.get(key))
    found[b"operators"] = redis.hgetall("crm:operators")
    return found


def _rows(deployment: Deployment) -> dict[str, list[tuple[object, ...]]]:
    client = deployment.clickhouse
    return {
        name: client.execute(f"SELECT * FROM {DATABASE}.{name} ORDER BY tuple(*)".replace("tuple(*)", order))
        for name, order in {
            "ads_operation_crm_monthly_current": "operator_id, group_id, stat_month, currency",
            "ads_operation_crm_charging_distri_current": "operator_id, group_id, stat_date, slot",
        }.items()
    }


def test_redis_emptied_and_restarted_empty_and_clickhouse_tables_dropped_are_filled_again(deploy):
    """Each is full again, as it was, without a restart of the worker."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.wait_as_of(_feed(deployment, 60), names=["worker-1"])
    documents, rows = _documents(deployment), _rows(deployment)
    assert len(documents) >= 3 * 7
    assert all(rows.values())

    deployment.redis.flushall()
    wait_until("Redis is full again after FLUSHALL", lambda: _documents(deployment) == documents)
    deployment.wait_as_of(int(time.time() * 1000), names=["worker-1"])

    deployment.restart_server("redis", empty=True)
    wait_until("Redis is full again after an empty restart", lambda: _documents(deployment) == documents)
    deployment.wait_as_of(int(time.time() * 1000), names=["worker-1"])

    client = deployment.clickhouse
    for name in ("ads_operation_crm_monthly", "ads_operation_crm_charging_distri"):
        client.execute(f"DROP TABLE {DATABASE}.{name}")

    def same() -> bool:
        try:
            return _rows(deployment) == rows
        except ServerException as exc:
            if exc.code not in {ErrorCodes.UNKNOWN_TABLE, ErrorCodes.UNKNOWN_IDENTIFIER}:  # made anew, step by step
                raise
            return False

    wait_until("ClickHouse is full again after its tables were dropped", same)
    deployment.wait_as_of(_feed(deployment, 30, 60), names=["worker-1"])
    assert _documents(deployment) != documents
    assert deployment.stop("worker-1") == 0
