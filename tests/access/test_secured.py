"""The product against a Kafka with an authorizer, with exactly the rights of the list, and with each one missing."""

import json
import re
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import pytest
from clickhouse_driver import Client
from pydantic import SecretStr

from config.settings import ROOT, Settings, load
from stream_app.access.errors import AccessError
from stream_app.access.rights import Right
from stream_app.cli.access import check_kafka
from stream_app.cli.rights import GOES_ON, ROLES
from stream_app.golden.records import TOPICS
from stream_app.local.errors import LocalError
from stream_app.observing.rights import missing
from tables.ledger import changelog
from tests.support.deployment import Deployment
from tests.support.issuer import SCOPE, Issuer
from tests.support.kafka import flush
from tests.support.secured import KEY_PASSWORD, Authority, Certificate, Grant, SecuredBroker
from tests.support.secured_clickhouse import SecuredClickHouse
from tests.support.secured_redis import SecuredRedis
from tests.support.waiting import SECONDS_MAX, wait_until

SETTINGS = load()
LACKING = [(role, number) for role, rights in ROLES.items() for number in range(len(rights(SETTINGS)))]
USERS = {name: f"password-of-{name}" for name in (*ROLES, *(f"{role}-{number}" for role, number in LACKING), "nobody")}


PAGE = ROOT / "docs" / "security.md"


class Stores(NamedTuple):
    """Redis and ClickHouse, which speak TLS."""

    redis: SecuredRedis
    clickhouse: SecuredClickHouse
    cafile: Path
    password: str

    def environment(self, user: str) -> dict[str, str]:
        return {
            "REDIS_URL": f"rediss://{user}@127.0.0.1:{self.redis.port}/0",
            "STREAM_APP_REDIS_PASSWORD": self.password,
            "STREAM_APP_REDIS_CAFILE": str(self.cafile),
            "CLICKHOUSE_URL": f"clickhouses://{user}@127.0.0.1:{self.clickhouse.port}",
            "STREAM_APP_CLICKHOUSE_PASSWORD": self.password,
            "STREAM_APP_CLICKHOUSE_CAFILE": str(self.cafile),
        }


def grants(principal: str, rights: list[Right]) -> list[Grant]:
    return [Grant(principal, r.operation, r.resource, r.prefix or r.name, bool(r.prefix)) for r in rights]


