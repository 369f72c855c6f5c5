"""Topics of one's own, read by maps: from their records to results, and maps that can't be used."""

import json
import os
import shutil
import subprocess
import time

import pytest

from config.settings import ROOT
from tests.support.deployment import PROGRAM, Deployment
from tests.support.kafka import read_topic

ORDERS = ROOT / "config" / "maps" / "topics" / "orders.toml"
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
            "station": {"owner": "M1"},
            "driver": {"id": number % 3},
            "meter": {"begin_wh": 100, "end_wh": 100 + number},
            "total": f"{number}.25",
            "voucher": None,
            "currency": "EUR",
            "revision": 1,
        }
        | fields
    )


def test_orders_of_a_topic_nobody_here_designed_show_in_the_results(deploy, maps):
    """`up` makes the topic; corrections count by the map's version; what the map refuses is a dead letter."""
    shutil.copy(ORDERS, maps)
    deployment: Deployment = deploy(sources_dir=str(maps), clock="wall")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    producer = deployment.producer()
    assert len(producer.list_topics("shop.orders", 5).topics["shop.orders"].partitions) == 3
    for number in range(1, 41):
        producer.produce("shop.orders", order(number), key=str(number))
    producer.produce("shop.orders", order(40, total="0.75", revision=2), partition=0)
    producer.produce("shop.orders", order(40), partition=1)
    producer.produce("shop.orders", order(41, currency="EURO"), partition=2)
    assert producer.flush(20) == 0
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    months = json.loads(deployment.redis.get("crm:{M1}:monthly:ALL"))["months"]
    received = sum(int(month["receivedAmount"].replace(".", "")) for month in months)
    assert received == sum(100 * number + 25 for number in range(1, 40)) + 75
    assert sum(month["paymentCount"] for month in months) == sum(month["sessionCount"] for month in months) == 40
    energy_wh = sum(int(month["energyKwh"].replace(".", "")) for month in months)
    assert energy_wh == sum(range(1, 41))
    (letter,) = [record for record in read_topic(deployment.kafka, "crm-stats.dead-letters") if record.value]
    headers = dict(letter.headers)
    assert (headers["reason"], headers["source-topic"]) == (b"unknown_currency", b"shop.orders")
    assert b"payment.currency: 'EURO'" in headers["detail"]


@pytest.mark.parametrize("command", [("worker",), ("monitor",), ("up", "--servers-only")])
def test_a_map_with_a_mistake_ends_a_program_with_one_sentence(tmp_path, maps, command):
    """Before it asks for any server."""
    (maps / "orders.toml").write_text(ORDERS.read_text().replace('paid = "SUCCEEDED"', 'paid = "PAID"'))
    env = {**os.environ, "STREAM_APP_RUN": str(tmp_path), "STREAM_APP_SOURCES_DIR": str(maps)}
    found = subprocess.run([PROGRAM, *command], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    sentence = f"{maps}/orders.toml: `payment.status.values.paid` is 'PAID', which is not a payment state"
    assert found.stderr.strip() == f"stream-app {command[0]}: {sentence}"
