"""Workers of the first version are replaced one by one while records come in, and the results are exact before, after, and when counted again.

The first version kept no energy: what it had read counts without, until a rebuild reads the sources again.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import first_version, outputs
from tests.support.deployment import ROOT, Deployment
from tests.support.exactness import deployed
from tests.support.kafka import read_topic
from tests.support.live import Watch, traffic
from tests.support.scenario import Send, build, send
from tests.support.service import DATABASE
from tests.support.waiting import wait_until

ENTITIES = 1000
EVENTS = "crm-stats.events-1"
PER_SECOND = 60
SENTENCE = "a frame of format 2, this version reads 1"
ENERGY_COLUMNS = {"energy_kwh", "per_capita_energy", "anonymous_energy_kwh"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return first_version.unpack(tmp_path / "first-version")


def _begin(deploy: Callable[..., Deployment], tree: Path, sends: Sequence[Send]) -> Deployment:
    """Two workers of the first version that have read these records; what is started from now on is of this version."""
    deployment = deployed(deploy, checkout=tree)
    send(deployment.kafka, sends)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1", "worker-2"])
    deployment.use(ROOT)
    return deployment


def _end(deployment: Deployment, name: str) -> None:
    """As a supervisor does: by a signal, and by another one where a worker of the first version hangs while it ends."""
    process = deployment.process(name)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        assert SENTENCE in deployment.log(name)
        deployment.kill(name)


def _check(deployment: Deployment, names: Sequence[str], *, is_read_again: bool) -> None:
    """All outputs. Before the sources were read again, what the first version did not keep is unknown, and what it refused is not there."""
    sent_ms = deployment.now_ms()
    deployment.wait_as_of(sent_ms, names=names)
    records = outputs.source_records(deployment)
    letters = {outputs.place_of(letter) for letter in read_topic(deployment.kafka, outputs.DEAD_LETTERS)}
    wanted = outputs.expected(records, sent_ms)
    read, without = records, set()
    refused = first_version.refused(records, letters, wanted.bad)
    assert refused
    if not is_read_again:
        events = read_topic(deployment.kafka, EVENTS)
        by_format = first_version.in_frames(record.value for record in events if record.value)
        without = by_format[True] - by_format[False]  # only the first version has read them: their energy is unknown
        assert len(without) > 300
        # What the first version refused, and had not committed when it ended, was read again by rules of today.
        read = [record for record in records if record.place not in refused or record.place in by_format[False]]
        wanted = outputs.expected(read, sent_ms, without)
    assert len(wanted.monthly) > 300
    outputs.check(deployment, lambda now_ms: outputs.expected(read, sent_ms, without, now_ms), refused)
    columns = deployment.clickhouse.execute(f"DESCRIBE TABLE {DATABASE}.ads_operation_crm_monthly")
    assert {name for name, *_ in columns} >= ENERGY_COLUMNS


def _parts(seed: int, *shares: float) -> list[list[Send]]:
    """A scenario in parts, by where each begins; what only today's rules refuse comes last, when no worker of the first version is left."""
    sends = sorted(build(seed, ENTITIES, int(time.time() * 1000)), key=lambda one: first_version.would_take(one.value))
    edges = [round(len(sends) * share) for share in (*shares, 1)]
    return [sends[start:end] for start, end in pairwise(edges)]


def test_workers_are_replaced_one_by_one_and_energy_is_exact_once_the_sources_were_read_again(deploy, tree):
    """With what the first version had counted, with what comes meanwhile, and after a rebuild under traffic."""
    before, meanwhile, later = _parts(1, 0, 0.5, 0.85)
    deployment = _begin(deploy, tree, before)
    assert not any(b"energyKwh" in deployment.redis.get(key) for key in deployment.redis.scan_iter("crm:{*}:monthly:*"))
    with Watch(deployment) as watch:
        with traffic(deployment, meanwhile, per_second=PER_SECOND):
            for number in (1, 2):
                _end(deployment, f"worker-{number}")
                deployment.start_worker(number)
                deployment.wait_ready(number)
        deployment.start_api()
        _check(deployment, ["worker-1", "worker-2"], is_read_again=False)
        with traffic(deployment, later, per_second=PER_SECOND):
            done = deployment.run_command(
                "rebuild", "--from-sources", "--state-dir", str(deployment.run.state / "rebuild")
            )
            assert done.returncode == 0, done.stderr
        _check(deployment, ["worker-1", "worker-2"], is_read_again=True)
    assert watch.falls == []
    assert watch.looks > 50


def test_a_worker_of_the_first_version_that_is_left_running_harms_nothing(deploy, tree):
    """Two of them, in truth: each goes on with its partitions until it meets a frame that it can't read. Then others have them."""
    before, meanwhile, later = _parts(2, 0, 0.5, 0.85)
    deployment = _begin(deploy, tree, before)
    with Watch(deployment) as watch:
        with traffic(deployment, meanwhile, per_second=PER_SECOND):
            deployment.start_worker(3)
            deployment.start_worker(4)
            deployment.wait_ready(3)
            deployment.wait_ready(4)
            for name in ("worker-1", "worker-2"):
                wait_until(f"{name} has met what it can't read", lambda: SENTENCE in deployment.log(name))  # noqa: B023
        send(deployment.kafka, later)
        deployment.start_api()
        _check(deployment, ["worker-3", "worker-4"], is_read_again=False)
    assert watch.falls == []
