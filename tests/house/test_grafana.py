"""The dashboard for Grafana: made from its sources, whole, and asking only for what the monitor exposes. That its queries parse: tests/deploy."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from config.settings import ROOT
from stream_app.monitor.metrics import METRICS
from tests.house.promql import asked, unknown

FOLDER = ROOT / "deploy" / "grafana"
TEXT = (FOLDER / "crm-stats.json").read_text()
DASHBOARD = json.loads(TEXT)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
QUERIES = [(panel["title"], target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]


def test_it_is_as_its_source_says():
    subprocess.run([sys.executable, FOLDER / "dashboard.py", "--check"], check=True, cwd=Path("/"))


@pytest.mark.parametrize(("title", "expr", "legend"), QUERIES)
def test_a_query_asks_only_for_what_the_monitor_exposes(title, expr, legend):
    assert unknown(expr) == set()
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= asked(expr).grouping
    assert set(re.findall(r"\$\{?(\w+)", expr)) <= VARIABLES.keys()


def test_every_metric_is_shown_but_those_that_only_the_alerts_need():
    shown = {name for _, expr, _ in QUERIES for name in asked(expr).metrics}
    assert METRICS.keys() - shown == {
        "crm_monitor_start_time_seconds",
        "crm_group_open_records",
        "crm_source_up",
    }


def test_panels_have_ids_of_their_own_a_place_of_their_own_and_a_text():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    places = [(panel["gridPos"], panel["title"]) for panel in DASHBOARD["panels"]]
    assert all(at["x"] + at["w"] <= 24 for at, _ in places)
    for (one, title), (other, other_title) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (title, other_title)


def test_the_data_source_is_a_variable_and_no_address_stands_in_it():
    sources = re.findall(r'"uid": "([^"]*)"', TEXT)
    assert set(sources) == {"${datasource}", DASHBOARD["uid"]}
    assert VARIABLES["datasource"]["query"] == "prometheus"
    assert not re.search(r"https?:|localhost|\d+\.\d+\.\d+\.\d+", TEXT)


@pytest.mark.parametrize("name", ["group", "sink"])
def test_a_variable_has_the_values_of_a_label_that_exists(name):
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", VARIABLES[name]["query"]["query"]).groups()
    assert label == name
    assert label in METRICS[metric].labels
