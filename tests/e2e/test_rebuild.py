"""`stream-app rebuild`, end to end: beside workers that serve, with records coming in, killed on the way, by other rules, to other partitions."""

import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence

import pytest

from tests.support.deployment import PROGRAM, ROOT, Deployment
from tests.support.exactness import check, deployed
from tests.support.kafka import flush
from tests.support.live import Watch, produce, traffic
from tests.support.scenario import Send, build
from tests.support.waiting import wait_until

ENTITIES = 2500


def _rebuild(deployment: Deployment, *arguments: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "rebuild", "--state-dir", str(deployment.run.state / "rebuild"), *arguments]
    return subprocess.run(
        command, check=False, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )


def _succeeds(deployment: Deployment, *arguments: str) -> str:
    done = _rebuild(deployment, *arguments)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def _generations(deployment: Deployment) -> set[int]:
    """Those of which there are documents in Redis."""
    bodies = deployment.redis.mget(deployment.redis.keys("crm:{*}:monthly:*"))
    return {json.loads(body)["version"] >> 40 for body in bodies if body is not None}


def _sent(deployment: Deployment, sends: Sequence[Send]) -> int:
    producer = deployment.producer()
    for each in sends:
        produce(producer, each)
    flush(producer)
    return deployment.now_ms()


def test_a_second_generation_takes_over_under_load_though_it_is_killed_on_the_way(deploy: Callable[..., Deployment]):
    """Readers see no version and no as-of fall, and in the end all outputs equal the oracle, at the next generation's versions."""
    deployment, rng = deployed(deploy), random.Random(3)
    sends = build(3, ENTITIES, deployment.now_ms())
    first, rest = sends[: len(sends) // 2], sends[len(sends) // 2 :]
    deployment.wait_as_of(_sent(deployment, first), names=["worker-1", "worker-2"])

    with traffic(deployment, rest, per_second=100), Watch(deployment) as watch:
        nothing = _succeeds(deployment, "--diff")
        assert "records of results would change" not in nothing, nothing
        assert "Nothing would change" in nothing
        for _ in range(2):
            process = deployment.start(
                "rebuild", "rebuild", "--state-dir", str(deployment.run.state / "rebuild"), "--from-sources"
            )
            time.sleep(rng.uniform(1, 6))
            if process.poll() is None:
                deployment.kill("rebuild")
        _succeeds(deployment)
        wait_until("documents are those of the second generation", lambda: _generations(deployment) == {2})
        assert deployment.process("worker-1").poll() is None, "workers go on, as workers of the second generation"
    assert watch.looks > 5
    assert watch.falls == []
    check(deployment, deployment.now_ms())
    assert "Dropped: crm-stats-ledger-1" in _succeeds(deployment, "--drop")


def test_another_number_of_partitions(deploy: Callable[..., Deployment]):
    """The events topic is copied into one of three partitions; ingest goes on there; as-of is told by three partitions."""
    deployment = deployed(deploy)
    sends = build(4, ENTITIES, deployment.now_ms())
    first, rest = sends[: len(sends) // 2], sends[len(sends) // 2 :]
    deployment.wait_as_of(_sent(deployment, first), names=["worker-1", "worker-2"])
    with traffic(deployment, rest, per_second=100), Watch(deployment) as watch:
        _succeeds(deployment, "--partitions", "3")
    assert watch.looks > 5
    assert watch.falls == []
    deployment.partitions = 3
    check(deployment, deployment.now_ms())


@pytest.mark.parametrize("months", ["7"])
def test_the_difference_of_a_changed_rule_is_shown_and_nothing_is_changed(
    deploy: Callable[..., Deployment], months: str
):
    """A shorter retention: workers of that setting refuse the old state in one sentence, the difference names what would go, a rebuild does it."""
    deployment = deployed(deploy)
    sends = build(5, ENTITIES, deployment.now_ms())
    deployment.wait_as_of(_sent(deployment, sends), names=["worker-1", "worker-2"])
    deployment.env["STREAM_APP_RETENTION_MONTHS"] = months
    deployment.kill("worker-2")
    deployment.start_worker(2)
    wait_until("the worker ends", lambda: deployment.process("worker-2").poll() is not None)
    assert (
        f"was counted by other rules (retention_months: 13, now {months}): run `stream-app rebuild`"
        in deployment.log("worker-2")
    )
    found = _succeeds(deployment, "--diff")
    assert "records of results would change" in found
    assert re.search(r"record +there +-", found)
    assert _generations(deployment) == {1}
    rebuild = deployment.start("rebuild", "rebuild", "--state-dir", str(deployment.run.state / "rebuild"))
    wait_until("the second generation serves", lambda: 2 in _generations(deployment))
    deployment.start_worker(2)  # of the new setting; the other one, of the old setting, can't go on with this state
    deployment.wait_ready(2)
    assert rebuild.wait(300) == 0
    assert re.search(
        r"^[1-9][\d,]* records that are no longer true are zeros now, or removed",
        deployment.log("rebuild"),
        re.MULTILINE,
    )
    deployment.wait_as_of(deployment.now_ms(), names=["worker-2"])
    # As-of speaks for documents that are there, not for those of groups that are gone.
    wait_until("documents of the first generation are gone", lambda: _generations(deployment) == {2})
