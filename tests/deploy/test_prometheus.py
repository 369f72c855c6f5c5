"""The alerts as Prometheus reads them: promtool checks them and runs their tests, which are in deploy/prometheus/alerts_test.yaml."""

import json
import shutil

import pytest
import yaml

from config.settings import ROOT

FOLDER = ROOT / "deploy" / "prometheus"


@pytest.mark.parametrize("words", ["check rules alerts.yaml", "check config prometheus.yaml"])
def test_promtool_finds_nothing_wrong(promtool, words):
    said, is_content = promtool(*words.split())
    assert is_content, said


def test_each_alert_fires_when_it_must_and_none_in_a_healthy_system(promtool):
    said, is_content = promtool("test", "rules", "alerts_test.yaml")
    assert is_content, said


def test_an_alert_that_never_fires_or_fires_too_soon_is_seen(promtool, tmp_path):
    """Each alert's tests fail when it asks for nothing, and when it does not wait."""
    shutil.copy(FOLDER / "alerts_test.yaml", tmp_path)
    text = (FOLDER / "alerts.yaml").read_text()
    alerts = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    for change in ({"expr": "vector(1) > 2"}, {"for": "0s"}):
        changed = [{**rule, **change} for rule in alerts]
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "changed", "rules": changed}]}))
        said, _ = promtool("test", "rules", "alerts_test.yaml", cwd=tmp_path)
        seen = {rule["alert"] for rule in changed if f"alertname: {rule['alert']}, time:" in said}
        assert seen >= {rule["alert"] for rule in alerts if rule["for"] != change.get("for")}


def test_every_query_of_the_dashboard_is_promql(promtool, tmp_path):
    """Debian's promtool has no command for an expression; a recording rule is one."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "crm-stats.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(asked)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    said, is_content = promtool("check", "rules", "rules.yaml", cwd=tmp_path)
    assert is_content, said
    assert f"{len(asked)} rules found" in said
