"""What docs/recovery.md says of lost disks, sinks and topics, by its own commands: the state comes from topics alone."""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from config.settings import ROOT
from stream_app.access.kafka import KafkaAccess
from stream_app.kafka.replay import replay
from stream_app.partition.store import Store, new_cache
from tests.support import outputs
from tests.support.deployment import Deployment
from tests.support.pages import blocks_of, section, type_line
from tests.support.scenario import build, send
from tests.support.waiting import SECONDS_MAX, wait_until

PAGE = ROOT / "docs" / "recovery.md"
GROUP = "crm-stats-ledger-1"
CHANGELOG = f"{GROUP}-ledger-changelog"
ENTITIES = 800


def _rows(path: Path, partition: int) -> dict[bytes, bytes]:
    store = Store(path / str(partition), new_cache(8))
    try:
        return {key: value for key, value in store.scan(b"") if key != b"l"}
    finally:
        store.close()


def _kill(deployment: Deployment) -> None:
    """What runs of ours. The servers are the deployment's."""
    for name in ("worker-1", "api", "monitor"):
        if (file := deployment.run.pid_file(name)).exists():
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)


def _lose(deployment: Deployment, topics: Sequence[str]) -> None:
    """Redis, ClickHouse and the disks of workers, whole; and these topics. What runs of ours is killed."""
    _kill(deployment)
    for name in ("redis", "clickhouse"):
        deployment.restart_server(name, empty=True)
    shutil.rmtree(deployment.run.state)
    for done in deployment.admin.delete_topics(list(topics)).values():
        done.result(SECONDS_MAX)
    wait_until("topics are gone", lambda: not set(topics) & deployment.admin.list_topics(timeout=20).topics.keys())


def _restore(deployment: Deployment, heading: str) -> None:
    """Type the commands of the page's section, with one worker."""
    typed = [line for block in blocks_of(section(PAGE, heading), "sh") for line in block.splitlines()]
    assert any("make up" in line for line in typed)
    for line in typed:
        done = type_line(line, {**deployment.env, "WORKERS": "1"})
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


def _check(deployment: Deployment, sent_ms: int) -> dict[bytes, int]:
    """Once all is there, all outputs equal the oracle; versions of the documents."""
    deployment.wait_as_of(deployment.now_ms())
    records = outputs.source_records(deployment)
    assert len(outputs.expected(records, sent_ms).monthly) > 200
    outputs.check(deployment, lambda now_ms: outputs.expected(records, sent_ms, now_ms=now_ms))
    keys = [key for kind in ("monthly", "distribution") for key in deployment.redis.scan_iter(f"crm:{{*}}:{kind}:*")]
    return {key: json.loads(deployment.redis.get(key))["version"] for key in keys}


@pytest.mark.usefixtures("whole_batches")
async def test_the_state_comes_from_topics_alone(deploy, tmp_path, observe):
    """A disk from the changelog, row by row; everything from the events topic; everything from the source topics. Results equal the oracle each time."""
    deployment = deploy(monitor_probe_ms="0")  # the oracle knows no probes
    sends = build(7, ENTITIES, deployment.now_ms())
    for topic in {one.topic for one in sends}:  # some records have timestamps of their own
        deployment.keep_for_ever(topic)
    deployment.start_worker(1)
    deployment.wait_ready(1)
    send(deployment.kafka, sends)
    sent_ms = deployment.now_ms()
    deployment.wait_as_of(sent_ms, names=["worker-1"])
    assert deployment.stop("worker-1") == 0

    assert (await observe(deployment.kafka).retention([CHANGELOG]))[CHANGELOG].tombstones_ms == 7 * 24 * 3_600_000
    held = {p: _rows(deployment.run.state / "worker-1" / GROUP, p) for p in range(8)}
    assert sum(map(len, held.values())) > 1000
    (tmp_path / "new").mkdir()
    stores = {p: Store(tmp_path / "new" / str(p), new_cache(8)) for p in range(8)}
    await replay(KafkaAccess(deployment.kafka), CHANGELOG, stores)
    for store in stores.values():
        store.close()
    assert {p: _rows(tmp_path / "new", p) for p in range(8)} == held

    documents = deployment.redis.mget(list(deployment.redis.scan_iter("crm:{*}:monthly:*")))
    assert {json.loads(each)["version"] >> 40 for each in documents} == {1}
    try:
        _lose(deployment, [CHANGELOG, *outputs.RESULTS])
        _restore(deployment, "The events topic is left")
        second = _check(deployment, sent_ms)
        assert {version >> 40 for version in second.values()} == {2}
        changelog = CHANGELOG.replace(GROUP, GROUP.replace("1", "2"))
        _lose(
            deployment,
            [changelog, *outputs.RESULTS, outputs.DEAD_LETTERS, "crm-stats.events-1", "crm-stats.generations"],
        )
        _restore(deployment, "Only source topics are left")
        third = _check(deployment, sent_ms)
        assert {version >> 40 for version in third.values()} == {3}, (
            "versions are above all of before: who kept a copy takes them"
        )
    finally:
        _kill(deployment)
