"""Topics of one's own, read by maps: from their records to results, and maps that can't be used."""

import json
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import ROOT
from tests.support.deployment import PROGRAM, Deployment
from tests.support.kafka import flush, read_topic
from tests.support.own_topics import TOPICS, Sums

MAPS = ROOT / "config" / "maps" / "topics"
HOUR_S = 3600


@pytest.fixture
def maps(tmp_path):
    """A folder of maps."""
    folder = tmp_path / "maps"
    folder.mkdir()
    return folder


def order(number: int, **fields: object) -> str:
    """An order of today, of one of three drivers."""
    now_s = int(time.time())
    at = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s - ago_s)) for ago_s in (2 * HOUR_S, HOUR_S)]
    return json.dumps(
        {
            "order": {"id": number, "state": "paid", "created": at[0], "closed": at[1]},
            "station": {"owner": "S1"},
            "driver": {"id": number % 3},
            "meter": {"begin_wh": 100, "end_wh": 100 + number},
            "total": f"{number}.25",
            "voucher": None,
            "currency": "EUR",
            "revision": 1,
        }
        | fields
    )


def months_of(deployment: Deployment, operator: str) -> list[dict]:
    return json.loads(deployment.redis.get(f"crm:{{{operator}}}:monthly:ALL"))["months"]


def sums_of(month: dict) -> Sums:
    """A month of a document, as the computation from the messages has it."""

    def units(name: str) -> int:
        return int(month[name].replace(".", ""))

    return Sums(
        month["paymentCount"], units("receivedAmount"), units("discountAmount"), units("refundedAmount"), month["payingCustomers"],
        month["sessionCount"], units("energyKwh"), month["chargingCustomers"],
    )  # fmt: skip


def test_topics_nobody_here_designed_show_in_the_results(deploy, maps):
    """Debezium's of MySQL and PostgreSQL, OCPP's, Stripe's, and a shop's: results equal a computation straight from the messages.

    `up` makes the topics; corrections count by the map's version; what a map refuses is a dead letter.
    """
    for path in MAPS.glob("*.toml"):
        shutil.copy(path, maps)
    deployment: Deployment = deploy(sources_dir=str(maps))
    deployment.start_worker(1)
    deployment.wait_ready(1)
    producer = deployment.producer()
    assert len(producer.list_topics("shop.orders", 5).topics["shop.orders"].partitions) == 3
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    wanted: dict[str, Sums] = {}
    for seed, (topic, make, sums) in enumerate(TOPICS.values()):
        messages = list(make(seed, last_month + timedelta(days=2)))
        for message in messages:
            producer.produce(topic, message.value, message.key)
        for operator, each in sums(messages).items():  # customers and ids of the topics are others
            wanted[operator] = Sums(*map(sum, zip(wanted.get(operator, (0,) * len(each)), each, strict=True)))
    for number in range(1, 41):
        producer.produce("shop.orders", order(number), key=str(number))
    producer.produce("shop.orders", order(40, total="0.75", revision=2), partition=0)
    producer.produce("shop.orders", order(40), partition=1)
    producer.produce("shop.orders", order(41, currency="EURO"), partition=2)
    flush(producer)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    for operator, sums_ in wanted.items():
        (month,) = [each for each in months_of(deployment, operator) if each["month"] == last_month.strftime("%Y-%m")]
        assert sums_of(month) == sums_
    months = months_of(deployment, "S1")
    assert sum(sums_of(month).received for month in months) == sum(100 * n + 25 for n in range(1, 40)) + 75
    assert sum(month["paymentCount"] for month in months) == sum(month["sessionCount"] for month in months) == 40
    assert sum(sums_of(month).energy_wh for month in months) == sum(range(1, 41))
    (letter,) = [record for record in read_topic(deployment.kafka, "crm-stats.dead-letters") if record.value]
    headers = dict(letter.headers)
    assert (headers["reason"], headers["source-topic"]) == (b"unknown_currency", b"shop.orders")
    assert b"payment.currency (currency): 'EURO'" in headers["detail"]


@pytest.mark.parametrize("command", [("worker",), ("monitor",), ("up", "--servers-only")])
def test_a_map_with_a_mistake_ends_a_program_with_one_sentence(tmp_path, maps, command):
    """Before it asks for any server."""
    (maps / "orders.toml").write_text((MAPS / "orders.toml").read_text().replace('paid = "SUCCEEDED"', 'paid = "PAID"'))
    env = {**os.environ, "STREAM_APP_RUN": str(tmp_path), "STREAM_APP_SOURCES_DIR": str(maps)}
    found = subprocess.run([PROGRAM, *command], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    sentence = f"{maps}/orders.toml: `payment.status.values.paid` is 'PAID', which is not a payment state"
    assert found.stderr.strip() == f"stream-app {command[0]}: {sentence}"
