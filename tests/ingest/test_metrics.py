"""What a worker counts of the source topics, and where it tells it."""

import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.local.ports import free_port
from tests.support.deployment import Deployment, wait_until
from tests.support.kafka import flush


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """With a worker that tells its metrics."""
    made = Deployment(tmp_path_factory.mktemp("metrics") / "run", worker_metrics_port=str(free_port()))
    made.start_worker(1)
    made.wait_ready(1)
    yield made
    made.close()


def session(deployment, number, **other):
    value = {"session_id": f"s{number}", "operator_id": "M1", "status": "COMPLETED"}
    return json.dumps({**value, "started_at": deployment.now_ms(), **other}).encode()


def cdr(deployment, number, **other):
    value = {
        "country_code": "NL", "party_id": "ALF", "id": f"c{number}", "session_id": "s", "cdr_token": {"contract_id": "C1"}, "currency": "EUR",
        "start_date_time": deployment.now_ms(), "end_date_time": deployment.now_ms() + 1, "total_cost": {"excl_vat": 1},
    }  # fmt: skip
    return json.dumps({**value, **other}).encode()


def shown(port):
    """(metric, source topic) -> count, as Prometheus reads them."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=5).text
    return {
        (sample.name, sample.labels["topic"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_a_worker_counts_records_rejections_and_unknown_energies_by_source_topic(deployment):
    port = int(deployment.env["STREAM_APP_WORKER_METRICS_PORT"])
    before = shown(port)
    assert before["crm_ingest_records_total", "charging.sessions"] == 0
    assert before["crm_ingest_unknown_energy_records_total", "ocpi.cdrs"] == 0
    producer = deployment.producer()
    for number, other in enumerate(
        [
            {"energy_kwh": "12.4"},
            {"energy_kwh": 0},
            {"energy_kwh": None},
            {"energy_kwh": "a lot", "status": "ACTIVE"},
            {},
            {"status": "NONE"},
        ]
    ):
        producer.produce("charging.sessions", session(deployment, number, **other))
    producer.produce("ocpi.cdrs", cdr(deployment, 1, total_energy=7.5))
    producer.produce("ocpi.cdrs", cdr(deployment, 2))
    producer.produce("charging.payments", b"{")
    producer.produce("crm.groups", b'{"operator_id": "M1", "group_id": "vip", "name": "VIP"}')
    flush(producer)
    wait_until("all is counted", lambda: sum(shown(port).values()) == sum(before.values()) + 10 + 2 + 4)
    found = shown(port)
    assert {key: count for key, count in found.items() if count} == {
        ("crm_ingest_records_total", "charging.sessions"): 6,
        ("crm_ingest_rejected_records_total", "charging.sessions"): 1,
        ("crm_ingest_unknown_energy_records_total", "charging.sessions"): 3,
        ("crm_ingest_records_total", "ocpi.cdrs"): 2,
        ("crm_ingest_unknown_energy_records_total", "ocpi.cdrs"): 1,
        ("crm_ingest_records_total", "charging.payments"): 1,
        ("crm_ingest_rejected_records_total", "charging.payments"): 1,
        ("crm_ingest_records_total", "crm.groups"): 1,
    }
    topics = {topic for name, topic in found if name == "crm_ingest_unknown_energy_records_total"}
    assert topics == {"charging.sessions", "ocpi.cdrs"}


def test_a_worker_without_its_port_ends_with_a_sentence(deployment):
    second = deployment.start_worker(2)
    assert second.wait(60) == 1
    port = deployment.env["STREAM_APP_WORKER_METRICS_PORT"]
    assert f"127.0.0.1:{port} is in use: stop what listens there" in deployment.log("worker-2")
    assert "Traceback" not in deployment.log("worker-2")
