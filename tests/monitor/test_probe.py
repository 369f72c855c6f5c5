"""The probe on a whole deployment: it goes through every stage, says how long that took, and nobody else sees it."""

import json
import time
import urllib.error
import urllib.request

import psutil
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client.parser import text_string_to_metric_families

from stream_app.domain import probe
from stream_app.monitor.push import token
from stream_app.sinks.sql import sql
from tests.monitor.test_process import RESIDENT_MB_MAX
from tests.support.kafka import read_topic
from tests.support.seen import Seen
from tests.support.service import DATABASE
from tests.support.waiting import wait_until

STAGES = {"redis", "clickhouse", "push"}


def refusal(deployment, path, body, bearer):
    with pytest.raises(urllib.error.HTTPError) as caught:
        deployment.post(path, body, bearer)
    with caught.value as answer:
        return answer.status, json.loads(answer.read())["code"]


def test_it_goes_through_every_stage_and_nobody_sees_it(deploy):
    deployment = deploy(monitor_interval_ms="500", monitor_probe_ms="500")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.start_api()
    deployment.start("monitor", "monitor")
    seen = Seen(deployment)
    deployment.send_payments(100)
    deployment.wait_as_of(deployment.now_ms())

    def probes():
        return {row["stage"]: row for row in seen.status().get("probes", [])}

    def all_arrived(count):
        rows = probes()
        return set(rows) == STAGES and all(row["count"] >= count for row in rows.values()) and rows

    rows = wait_until("five probes were seen everywhere", lambda: all_arrived(5))
    for row in rows.values():
        assert 0 < row["p50"] <= row["p99"] <= 30
        assert row["failure"] is None
    with urllib.request.urlopen(seen.base + "/metrics") as answer:
        found = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    counts = {s.labels["stage"]: s.value for s in found["crm_probe_seconds"].samples if s.name.endswith("_count")}
    assert set(counts) == STAGES
    assert min(counts.values()) >= 5
    assert psutil.Process(deployment.process("monitor").pid).memory_info().rss / 2**20 <= RESIDENT_MB_MAX

    everything, named = deployment.token("--operator", "*"), deployment.token("--operator", probe.OPERATOR)
    operators = deployment.post("operators", {}, everything)["operators"]
    assert len(operators) == 37
    assert probe.OPERATOR not in {operator["operatorId"] for operator in operators}
    for path in ("monthlyIndex", "chargingDistribute", "groups"):
        assert refusal(deployment, path, {"operatorId": probe.OPERATOR}, everything) == (403, 40302)
    own = deployment.post("monthlyIndex", {}, named)
    assert own["months"][-1]["paymentCount"] == 1, "each probe replaces the one before"
    assert deployment.redis.hget("crm:operators", probe.OPERATOR) is None
    for view in ("ads_operation_crm_monthly_current", "ads_operation_crm_charging_distri_current"):
        statement = f"SELECT count() FROM {DATABASE}.{view} WHERE operator_id = %(operator)s"
        assert deployment.clickhouse.execute(statement, {"operator": probe.OPERATOR}) == [(0,)]
    rows = deployment.clickhouse.execute(
        f"SELECT count() FROM {DATABASE}.ads_operation_crm_operators WHERE operator_id = '{probe.OPERATOR}'"
    )
    assert rows[0][0] > 0, "so that leaving it out is what keeps it from the list"
    assert probe.OPERATOR not in {row[0] for row in deployment.clickhouse.execute(sql("read_operators", DATABASE))}
    topics = ("crm-stats.monthly.v1", "crm-stats.half-hour.v1")
    keys = {record.key.decode() for topic in topics for record in read_topic(deployment.kafka, topic)}
    assert any(key.startswith("M1|") for key in keys)
    assert not [key for key in keys if key.startswith(probe.OPERATOR)]
    sources = {row["topic"]: row for row in seen.status()["sources"]}
    assert probe.OPERATOR not in sources
    assert sources["charging.sessions"]["age_seconds"] is None, "no topic of others looks alive by a probe"

    deployment.kill("worker-1")  # what takes over finds nothing to list, either
    deployment.start_worker(1)
    deployment.wait_ready(1)
    before = probes()["redis"]["count"]
    wait_until("probes arrive again", lambda: all_arrived(before + 2))
    assert deployment.redis.hget("crm:operators", probe.OPERATOR) is None

    deployment.stop("api")
    wait_until("push is to blame, and nobody else", lambda: (s := seen.status()) and s["is_push_to_blame"])
    rows = probes()
    assert rows["push"]["failure"]
    assert rows["push"]["lost"] >= 1
    assert seen.status()["results"][0]["stage"] is None


def test_its_token_is_a_jwt_that_others_accept():
    secret, now = "a secret of the tests, long enough", int(time.time())
    found = jwt.decode(token({"scope": "crm:read", "operators": ["x"]}, secret, now), OctKey.import_key(secret))
    assert found.header["alg"] == "HS256"
    assert found.claims == {"scope": "crm:read", "operators": ["x"], "iat": now, "exp": now + 86_400}
