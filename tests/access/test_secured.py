"""The product against a Kafka with an authorizer, with exactly the rights of the list, and with each one missing."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import ROOT, Settings, load
from stream_app.access.errors import AccessError
from stream_app.access.rights import Right
from stream_app.cli.access import check_kafka
from stream_app.cli.rights import ROLES
from stream_app.local.errors import LocalError
from stream_app.observing.rights import missing
from tables.ledger import changelog
from tests.support.deployment import Deployment
from tests.support.secured import Grant, SecuredBroker
from tests.support.waiting import wait_until

SETTINGS = load()
LACKING = [(role, number) for role, rights in ROLES.items() for number in range(len(rights(SETTINGS)))]
USERS = {name: f"password-of-{name}" for name in (*ROLES, *(f"{role}-{number}" for role, number in LACKING), "nobody")}


def grants(principal: str, rights: list[Right]) -> list[Grant]:
    return [Grant(principal, r.operation, r.resource, r.prefix or r.name, bool(r.prefix)) for r in rights]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker that lets each role do what it must, and `ROLE-n` all of that but the n-th right."""
    made = SecuredBroker(tmp_path_factory.mktemp("secured"), ROOT / ".run" / "lib", USERS)
    for role, rights in ROLES.items():
        made.grant(grants(f"User:{role}", rights(SETTINGS)))
    for role, number in LACKING:
        rights = ROLES[role](SETTINGS)
        made.grant(grants(f"User:{role}-{number}", rights[:number] + rights[number + 1 :]))
    try:
        yield made
    finally:
        made.close()


def sasl(broker: SecuredBroker, user: str, **more: str) -> dict[str, str]:
    """The environment of a process of this user."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address("SASL"),
        "STREAM_APP_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "STREAM_APP_KAFKA_SASL_USERNAME": user,
        "STREAM_APP_KAFKA_SASL_PASSWORD": broker.users.get(user, ""),
        **more,
    }


@pytest.fixture(scope="session")
def deployment(broker: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Topics made by the administrator, and no process of ours."""
    made = Deployment(tmp_path_factory.mktemp("stack"), kafka=broker.address("ADMIN"))
    made.make_topics({changelog(SETTINGS.ledger_group): 8})
    try:
        yield made
    finally:
        made.close()


def settings_of(broker: SecuredBroker, user: str, **changes: object) -> Settings:
    told = {
        "kafka_bootstrap_servers": broker.address("SASL"),
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_username": user,
        "kafka_sasl_password": SecretStr(broker.users.get(user, "")),
    }
    return load().model_copy(update=told | changes)


def test_the_whole_path_runs_with_the_rights_of_the_list(broker, deployment):
    base = dict(deployment.env)
    deployment.env = base | sasl(broker, "worker")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.env = base | sasl(broker, "monitor")
    deployment.start("monitor", "monitor")
    deployment.env = base | sasl(broker, "importer")
    done = deployment.run_command("simulate", "--months", "1", "--customers", "5", "--operators", "1")
    assert done.returncode == 0, done.stderr
    deployment.env = base
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1", "monitor"])
    assert b"M1" in deployment.redis.hkeys("crm:operators")

    def document() -> dict[str, Any]:
        address = f"http://127.0.0.1:{deployment.env['STREAM_APP_MONITOR_PORT']}/status"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def is_well() -> bool:
        groups = document().get("groups", [])
        return len(groups) == 2 and all(group["status"] == "OK" for group in groups)

    wait_until("the monitor sees both groups well", is_well)
    seen = document()
    assert seen["kafka"]["failure"] is None
    for name in ("worker-1", "monitor"):
        assert deployment.process(name).poll() is None
    deployment.stop("monitor")
    deployment.stop("worker-1")
    said = "".join(path.read_text(errors="replace") for path in deployment.run.root.glob("*.log"))
    assert [secret for secret in broker.users.values() if secret in said + json.dumps(seen)] == []


@pytest.mark.parametrize(("role", "number"), LACKING)
def test_each_right_that_is_taken_away_is_named(broker, deployment, role, number):
    del deployment  # made the topics
    right = ROLES[role](SETTINGS)[number]
    with pytest.raises(LocalError) as caught:
        check_kafka(settings_of(broker, f"{role}-{number}"), role)
    assert str(caught.value) == (
        f"Kafka does not let the user {role}-{number} work: "
        f"it lacks {right.operation} on the {right.resource} {right.name} (docs/security.md)."
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_whole_list_lacks_nothing(broker, deployment, role):
    del deployment
    check_kafka(settings_of(broker, role), role)


async def test_the_right_to_create_is_known_of_topics_that_dont_exist(broker):
    new = Right("Create", "topic", "crm-stats-ledger-7-ledger-changelog")
    assert await missing(settings_of(broker, "worker").kafka, [new]) == []
    assert await missing(settings_of(broker, "monitor").kafka, [new]) == [new]


@pytest.mark.parametrize("command", ["worker", "monitor", "simulate"])
def test_a_program_without_a_right_ends_with_one_sentence(broker, deployment, command):
    role = "importer" if command == "simulate" else command
    base = dict(deployment.env)
    deployment.env = base | sasl(broker, f"{role}-0")
    done = deployment.run_command(command)
    deployment.env = base
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"stream-app {command}: Kafka does not let the user {role}-0 work: it lacks "
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_one_sentence(broker, mechanism):
    chosen = settings_of(
        broker, "worker", kafka_sasl_mechanism=mechanism, kafka_sasl_password=SecretStr("no-one-reads-this")
    )
    with pytest.raises(AccessError, match=f"^Kafka at {broker.address('SASL')} refuses the user worker: ") as caught:
        check_kafka(chosen, "worker")
    assert "no-one-reads" not in str(caught.value)
    check_kafka(settings_of(broker, "worker", kafka_sasl_mechanism=mechanism), "worker")
