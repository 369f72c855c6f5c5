"""Prometheus itself, as deploy/prometheus tells it, on the monitor of a whole deployment: the alerts and the dashboard see what is really there."""

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from config.settings import ROOT
from stream_app.local.ports import free_port
from tests.support.waiting import wait_until

FOLDER = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "crm-stats.json").read_text())
NOT_OK, USUAL = "Partitions that are not OK", "Age of the last record, and what is usual"
QUERIES = [
    (panel["title"], target["expr"].replace("$group", ".*").replace("$sink", ".*"))
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]


class Prometheus:
    """One that scrapes and judges each second, for nobody here has hours."""

    def __init__(self, program, folder, targets):
        config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.base = f"http://127.0.0.1:{port}/api/v1/"
        self.log = (folder / "prometheus.log").open("w")
        words = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
        words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        self.process = subprocess.Popen([program, *words], stdout=self.log, stderr=self.log, cwd=folder)

    def ask(self, path, **query):
        """The data of an answer; None while it does not answer."""
        assert self.process.poll() is None, Path(self.log.name).read_text()
        try:
            with urllib.request.urlopen(f"{self.base}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503:  # which it says while it starts
                raise
            return None
        except urllib.error.URLError:
            return None

    def alerts(self):
        """The names of those that fire or are about to, for their time has not passed yet."""
        return {alert["labels"]["alertname"] for alert in (self.ask("alerts") or {"alerts": []})["alerts"]}

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def well(deploy):
    """A deployment in which all is well, watched by its monitor."""
    deployment = deploy(monitor_interval_ms="500")
    deployment.start_worker(1)
    deployment.start("monitor", "monitor")
    deployment.start_api()
    deployment.wait_ready(1)
    return deployment


@pytest.fixture
def prometheus(well, prometheus_bin, tmp_path):
    targets = {
        "crm-stats-monitor": f"127.0.0.1:{well.env['STREAM_APP_MONITOR_PORT']}",
        "crm-stats-api": well.api.removeprefix("http://"),
    }
    found = Prometheus(prometheus_bin / "prometheus", tmp_path, targets)
    yield found
    found.end()


def test_alerts_and_dashboard_see_what_is_there(well, prometheus):
    """Nothing is about to fire while all is well; then letters; then, a worker being killed, its groups; every panel has its series."""
    jobs = wait_until(
        "both are scraped",
        lambda: (
            (found := prometheus.ask("targets"))
            and (targets := found["activeTargets"])
            and all(target["health"] == "up" for target in targets)
            and {target["labels"]["job"] for target in targets}
        ),
    )
    assert jobs == {"crm-stats-monitor", "crm-stats-api"}
    wait_until("only the watchdog is left", lambda: prometheus.alerts() == {"CrmWatchdog"})

    well.send_payments(500)
    letters = {"CrmDeadLetters", "CrmDeadLettersMany"}
    wait_until("letters are told", lambda: prometheus.alerts() == {"CrmWatchdog", *letters})
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok" or rule.get("lastError")] == []

    # While all is well no broker is away, nothing is about to be lost or not well, and a topic of today has no usual hour.
    unseen = {"Brokers that are away", "Records are lost in", NOT_OK, USUAL}
    missing = dict.fromkeys(query for query in QUERIES if query[0] not in unseen)

    def all_seen():
        for title, expr in list(missing):
            if prometheus.ask("query", query=expr)["result"]:
                del missing[title, expr]
        return not missing

    try:
        wait_until("every panel has its series", all_seen)
    except AssertionError as error:
        raise AssertionError(f"{error}: {list(missing)}") from None
    well.kill("worker-1")
    wait_until("its groups are missed", lambda: "CrmGroupStopped" in prometheus.alerts())
    not_ok = next(expr for title, expr in QUERIES if title == NOT_OK)
    wait_until("the dashboard says so", lambda: prometheus.ask("query", query=not_ok)["result"])
