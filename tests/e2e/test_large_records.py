"""Records and rows larger than Kafka takes: nothing loops, what can be used counts exactly, what can't is a dead letter with its value cut."""

import json
import random
import shutil
from datetime import UTC, datetime

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from tests.support.deployment import Deployment
from tests.support.kafka import flush, read_topic
from tests.support.waiting import SECONDS_MAX

SOURCE_BYTES_MAX = 8 << 20
GROUPS, CREDITS = 1500, 50_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def noise(rng: random.Random, length: int) -> str:
    """Text that hardly compresses."""
    return "".join(rng.choices(LETTERS, k=length))


def unusable(rng: random.Random) -> bytes:
    """A payment of 4 MB without an amount."""
    fields = {"payment_id": "big", "operator_id": "BIG", "status": "SUCCEEDED", "currency": "EUR", "paid_at": 1}
    return json.dumps(fields | {"note": noise(rng, 4_000_000)}).encode()


def cdr(cdr_id: str, end: str, customer: str = "NL-TNM-C1", **fields: object) -> bytes:
    """A CDR of 4.00 EUR."""
    found = {
        "country_code": "NL", "party_id": "BIG", "id": cdr_id, "session_id": "s", "start_date_time": end, "end_date_time": end,
        "cdr_token": {"type": "RFID", "contract_id": customer}, "currency": "EUR", "total_cost": {"excl_vat": 4.0}, "total_energy": 10.5,
    }  # fmt: skip
    return json.dumps(found | fields).encode()


def allow(deployment: Deployment, topic: str, record_bytes: int) -> None:
    """Set how large records of a topic may be."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    resource.add_incremental_config(
        ConfigEntry("max.message.bytes", str(record_bytes), incremental_operation=AlterConfigOpType.SET)
    )
    for future in deployment.admin.incremental_alter_configs([resource]).values():
        future.result(SECONDS_MAX)


def received(deployment: Deployment, group: str, operator: str = "NL-BIG") -> str:
    """What a group's document shows as received in the months."""
    document = json.loads(deployment.redis.get(f"crm:{{{operator}}}:monthly:{group}"))
    return str(sum(float(month["receivedAmount"]) for month in document["months"]))


def test_a_worker_says_at_its_start_which_topic_takes_too_little(deploy):
    """One sentence with the command, before anything is read."""
    deployment = deploy()
    allow(deployment, "crm-stats.dead-letters", 1_048_588)
    worker = deployment.start_worker(1)
    assert worker.wait(60) == 1
    assert deployment.log("worker-1").splitlines()[-1] == (
        "stream-app worker: crm-stats.dead-letters takes records of 1048588 bytes, and is to get some of 2097152: "
        "kafka-configs --alter --topic crm-stats.dead-letters --add-config max.message.bytes=2097152"
    )


@pytest.fixture
def running(deploy) -> Deployment:
    """A deployment with one worker that is ready, and sources that take large records."""
    deployment = deploy()
    for topic in ("charging.payments", "ocpi.cdrs", "crm.customer-groups", "crm.groups"):  # as a team may set its own
        allow(deployment, topic, SOURCE_BYTES_MAX)
    deployment.start_worker(1)
    deployment.wait_ready(1)
    return deployment


def test_large_records_become_letters_with_their_value_cut_and_large_rows_count_exactly(running):
    """One too large for a letter, one for a frame; a customer whose groups, and a CDR whose credits, are too large for a changelog record."""
    rng = random.Random(7)
    bad = unusable(rng)
    now = datetime.fromtimestamp(running.now_ms() / 1000 - 60, UTC).isoformat()
    late = cdr("late", "2020-01-03T08:00:00Z", signed_data=noise(rng, 4_000_000))
    name = json.dumps({"operator_id": "NL-BIG", "group_id": "g", "name": noise(rng, 3_000_000)}).encode()
    groups = [noise(rng, 8) + "".join(chr(rng.randrange(0x10000, 0x10FFFE)) for _ in range(192)) for _ in range(GROUPS)]
    producer = running.producer(**{"message.max.bytes": SOURCE_BYTES_MAX})
    producer.produce("charging.payments", bad, partition=2)
    producer.produce("ocpi.cdrs", late, b"k", partition=0)
    producer.produce("crm.groups", name, partition=0)
    member = {"operator_id": "NL-BIG", "customer_id": "NL-TNM-C1", "group_ids": groups}
    producer.produce("crm.customer-groups", json.dumps(member, ensure_ascii=False).encode())
    producer.produce("ocpi.cdrs", cdr("counts", now))
    for _ in range(CREDITS):
        credit = cdr(noise(rng, 40), now, credit=True, credit_reference_id="taken-back")
        producer.produce("ocpi.cdrs", credit)
        producer.poll(0)
    flush(producer)
    producer.produce("ocpi.cdrs", cdr("taken-back", now))
    flush(producer)
    running.wait_as_of(running.now_ms(), names=["worker-1"], seconds=180)

    letters = {letter.key: letter for letter in read_topic(running.kafka, "crm-stats.dead-letters")}
    assert set(letters) == {b"charging.payments/2/0", b"ocpi.cdrs/0/0", b"crm.groups/0/0"}
    for key, value, source_key, reason in (
        (b"charging.payments/2/0", bad, None, b"missing_field"),
        (b"ocpi.cdrs/0/0", late, b"k", b"too_late"),
        (b"crm.groups/0/0", name, None, b"too_large"),
    ):
        letter, headers = letters[key], dict(letters[key].headers)
        assert headers["reason"] == reason
        assert headers["source-key"] == source_key
        assert headers["value-cut-at"] == b"%d" % len(letter.value)
        assert value.startswith(letter.value), "the beginning, as it came"
        assert 1 << 20 < len(letter.value) < 2 << 20

    for group in ("ALL", groups[0], groups[-1]):
        assert received(running, group) == "4.0", "of the CDR that nobody took back"

    edit = ("--set", "amount_received=100", "--set", f"paid_at={now}")
    sent = running.run_command("dead-letters", "redrive", "charging.payments/2/0", *edit)
    assert (sent.returncode, sent.stdout) == (0, "charging.payments/2/0 -> charging.payments/2/1\n"), sent.stderr
    assert "1 letters" in (listed := running.run_command("dead-letters", "list", "--reason", "too_late")).stderr
    assert listed.stdout.split()[1:3] == ["ocpi.cdrs/0/0", "too_late"]

    running.kill("worker-1")
    shutil.rmtree(running.run.state / "worker-1")
    running.start_worker(1)
    running.wait_ready(1)
    producer.produce("ocpi.cdrs", cdr("taken-back", now, last_updated="later"))
    producer.produce("ocpi.cdrs", cdr("after", now))
    member |= {"group_ids": groups[:1]}
    producer.produce("crm.customer-groups", json.dumps(member, ensure_ascii=False).encode())
    flush(producer)
    running.wait_as_of(running.now_ms(), names=["worker-1"], seconds=120)
    assert received(running, "ALL") == received(running, groups[0]) == "8.0", "what the changelog brought back is whole"
    assert received(running, groups[-1]) == "0.0"
    assert received(running, "ALL", "BIG") == "1.0", "the whole record was sent again, mended"
    assert running.stop("worker-1") == 0
