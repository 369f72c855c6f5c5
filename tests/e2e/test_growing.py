"""What the lists of CONTRIBUTING.md add reaches every output: a figure, a table and a source topic that exist nowhere but in a copy of the checkout.

One deployment of the copy serves all tests; time is that of the events, so that each number can be worked out by hand.
"""

import json
import re
from datetime import date
from decimal import Decimal
from functools import cache

import httpx
import pytest

from stream_app.formats.murmur2 import partition_for
from tests.support.deployment import Deployment
from tests.support.growing import LISTS, Copy
from tests.support.kafka import flush, read_topic
from tests.support.service import DATABASE
from tests.support.waiting import wait_until

HOUR = 3_600_000
MONDAY = 1_740_996_000_000  # 2025-03-03T10:00:00Z
MINUTES = ("minutesCharged", "perCapitaMinutes", "anonymousMinutes")

# (id, version, status, customer, days and hours after MONDAY, seconds that it lasted). M1 is in Berlin, an hour ahead.
SESSIONS = (
    ("s1", 1, "COMPLETED", "c1", 0, 0, 47 * 60 + 59),
    ("s1", 2, "COMPLETED", "c1", 0, 0, 50 * 60),  # corrected
    ("s2", 1, "COMPLETED", "c1", 1, 0, 3600),
    ("s3", 1, "COMPLETED", "c2", 1, 13.5, 20 * 60 + 59),  # Wednesday by the clock in Berlin
    ("s4", 1, "COMPLETED", None, 6, 0, 15 * 60),
    ("s5", 1, "COMPLETED", "c1", 7, 0, None),
    ("s6", 1, "COMPLETED", "c2", 7, 0, -60),
    ("s7", 1, "ACTIVE", "c1", 7, 0, 99 * 60),
    ("s8", 1, "COMPLETED", "c1", -3, 0, 10 * 60),  # Friday, in February
)
WALL_BOX = {"box": "M1", "uid": "w1", "status": "done", "card": "c2", "from": MONDAY + 5 * 24 * HOUR}  # Saturday
# ALL in March: 50 + 60 + 20 + 15 + 30 of the wall box. (175 - 15) / 2 customers. vip is c1.
IN_MARCH = {"ALL": (175, "80.00", 15), "vip": (110, "110.00", 0)}
IN_FEBRUARY = {"ALL": (10, "10.00", 0), "vip": (10, "10.00", 0)}
BY_WEEKDAY = {"2025-03": [3, 1, 1, 0, 0, 1, 1], "2025-02": [0, 0, 0, 0, 1, 0, 0]}
VIP_BY_WEEKDAY = {"2025-03": [2, 1, 0, 0, 0, 0, 0], "2025-02": [0, 0, 0, 0, 1, 0, 0]}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def session(id_, version, status, customer, days, hours, seconds):
    start = MONDAY + int((days * 24 + hours) * HOUR)
    ended = None if seconds is None else start + seconds * 1000
    return {
        "session_id": id_, "operator_id": "M1", "version": version, "status": status, "customer_id": customer, "started_at": start, "ended_at": ended,
    }  # fmt: skip


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A deployment to which a copy in which all three lists were done was rolled out, beside the version that served: what that had counted is counted anew."""
    copy = Copy(tmp_path_factory.mktemp("grown"))
    for heading in LISTS:
        copy.do(heading)
    copy.write_docs()
    deployment = Deployment(tmp_path_factory.mktemp("run"), clock="stream")
    try:
        deployment.start_worker(1)
        deployment.wait_ready(1)
        send_what_the_version_before_reads(deployment)
        assert "minutesCharged" not in json.loads(deployment.redis.get("crm:{M1}:monthly:ALL"))["months"][0]
        deployment.use(copy.root)
        roll_out(deployment)
        deployment.start_api()
        send_what_only_the_copy_reads(deployment)
        yield deployment, copy
    finally:
        deployment.close()


def roll_out(deployment):
    """As docs/operating.md says: topics that are new, the rebuild, and workers of the new version."""
    for command in (("up", "--servers-only"), ("rebuild", "--state-dir", str(deployment.run.state / "rebuild"))):
        done = deployment.run_command(*command)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    deployment.start_worker(2)
    deployment.wait_ready(2)
    before = deployment.process("worker-1")
    wait_until("the worker of the version before has ended", lambda: before.poll() is not None)
    assert "figures of version 3: this version knows up to 2, run the version" in deployment.log("worker-1")


def send_records(deployment, topic, *values):
    producer = deployment.producer()
    for value in values:
        producer.produce(topic, json.dumps(value).encode())
    flush(producer)


def send_what_the_version_before_reads(deployment):
    operator = {"operator_id": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR"}
    send_records(deployment, "crm.operators", operator)
    send_records(deployment, "crm.customer-groups", {"operator_id": "M1", "customer_id": "c1", "group_ids": ["vip"]})
    send_records(deployment, "charging.sessions", *(session(*told) for told in SESSIONS))
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])


def send_what_only_the_copy_reads(deployment):
    send_records(
        deployment,
        "vendor.wall-boxes",
        {**WALL_BOX, "to": WALL_BOX["from"] + HOUR // 2},
        {**WALL_BOX, "uid": "?", "status": "on"},
    )
    deployment.wait_as_of(deployment.now_ms(), names=["worker-2"])
    # Now that the ledger knows how late it is.
    send_records(deployment, "vendor.wall-boxes", {**WALL_BOX, "uid": "w2", "from": MONDAY - 800 * 24 * HOUR})
    deployment.wait_as_of(deployment.now_ms(), names=["worker-2"])


def minutes(row):
    return tuple(row[name] for name in MINUTES)


@cache
def token(deployment):
    return deployment.token("--operator", "M1")


def without_as_of(data):
    """The data but for what grows while nothing changes."""
    return {name: value for name, value in data.items() if name != "asOf"}


def redis_document(deployment, name, group):
    return without_as_of(json.loads(deployment.redis.get(f"crm:{{M1}}:{name}:{group}")))


def topic_values(deployment, topic):
    """Key -> the last value."""
    return {r.key.decode(): json.loads(r.value) for r in read_topic(deployment.kafka, topic) if r.value}


def answer(deployment, path, **query):
    headers = {"Authorization": f"Bearer {token(deployment)}"}
    found = httpx.get(f"{deployment.api}/smart-bi/crm/{path}", params=query, headers=headers, trust_env=False)
    assert found.status_code == 200, found.text
    return without_as_of(found.json()["data"])


@pytest.mark.parametrize("group", ["ALL", "vip"])
def test_the_figure_is_in_redis_documents_and_answers(grown, group):
    deployment, _ = grown
    document = redis_document(deployment, "monthly", group)
    assert [minutes(row) for row in document["months"][-2:]] == [IN_FEBRUARY[group], IN_MARCH[group]]
    assert minutes(document["months"][0]) == (0, "0.00", 0)
    assert answer(deployment, "monthlyIndex", groupId=group) == document
    (row,) = answer(deployment, "monthlyIndex", groupId=group, months=1, endMonth="2025-02")["months"]
    assert minutes(row) == IN_FEBRUARY[group]


def test_the_figure_has_columns_that_a_migration_of_its_number_made(grown):
    deployment, _ = grown
    found = deployment.clickhouse.execute(
        "SELECT group_id, stat_month, minutes_charged, per_capita_minutes, anonymous_minutes "
        f"FROM {DATABASE}.ads_operation_crm_monthly_current WHERE operator_id = 'M1'"
    )
    march = {(group, date(2025, 3, 1), whole, Decimal(each), none) for group, (whole, each, none) in IN_MARCH.items()}
    february = {
        (group, date(2025, 2, 1), whole, Decimal(each), none) for group, (whole, each, none) in IN_FEBRUARY.items()
    }
    assert set(found) == march | february
    types = dict(
        deployment.clickhouse.execute(
            "SELECT name, type FROM system.columns "
            f"WHERE database = '{DATABASE}' AND table = 'ads_operation_crm_monthly' AND name LIKE '%minutes%'"
        )
    )
    assert types == {"minutes_charged": "UInt64", "per_capita_minutes": "Decimal(18, 2)", "anonymous_minutes": "UInt64"}
    assert (3, 0) in deployment.clickhouse.execute(f"SELECT version, part FROM {DATABASE}.ads_operation_crm_migrations")


def test_the_figure_is_in_its_results_topic(grown):
    deployment, _ = grown
    values = topic_values(deployment, "crm-stats.monthly.v1")
    for group, wanted in IN_MARCH.items():
        assert minutes(values[f"M1|{group}|2025-03|EUR"]) == wanted


def test_the_table_is_in_redis_documents_and_answers(grown):
    deployment, _ = grown
    for group, by_month in (("ALL", BY_WEEKDAY), ("vip", VIP_BY_WEEKDAY)):
        document = redis_document(deployment, "weekday", group)
        counts = [sum(month) for month in zip(*by_month.values(), strict=True)]
        assert document["slots"] == [
            {"slot": slot, "weekday": WEEKDAYS[slot], "chargeCount": count} for slot, count in enumerate(counts)
        ]
        assert (document["from"], document["to"], document["total"]) == ("2024-10", "2025-03", sum(counts))
        assert answer(deployment, "chargesByWeekday", groupId=group) == document
        of_march = answer(deployment, "chargesByWeekday", groupId=group, months=1)
        assert [slot["chargeCount"] for slot in of_march["slots"]] == by_month["2025-03"]


def test_the_table_is_in_clickhouse(grown):
    deployment, _ = grown
    found = deployment.clickhouse.execute(
        f"SELECT stat_month, slot, charge_count FROM {DATABASE}.ads_operation_crm_weekday_current "
        "WHERE operator_id = 'M1' AND group_id = 'ALL' ORDER BY stat_month, slot"
    )
    months = (date(2025, 2, 1), BY_WEEKDAY["2025-02"]), (date(2025, 3, 1), BY_WEEKDAY["2025-03"])
    assert found == [(month, slot, count) for month, counts in months for slot, count in enumerate(counts)]


def test_the_table_has_a_results_topic(grown):
    deployment, _ = grown
    values = topic_values(deployment, "crm-stats.weekday.v1")
    for month, counts in BY_WEEKDAY.items():
        value = values[f"M1|ALL|{month}"]
        assert (value["month"], value["slots"], value["total"]) == (month, counts, sum(counts))
        assert value["partition"] == partition_for(b"M1", 8)


def test_the_stream_sends_the_table_and_the_figure(grown):
    deployment, _ = grown
    headers = {"Authorization": f"Bearer {token(deployment)}"}
    sent, name = {}, ""
    with httpx.stream(
        "GET", f"{deployment.api}/smart-bi/crm/stream", headers=headers, trust_env=False, timeout=10
    ) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                sent[name] = json.loads(line.removeprefix("data: "))
            if {"monthly", "distribution", "weekday"} <= sent.keys():
                break
    assert without_as_of(sent["weekday"]) == redis_document(deployment, "weekday", "ALL")
    assert minutes(sent["monthly"]["months"][-1]) == IN_MARCH["ALL"]


def test_openapi_describes_both(grown):
    deployment, _ = grown
    described = httpx.get(f"{deployment.api}/openapi.json", trust_env=False).json()
    schemas = described["components"]["schemas"]
    row = schemas["MonthlyRow"]
    assert set(MINUTES) <= set(row["required"])
    assert row["properties"]["minutesCharged"]["type"] == "integer"
    assert row["properties"]["perCapitaMinutes"]["pattern"] == r"^[0-9]+\.[0-9]{2}$"
    assert {"get", "post"} <= described["paths"]["/smart-bi/crm/chargesByWeekday"].keys()
    assert schemas["WeekdaySlot"]["properties"]["weekday"]["enum"] == list(WEEKDAYS)


def test_the_report_of_the_demo_shows_both(grown):
    deployment, copy = grown
    said = copy.python(
        "from stream_app.cli import demo; demo._show(demo.run_folder(), demo.config.load())", deployment.env
    )
    (table,) = [part for part in said.split("\n\n") if "anonymous" in part and "minutes" in part and "kwh" in part]
    assert re.search(r"^ *2025-03 .* 175 +80\.00 .* 15\s*$", table, re.MULTILINE), said
    assert "Charging sessions by day of the week, 2024-10 to 2025-03" in said
    assert "Most at Monday: 3 of 8" in said


def test_the_docs_and_the_dashboard_know_both(grown):
    _, copy = grown
    integrating = (copy.root / "docs" / "integrating.md").read_text()
    assert "| `minutes_charged` | `UInt64` | Whole minutes from start to end of each counted session. |" in integrating
    assert "`ads_operation_crm_weekday_current`" in integrating
    settings = (copy.root / "docs" / "settings.md").read_text()
    assert "STREAM_APP_TOPIC_WEEKDAY" in settings
    assert "STREAM_APP_TOPIC_WALL_BOXES" in settings
    figures = json.loads((copy.root / "stream_app" / "dashboard" / "src" / "figures.json").read_text())
    assert {
        "name": "anonymousMinutes", "kind": "part", "unit": "min", "digits": 0, "perCurrency": False, "of": "minutesCharged",
    } in figures  # fmt: skip


def test_bad_and_late_records_of_the_source_topic_are_its_own_dead_letters(grown):
    deployment, _ = grown
    letters = {
        (headers["reason"], headers["source-topic"], headers["source-partition"], headers["source-offset"])
        for letter in read_topic(deployment.kafka, "crm-stats.dead-letters")
        for headers in [{name: (value or b"").decode() for name, value in letter.headers}]
    }
    assert letters == {
        ("unknown_status", "vendor.wall-boxes", "0", "1"),
        ("too_late", "vendor.wall-boxes", "0", "2"),
    }
