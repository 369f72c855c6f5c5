"""Midnight and a month's end pass without any event of the operator: every output rolls on, and says so by version."""

import json
from datetime import UTC, datetime, timedelta

from tests.support.deployment import Deployment
from tests.support.kafka import flush, read_topic
from tests.support.scenario import compacted
from tests.support.service import DATABASE
from tests.support.waiting import wait_until

MONTHLY, HALF_HOUR = "crm-stats.monthly.v1", "crm-stats.half-hour.v1"
# 22:50 in Kathmandu (UTC+05:45) on the last day of a month.
LAST = datetime(2025, 3, 31, 17, 5, tzinfo=UTC)


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _session(deployment: Deployment, operator: str, name: str, when: datetime) -> None:
    event = {
        "session_id": name,
        "operator_id": operator,
        "customer_id": "c-1",
        "status": "COMPLETED",
        "started_at": _ms(when),
    }
    producer = deployment.producer()
    producer.produce("charging.sessions", json.dumps(event))
    flush(producer)


def _document(deployment: Deployment, kind: str, group: str = "ALL") -> dict:
    return json.loads(deployment.redis.get(f"crm:{{M1}}:{kind}:{group}") or b"{}")


def _versions(deployment: Deployment) -> dict[str, int]:
    client = deployment.clickhouse
    topics = {topic: compacted(read_topic(deployment.kafka, topic, "read_committed")) for topic in (MONTHLY, HALF_HOUR)}
    newest = {
        topic: max(
            json.loads(value)["version"] for key, (value, _) in found.items() if key.startswith(b"M1|") and value
        )
        for topic, found in topics.items()
    }
    tables = {
        name: client.execute(f"SELECT max(version) FROM {DATABASE}.{name}_current WHERE operator_id = 'M1'")[0][0]
        for name in ("ads_operation_crm_monthly", "ads_operation_crm_charging_distri")
    }
    documents = {kind: _document(deployment, kind)["version"] for kind in ("monthly", "distribution")}
    token = deployment.token("--operator", "M1")
    http = {path: deployment.post(path, {}, token)["version"] for path in ("monthlyIndex", "chargingDistribute")}
    return {**newest, **tables, **documents, **http}


def _same(found: dict[str, int]) -> bool:
    monthly = {found[MONTHLY], found["ads_operation_crm_monthly"], found["monthly"], found["monthlyIndex"]}
    half_hour = {
        found[HALF_HOUR],
        found["ads_operation_crm_charging_distri"],
        found["distribution"],
        found["chargingDistribute"],
    }
    return len(monthly) == len(half_hour) == 1


def _settled(deployment: Deployment) -> dict[str, int]:
    """The versions, once Redis, ClickHouse, the topics and HTTP show one of each table."""
    found: dict[str, int] = {}

    def one() -> bool:
        found.update(_versions(deployment))
        return _same(found)

    try:
        wait_until("all outputs show one version", one)
    except AssertionError as exc:
        exc.add_note(f"{found}")
        raise
    return found


def test_midnight_and_a_month_s_end_pass_without_any_event(deploy):
    """Stream time moves by another operator's sessions only."""
    deployment = deploy(clock="stream")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    producer = deployment.producer()
    producer.produce(
        "crm.operators", json.dumps({"operator_id": "M1", "timezone": "Asia/Kathmandu", "currency": "NPR"})
    )
    producer.produce(
        "crm.customer-groups", json.dumps({"operator_id": "M1", "customer_id": "c-1", "group_ids": ["vip"]})
    )
    flush(producer)
    _session(deployment, "M1", "s-1", LAST)
    _session(deployment, "M1", "s-0", LAST - timedelta(days=29))
    wait_until("the day shows", lambda: _document(deployment, "distribution", "vip").get("total") == 2)
    deployment.start_api()
    assert _document(deployment, "distribution")["to"] == "2025-03-31"
    assert _document(deployment, "monthly")["months"][-1]["month"] == "2025-03"
    before = _settled(deployment)

    _session(
        deployment, "M2", "s-2", LAST + timedelta(hours=1, minutes=15)
    )  # 00:05 of April in Kathmandu, still March in UTC
    wait_until("Redis rolls on", lambda: _document(deployment, "distribution")["to"] == "2025-04-01")
    for group in ("ALL", "vip"):
        distribution, monthly = _document(deployment, "distribution", group), _document(deployment, "monthly", group)
        assert (distribution["from"], distribution["to"], distribution["total"]) == ("2025-03-03", "2025-04-01", 1)
        assert [month["month"] for month in monthly["months"]][-2:] == ["2025-03", "2025-04"]
        assert [month["sessionCount"] for month in monthly["months"]][-2:] == [2, 0]
    after = _settled(deployment)
    assert all(after[name] > before[name] for name in before), (before, after)
    records = compacted(read_topic(deployment.kafka, HALF_HOUR, "read_committed"))
    assert sum(json.loads(records[b"M1|ALL|2025-04-01"][0])["slots"]) == 0
    rows = deployment.clickhouse.execute(
        f"SELECT count(), sum(charge_count) FROM {DATABASE}.ads_operation_crm_charging_distri_current "
        "WHERE operator_id = 'M1' AND group_id = 'vip' AND stat_date = '2025-04-01'"
    )
    assert rows == [(48, 0)]

    _session(deployment, "M2", "s-3", LAST + timedelta(days=92))
    wait_until("Redis rolls on by three months", lambda: _document(deployment, "distribution")["to"] == "2025-07-01")
    assert _document(deployment, "distribution")["total"] == 0

    def tombstone() -> bool:
        found = compacted(read_topic(deployment.kafka, HALF_HOUR, "read_committed"))
        return found.get(b"M1|ALL|2025-03-02", (b"?", ()))[0] is None

    wait_until("a day that is not kept any more has a tombstone", tombstone)
    answer = deployment.post("monthlyIndex", {"operatorId": "M1", "months": 6}, deployment.token("--operator", "M1"))
    assert [month["sessionCount"] for month in answer["months"]] == [0, 2, 0, 0, 0, 0]