@pytest.fixture(scope="session")
def issuer(ca: Authority) -> Iterator[Issuer]:
    made = Issuer(USERS, ca.issue("issuer"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def broker(ca: Authority, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker that lets each role do what it must, and `ROLE-n` all of that but the n-th right."""
    made = SecuredBroker(tmp_path_factory.mktemp("secured"), ROOT / ".run" / "lib", USERS, jwks=issuer.jwks_url, ca=ca)
    for role, rights in ROLES.items():
        made.grant(grants(f"User:{role}", rights(SETTINGS)))
    for role, number in LACKING:
        rights = ROLES[role](SETTINGS)
        made.grant(grants(f"User:{role}-{number}", rights[:number] + rights[number + 1 :]))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def clients(ca: Authority) -> dict[str, Certificate]:
    """Certificates of clients, whose keys are encrypted."""
    return {name: ca.issue(name, encrypted=True) for name in ROLES}


def by_token(broker: SecuredBroker, issuer: Issuer, user: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address("SASLTLS"),
        "STREAM_APP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "STREAM_APP_KAFKA_SSL_CAFILE": str(broker.ca.file),
        "STREAM_APP_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "STREAM_APP_KAFKA_SASL_OAUTH_TOKEN_URL": issuer.token_url,
        "STREAM_APP_KAFKA_SASL_OAUTH_CLIENT_ID": user,
        "STREAM_APP_KAFKA_SASL_OAUTH_CLIENT_SECRET": broker.users[user],
        "STREAM_APP_KAFKA_SASL_OAUTH_SCOPE": SCOPE,
        "STREAM_APP_KAFKA_SASL_OAUTH_CAFILE": str(broker.ca.file),
    }


def by_certificate(broker: SecuredBroker, certificate: Certificate) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address("TLS"),
        "STREAM_APP_KAFKA_SECURITY_PROTOCOL": "SSL",
        "STREAM_APP_KAFKA_SSL_CAFILE": str(broker.ca.file),
        "STREAM_APP_KAFKA_SSL_CERTFILE": str(certificate.cert),
        "STREAM_APP_KAFKA_SSL_KEYFILE": str(certificate.key),
        "STREAM_APP_KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD,
    }


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
    golden = {SETTINGS.contract_test_topic(topic): 1 for topic in TOPICS}
    made.make_topics({changelog(SETTINGS.ledger_group): 8, **golden})
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


@pytest.fixture(scope="session")
def stores(
    ca: Authority, redis_by_tls: SecuredRedis, secured_clickhouse: SecuredClickHouse, store_password: str
) -> Stores:
    """With the users of the page."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("ACL SETUSER"):
            redis_by_tls.admin.execute_command(*line.replace(">PASSWORD", f">{store_password}").split())
    return Stores(redis_by_tls, secured_clickhouse, ca.file, store_password)


def run_as(
    broker: SecuredBroker, deployment: Deployment, user: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """A command of this user, which succeeds."""
    before = dict(deployment.env)
    deployment.env = before | sasl(broker, user) | more
    try:
        done = deployment.run_command(*arguments)
    finally:
        deployment.env = before
    assert done.returncode == 0, done.stderr
    return done


def take_commands_through(broker: SecuredBroker, deployment: Deployment, stores: Stores) -> None:
    """Each command for people, beside workers that run, with the rights of its own list."""
    assert (
        "The results hold it"
        in run_as(
            broker, deployment, "pay", "pay", "--operator", "M1", "--amount", "1", REDIS_URL=stores.redis.url
        ).stdout
    )
    producer = deployment.producer()
    producer.produce(SETTINGS.source_topic("payments"), b"{}")
    flush(producer)

    def letters(*arguments: str) -> str:
        return run_as(broker, deployment, "dead-letters", "dead-letters", *arguments).stdout

    name = wait_until("the letter is there", lambda: letters("list")).split()[1]
    assert name.startswith(SETTINGS.source_topic("payments"))
    assert "missing" in letters("show", name)
    assert name in letters("redrive", "--all", "--yes")
    assert wait_until("its record is a letter again", lambda: letters("list")).split()[1] != name
    assert "dropped" in letters("drop", "--all", "--yes")
    assert '"view"' in run_as(broker, deployment, "contract-test", "contract-test").stdout
    folder = str(deployment.run.state / "rebuild")
    counted = ("rebuild", "--state-dir", folder, "--from-sources", "--partitions", "3")
    as_worker = stores.environment("worker")
    assert "Rebuilt." in run_as(broker, deployment, "rebuild", *counted, **as_worker).stdout
    dropped = run_as(broker, deployment, "rebuild", "rebuild", "--drop").stdout
    assert changelog(SETTINGS.ledger_group) in dropped
    assert SETTINGS.events in dropped
    deployment.run_command("up", "--servers-only").check_returncode()
    deployment.make_topics({changelog(SETTINGS.ledger_group): 8, SETTINGS.events: 8})
    deployment.partitions = 3


def test_the_whole_path_runs_with_the_rights_of_the_page_by_each_way_to_authenticate(
    broker, issuer, clients, deployment, stores, ca, tmp_path
):
    serving = ca.issue("api", encrypted=True)
    password = tmp_path / "password"
    password.write_text(f"{broker.users['monitor']}\n")
    base = deployment.env | {
        "STREAM_APP_API_SSL_CERTFILE": str(serving.cert),
        "STREAM_APP_API_SSL_KEYFILE": str(serving.key),
        "STREAM_APP_API_SSL_KEY_PASSWORD": KEY_PASSWORD,
        "STREAM_APP_API_SSL_CAFILE": str(ca.file),
        "STREAM_APP_MONITOR_PROBE_MS": "1000",
    }
    over_tls = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address("SASLTLS"),
        "STREAM_APP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "STREAM_APP_KAFKA_SSL_CAFILE": str(ca.file),
    }
    ways = [
        by_token(broker, issuer, "worker"),
        by_certificate(broker, clients["worker"]),
        sasl(broker, "worker", STREAM_APP_KAFKA_SASL_MECHANISM="SCRAM-SHA-512", **over_tls),
    ]
    workers = [f"worker-{number}" for number in range(1, len(ways) + 1)]
    before = dict(deployment.env)
    for future in deployment.admin.delete_topics([SETTINGS.topic_groups]).values():
        future.result(SECONDS_MAX)
    assert f"Made the topics {SETTINGS.topic_groups}" in run_as(broker, deployment, "up", "up", "--servers-only").stderr
    for number, way in enumerate(ways, 1):
        deployment.env = base | stores.environment("worker") | way
        deployment.start_worker(number)
    for number in range(1, len(ways) + 1):
        deployment.wait_ready(number)
    deployment.env = base | stores.environment("api")
    deployment.start("api", "api")
    deployment.env = base | stores.environment("monitor") | sasl(broker, "monitor")
    del deployment.env["STREAM_APP_KAFKA_SASL_PASSWORD"]
    deployment.env["STREAM_APP_KAFKA_SASL_PASSWORD_FILE"] = str(password)
    deployment.start("monitor", "monitor")
    deployment.env = before | sasl(broker, "importer", STREAM_APP_KAFKA_SASL_MECHANISM="SCRAM-SHA-256")
    done = deployment.run_command("simulate", "--months", "2", "--customers", "5", "--operators", "1")
    assert done.returncode == 0, done.stderr
    deployment.env = before
    token = deployment.token("--operator", "M1")
    trusted = ssl.create_default_context(cafile=ca.file)

    def ask(address: str, **how: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if how else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(address, None, headers), timeout=5, **how) as answer:
                return json.load(answer)
        except HTTPError as error:
            error.close()
        except OSError:
            pass
        return {}

    api = f"{deployment.api.replace('http:', 'https:')}/smart-bi/crm"
    months = wait_until(
        "the API answers", lambda: ask(f"{api}/monthlyIndex?operatorId=M1", context=trusted).get("data")
    )
    assert len(months["months"]) == 6
    status = f"http://127.0.0.1:{deployment.env['STREAM_APP_MONITOR_PORT']}/status"

    def is_well() -> Any:
        for name in (*workers, "api", "monitor"):
            assert deployment.process(name).poll() is None, deployment.log(name)[-3000:]
        seen = ask(status)
        groups, probes = seen.get("groups", []), seen.get("probes", [])
        is_seen = len(groups) == 2 and all(group["status"] == "OK" for group in groups)
        return is_seen and len(probes) == 3 and all(probe["count"] for probe in probes) and seen

    seen = wait_until("the monitor sees both groups well, and probes arrive everywhere", is_well)
    assert seen["kafka"]["failure"] is None
    take_commands_through(broker, deployment, stores)
    clickhouse = Client.from_url(stores.clickhouse.url)
    ((rows,),) = clickhouse.execute("SELECT count() FROM energy_smart_bi.ads_operation_crm_monthly_current")
    clickhouse.disconnect()
    assert rows > 0
    for name in (*workers, "api", "monitor"):
        deployment.stop(name)
    said = "".join(path.read_text(errors="replace") for path in deployment.run.root.glob("*.log")) + json.dumps(seen)
    assert "NOPERM" not in said
    assert [secret for secret in (*broker.users.values(), KEY_PASSWORD, stores.password) if secret in said] == []


@pytest.mark.parametrize(("role", "number"), LACKING)
def test_each_right_that_is_taken_away_is_named(broker, deployment, role, number, capsys):
    """And only an optional topic is gone on without."""
    del deployment  # made the topics
    right = ROLES[role](SETTINGS)[number]
    if right.name == SETTINGS.topic_groups and role in GOES_ON:
        check_kafka(settings_of(broker, f"{role}-{number}"), role)
        said = f"the user {role}-{number} lacks {right.operation} on the topic crm.groups, which is optional and left out.\n"
        assert said in capsys.readouterr().err
        return
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


COMMANDS = {
    "worker": "worker",
    "monitor": "monitor",
    "simulate": "importer",
    "pay --operator M1 --amount 1 --currency EUR": "pay",
    "dead-letters list": "dead-letters",
    "rebuild": "rebuild",
    "up --servers-only": "up",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_program_without_a_right_ends_with_one_sentence(broker, deployment, command):
    role = COMMANDS[command]
    command, *arguments = command.split()
    base = dict(deployment.env)
    deployment.env = base | sasl(broker, f"{role}-0")
    done = deployment.run_command(command, *arguments)
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


def test_a_wrong_secret_of_a_client_is_one_sentence(broker, issuer):
    chosen = settings_of(
        broker, "", kafka_sasl_mechanism="OAUTHBEARER", kafka_sasl_oauth_token_url=issuer.token_url,
        kafka_sasl_oauth_client_id="worker", kafka_sasl_oauth_client_secret=SecretStr("no-one-reads-this"),
        kafka_sasl_oauth_scope=SCOPE, kafka_sasl_oauth_cafile=str(broker.ca.file),
    )  # fmt: skip
    sentence = f"the token endpoint {issuer.token_url} refuses the client worker: it answers 401"
    with pytest.raises(AccessError, match=f"^{re.escape(sentence)}$"):
        check_kafka(chosen, "worker")


def by_tls(broker: SecuredBroker, certificate: Certificate | None, cafile: Path, password: str = "") -> Settings:
    told = {
        "kafka_bootstrap_servers": broker.address("TLS"),
        "kafka_security_protocol": "SSL",
        "kafka_ssl_cafile": str(cafile),
    }
    if certificate is not None:
        told |= {"kafka_ssl_certfile": str(certificate.cert), "kafka_ssl_keyfile": str(certificate.key)}
    return load().model_copy(update=told | {"kafka_ssl_key_password": SecretStr(password)})


@pytest.mark.parametrize("kind", ["none", "foreign", "expired"])
def test_a_certificate_of_a_client_that_the_broker_refuses_is_one_sentence(broker, tmp_path, kind):
    issuing = {"foreign": Authority(tmp_path, "other"), "expired": broker.ca}.get(kind)
    certificate = issuing and issuing.issue(f"{kind}-client", days=-1 if kind == "expired" else 30)
    who = f"the certificate {certificate.cert}" if certificate else "a client without a certificate"
    with pytest.raises(AccessError, match=f"^Kafka at {broker.address('TLS')} refuses {who}: [a-z ]+$"):
        check_kafka(by_tls(broker, certificate, broker.ca.file), "worker")


def test_a_broker_of_a_foreign_ca_is_one_sentence(broker, tmp_path):
    other = Authority(tmp_path, "other")
    with pytest.raises(
        AccessError, match=f"^the certificate of Kafka at {broker.address('TLS')} is signed by no CA that "
    ):
        check_kafka(by_tls(broker, None, other.file), "worker")


@pytest.mark.parametrize("command", ["worker", "monitor", "simulate"])
def test_a_program_with_a_wrong_password_ends_at_once_with_one_sentence(broker, deployment, command):
    base = dict(deployment.env)
    deployment.env = base | sasl(broker, "worker", STREAM_APP_KAFKA_SASL_PASSWORD="no-one-reads-this")
    done = deployment.run_command(command)
    deployment.env = base
    assert done.returncode == 1
    assert done.stderr.startswith(f"stream-app {command}: Kafka at {broker.address('SASL')} refuses the user worker: ")
    assert len(done.stderr.splitlines()) == 1
    assert "no-one-reads" not in done.stderr + done.stdout


def test_a_worker_goes_on_without_the_right_to_an_optional_topic(broker, deployment):
    rights = ROLES["worker"](SETTINGS)
    (number,) = [n for n, right in enumerate(rights) if right[:3] == ("Read", "topic", SETTINGS.topic_groups)]
    base = dict(deployment.env)
    deployment.env = base | sasl(broker, f"worker-{number}")
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.env = base
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    assert f"the right to describe the source topic {SETTINGS.topic_groups} is missing: is left out" in deployment.log(
        "worker-1"
    )
    deployment.stop("worker-1")
