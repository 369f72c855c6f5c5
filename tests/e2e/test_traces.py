"""One trace from a source record to the results that it changed, as a collector sees it; over kill -9 of the worker, too."""

import json
from collections import Counter

from tests.support.kafka import flush, read_topic
from tests.support.tracing import PARENT, TRACE_ID, collector
from tests.support.waiting import wait_until

INGEST, APPLY = "charging.payments process", "crm-stats.events-1 process"
MONTHLY = "crm-stats.monthly.v1"
NEVER_MS = str(10**10)
LATER_ID, UNSAMPLED_ID = "2" * 32, "3" * 32


def _send(deployment, number, *parents):
    payment = {"payment_id": f"p-{number}", "operator_id": "M1", "status": "SUCCEEDED", "amount_received": 100}
    payment |= {"currency": "EUR", "paid_at": deployment.now_ms()}
    producer = deployment.producer()
    headers = [("traceparent", parent.encode()) for parent in parents]
    producer.produce("charging.payments", json.dumps(payment), headers=headers)
    flush(producer)


def _results(deployment, trace_id):
    """Records of months that go on with a trace: (key, span id, value)."""
    found = []
    for record in read_topic(deployment.kafka, MONTHLY):
        parent = dict(record.headers).get("traceparent", b"").decode()
        if trace_id in parent:
            found.append((record.key, parent.split("-")[2], json.loads(record.value)))
    return found


def _payments(deployment):
    counted = [json.loads(record.value) for record in read_topic(deployment.kafka, MONTHLY)]
    return max(value["paymentCount"] for value in counted if value["groupId"] == "ALL")


def test_one_trace_leads_from_a_record_to_its_results_also_over_a_killed_worker(deploy):
    """
    First no transaction is due before the worker is killed: the next one reads the record's event again, in the same trace. Then one as always;
    between them records whose contexts are not sampled, malformed, or doubled.
    """
    with collector() as kept:
        deployment = deploy(tracing="true", tick_ms=NEVER_MS, publish_ms=NEVER_MS)
        deployment.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": kept.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        deployment.start_worker(1)
        deployment.wait_ready(1)
        _send(deployment, 1, PARENT)
        wait_until("the event is applied", lambda: kept.of(TRACE_ID, APPLY))
        assert _results(deployment, TRACE_ID) == []
        deployment.kill("worker-1")

        deployment.env |= {"STREAM_APP_TICK_MS": "250", "STREAM_APP_PUBLISH_MS": "250"}
        deployment.start_worker(1)
        deployment.wait_ready(1)
        wait_until("the trace has reached the results", lambda: kept.of(TRACE_ID, f"{MONTHLY} send"))
        ingests, applies = kept.of(TRACE_ID, INGEST), kept.of(TRACE_ID, APPLY)
        (send,) = kept.of(TRACE_ID, f"{MONTHLY} send")
        assert {span.parent_span_id.hex() for span in ingests} == {PARENT.split("-")[2]}
        assert len(applies) > 1  # the killed worker's, and the next one's
        assert {span.parent_span_id for span in applies} <= {span.span_id for span in ingests}
        assert send.parent_span_id in {span.span_id for span in applies}
        shown = _results(deployment, TRACE_ID)
        assert {span_id for _, span_id, _ in shown} == {send.span_id.hex()}
        assert all(count == 1 for count in Counter(key for key, _, _ in shown).values())
        assert {value["paymentCount"] for _, _, value in shown} == {1}

        _send(deployment, 2, f"00-{UNSAMPLED_ID}-{'4' * 16}-00")
        _send(deployment, 3, "nonsense")
        _send(deployment, 4, PARENT, PARENT)
        _send(deployment, 5, f"00-{LATER_ID}-{'5' * 16}-01")
        wait_until("the later trace has reached the results", lambda: kept.of(LATER_ID, f"{MONTHLY} send"))
        assert [len(kept.of(LATER_ID, name)) for name in (INGEST, APPLY)] == [1, 1]
        wait_until("all payments are counted, each once", lambda: _payments(deployment) == 5)
        assert kept.of(UNSAMPLED_ID) == []
        assert len(kept.of(TRACE_ID, INGEST)) == len(ingests)
        assert read_topic(deployment.kafka, "crm-stats.dead-letters") == []
        assert kept.services == {"crm-stats"}
        assert deployment.stop("worker-1") == 0
