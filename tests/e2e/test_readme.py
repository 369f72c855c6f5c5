"""What the pages tell the reader to type is typed here: each curl line, each statement, each piece of Python, on a running stack."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from config.settings import ROOT
from tests.support.deployment import Deployment
from tests.support.kafka import flush
from tests.support.pages import PAGES, blocks, lines, type_line
from tests.support.waiting import wait_until

SHOWN = "http://127.0.0.1:8080"
INTEGRATING = ROOT / "docs" / "integrating.md"
TYPED = [line for page in PAGES for line in lines(page)]
TOKENS = sorted({(line.partition("=")[0], line) for line in TYPED if "=$(make token" in line})
LINES = [(page.name, line) for page in PAGES for line in lines(page) if line.startswith("curl ")]


def _feed(deployment: Deployment) -> int:
    producer, now = deployment.producer(), int(time.time() * 1000)
    operator = {"operator_id": "M1", "timezone": "UTC", "currency": "EUR", "name": "Stadtwerke Musterstadt"}
    producer.produce("crm.operators", json.dumps(operator))
    for n in range(20):
        event = {"operator_id": "M1", "customer_id": f"c-{n % 4}"}
        payment = {"payment_id": f"p-{n}", "status": "SUCCEEDED", "amount_received": 1250, "currency": "EUR"}
        session = {"session_id": f"s-{n}", "status": "COMPLETED", "started_at": now}
        producer.produce("charging.payments", json.dumps({**event, **payment, "paid_at": now}))
        producer.produce("charging.sessions", json.dumps({**event, **session}))
        producer.produce("crm.customer-groups", json.dumps({**event, "group_ids": ["vip"]}))
    flush(producer)
    return int(time.time() * 1000)


def _check(line: str, body: str) -> None:
    """Is the body what the line asked for?"""
    data = {} if "/metrics" in line or "/stream" in line else json.loads(body)["data"]
    path = re.search(r"127\.0\.0\.1:\d+(/[\w/-]*)", line)[1]
    match path.removeprefix("/smart-bi/crm/"):
        case "monthlyIndex":
            months = int((re.search(r"months\W+(\d+)", line) or [0, 6])[1])
            assert len(data["months"]) == months
            assert (data["groupId"], data["months"][-1]["receivedAmount"]) == (_group(line), "250.00")
            assert data["months"][-1]["perCapitaFrequency"] == "5.00"
        case "chargingDistribute":
            assert len(data["slots"]) == 48
            assert (data["groupId"], data["total"]) == (_group(line), 20)
        case "groups":
            assert [group["groupId"] for group in data["groups"]] == ["ALL", "vip"]
        case "operators":
            assert [operator["operatorId"] for operator in data["operators"]] == ["M1"]
        case "stream":
            assert re.findall(r"^event: (.*)$", body, re.MULTILINE)[:2] == ["monthly", "distribution"]
            assert '"receivedAmount":"250.00"' in body
        case "/ops/status":
            assert data["groups"] == {"ingest": "crm-stats-ingest", "ledger": "crm-stats-ledger-1"}
        case "/readyz":
            assert data == {"redis": True, "clickhouse": True}
        case "/metrics":
            assert "crm_api_requests_total" in body
        case _:
            raise AssertionError(f"nothing is known of {path}: say here what a sane answer is")


def _group(line: str) -> str:
    return "vip" if "vip" in line else "ALL"


def test_what_the_pages_tell_to_type_works(deploy):
    """One stack for all of it; what the pages show as 127.0.0.1:8080 is where it listens."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.wait_as_of(_feed(deployment), names=["worker-1"])
    deployment.start_api()

    assert len(LINES) >= 5
    tokens = {}
    for name, line in TOKENS:
        done = type_line(f'{line}\nprintf %s "${name}"', deployment.env)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        tokens[name] = done.stdout
    assert tokens.keys() == {"TOKEN", "OPS"}
    for page, line in LINES:
        assert SHOWN in line, f"{page}: {line}"
        typed = line.replace(SHOWN, deployment.api) + " -w '\\n%{http_code}'"
        done = subprocess.run(
            ["bash", "-euc", typed], env={**os.environ, **tokens}, capture_output=True, text=True, check=False
        )
        body, _, status = done.stdout.rpartition("\n")
        ended = 28 if "--max-time" in line else 0  # curl's code for a stream that it left
        assert (done.returncode, status) == (ended, "200"), f"{page}: {line}: {done.stdout}{done.stderr}"
        _check(line, body)

    statements = blocks(INTEGRATING, "sql")
    assert len(statements) >= 3
    for statement in statements:
        wait_until(statement, lambda statement=statement: deployment.clickhouse.execute(statement))

    env = {**os.environ, **deployment.run.read_env()}
    printed = []
    for program in blocks(INTEGRATING, "python"):
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, program + done.stderr
        printed.append(done.stdout)
    assert re.fullmatch(r"20\d\d-\S+Z EUR 250\.00\n", printed[0])
    assert re.fullmatch(r"2 M1\|ALL\|20\d\d-\d\d\|EUR\n", printed[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_hides_a_curl_from_this_test(page):
    """A curl outside a block of sh or console would not be typed here."""
    fenced = sum(line.startswith("curl ") for line in lines(page))
    assert len(re.findall(r"^(?:\$ )?curl ", page.read_text(), re.MULTILINE)) == fenced
