"""A year of charging sessions, imported on stream time, equals a computation straight from its file that shares no code with the product."""

import json
import subprocess
from datetime import date, timedelta

from tests.support import lugano_year
from tests.support.deployment import PROGRAM, ROOT
from tests.support.lugano_truth import truth
from tests.support.waiting import wait_until

OPERATOR = "AIL"


def test_the_lugano_year_equals_polars_straight_from_the_csv(deploy, tmp_path):
    """Months and the 48 half-hours, of each group and ALL, over HTTP."""
    csv_path = lugano_year.write(tmp_path / "sessions.csv")
    deployment = deploy(clock="stream")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    command = [PROGRAM, "import", str(csv_path), "--map", str(ROOT / "config" / "maps" / "lugano.toml")]
    for _ in range(2):  # safe to repeat
        done = subprocess.run(command, env=deployment.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert f"{lugano_year.ROWS} rows read, {lugano_year.ROWS} taken, 0 refused" in done.stdout

    expected = truth(csv_path)

    def imported() -> bool:
        document = json.loads(deployment.redis.get(f"crm:{{{OPERATOR}}}:monthly:ALL") or b'{"months": []}')
        shown = {month["month"]: month["sessionCount"] for month in document["months"]}
        return shown.get("2017-12") == expected.months["ALL", "2017-12"]["sessionCount"]

    wait_until("the last month is whole in Redis", imported)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    deployment.start_api()
    token = deployment.token("--operator", OPERATOR)
    groups = deployment.post("groups", {}, token)["groups"]
    assert {group["groupId"] for group in groups} == set(expected.groups)
    for group in expected.groups:
        body = {"operatorId": OPERATOR, "groupId": group, "months": 13, "endMonth": "2018-01"}
        months = deployment.post("monthlyIndex", body, token)["months"]
        assert [month["month"] for month in months] == ["2017-01", *(f"2017-{n:02d}" for n in range(2, 13)), "2018-01"]
        for month in months:
            name = month.pop("month")
            assert month == expected.months[group, name], (group, name)
        for days, end in ((92, date(2018, 1, 1)), (30, date(2018, 1, 1)), (7, date(2017, 12, 10))):
            body = {"operatorId": OPERATOR, "groupId": group, "days": days, "endDate": end.isoformat()}
            slots = deployment.post("chargingDistribute", body, token)["slots"]
            first = end - timedelta(days=days - 1)
            assert [slot["chargeCount"] for slot in slots] == expected.slots(group, first, end), (group, days, end)
