"""The alerts ask for what the monitor exposes, and the page for those who watch has a section for each. What they do is tested by tests/deploy."""

import re

import pytest
import yaml

from config.settings import ROOT, load
from stream_app.domain.errors import Reason
from stream_app.health.freshness import Stage
from stream_app.monitor.metrics import METRICS
from tests.house.promql import asked, unknown
from tests.house.test_docs import anchors
from tests.support.pages import prose

FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "operations.md"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
TESTS = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
CONFIG = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
PARTS = ["Means", "Affected", "Do", "Over"]


def sections():
    """Heading -> text of the page's third level."""
    parts = re.split(r"^### (.*)$", prose(PAGE).split("\n## Alerts\n")[1].split("\n## ")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_only_for_what_the_monitor_exposes(rule):
    assert unknown(rule["expr"]) == set()


def test_what_the_monitor_does_not_expose_is_seen():
    expression = 'sum by (wurst) (rate(crm_wurst{a="b"}[5m])) and on (group) crm_group_status{sink=~"x", job="y"} > 1'
    assert unknown(expression) == {"wurst", "crm_wurst", "crm_group_status{sink}"}
    assert asked(expression).metrics == {"crm_wurst": {"a"}, "crm_group_status": {"sink", "job"}}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_must(rule):
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert rule["for"]
    words = rule["annotations"]
    assert "$value" in words["summary"]
    assert re.fullmatch(r"[^\n]+[^.]\.", words["summary"])
    assert len(words["description"]) <= 140
    assert words["description"].endswith(".")
    link = re.fullmatch(r"\{\{ \$externalLabels\.docs \}\}docs/operations\.md#(.*)", words["runbook_url"])
    assert link[1] == rule["alert"].lower()
    assert link[1] in anchors(PAGE.read_text())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not_yet(rule):
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == rule["alert"]]
    assert any(case["exp_alerts"] for case in cases)
    assert any(not case["exp_alerts"] for case in cases) or rule["labels"]["severity"] == "none"


def test_the_healthy_system_of_the_tests_has_all_that_the_alerts_ask_for():
    there = {name for series in TESTS[0]["input_series"] for name in asked(series["series"]).metrics}
    assert there == {name for rule in RULES for name in asked(rule["expr"]).metrics}


def test_the_page_has_a_section_for_each_alert_and_no_other():
    assert list(sections()) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("name", sections())
def test_a_section_says_what_it_means_whom_it_affects_what_to_do_and_when_it_is_over(name):
    assert re.findall(r"^- \*\*(\w+)\.\*\* \S", sections()[name], re.MULTILINE) == PARTS
    other = set(re.findall(r"\bCrm\w+", sections()[name]))
    assert other <= {rule["alert"] for rule in RULES}


def test_settings_stages_and_reasons_in_the_page_exist():
    words = {word for text in sections().values() for word in re.findall(r"`([a-z]+_[a-z_]+)`", text)}
    words -= {word for word in words if word.startswith("crm_api_")}  # which test_docs.py looks at, on all pages
    assert words <= {*type(load()).model_fields, *Stage, *Reason, *METRICS}


def test_prometheus_is_told_where_the_monitor_and_the_api_are():
    settings = load()
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in CONFIG["scrape_configs"]}
    assert targets == {
        "crm-stats-monitor": [f"{settings.monitor_host}:{settings.monitor_port}"],
        "crm-stats-api": [f"{settings.api_host}:{settings.api_port}"],
    }
    assert CONFIG["rule_files"] == ["alerts.yaml"]
