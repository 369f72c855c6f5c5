"""A deployment of two workers, fed with a scenario, and all of its outputs held against the oracle."""

from collections.abc import Callable
from typing import Any

from tests.oracle import TOPICS
from tests.support import outputs
from tests.support.deployment import Deployment


def deployed(deploy: Callable[..., Deployment], **settings: Any) -> Deployment:
    """Two workers, ready."""
    deployment = deploy(**settings)
    for name in TOPICS.values():  # some records have timestamps of their own
        deployment.keep_for_ever(name)
    for number in (1, 2):
        deployment.start_worker(number)
    for number in (1, 2):
        deployment.wait_ready(number)
    return deployment


def check(deployment: Deployment, sent_ms: int) -> None:
    """Once everything that was sent has come through, all outputs equal the oracle."""
    deployment.wait_as_of(sent_ms, names=["worker-1", "worker-2"])
    deployment.start_api()
    records = outputs.source_records(deployment)
    wanted = outputs.expected(records, sent_ms)
    assert len(wanted.monthly) > 500
    assert len(set(wanted.bad.values())) >= 12, "bad records of every kind"
    outputs.check(deployment, lambda now_ms: outputs.expected(records, sent_ms, now_ms=now_ms))
