"""Dockerfile and compose.yaml say what the service and the local stack say. No engine is needed: what they would run is looked at, not run."""

import json
import re
import tomllib
from urllib.parse import urlsplit

import pytest
import typer.main
import yaml

from config.settings import ROOT, Settings, load
from stream_app.cli import COMMANDS
from stream_app.cli import load as load_command
from stream_app.local import clickhouse_server, downloads, kafka_server, redis_server
from stream_app.local.errors import LocalError
from stream_app.local.stack import APP_STOP_SECONDS_MAX

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VARIABLES = {field.alias or f"STREAM_APP_{name.upper()}" for name, field in Settings.model_fields.items()}
VARIABLES |= {"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "CLICKHOUSE_URL", "STREAM_APP_RUN"}


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def instruction(word):
    """The last instruction of this name in the Dockerfile."""
    return re.findall(rf"^ *{word} +(.*)$", DOCKERFILE, re.MULTILINE)[-1]


def environment(service):
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def test_what_is_copied_is_there_and_not_left_out_of_the_context():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [name for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_holds_all_packages_of_the_service():
    packages = re.search(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert set(json.loads(packages)) <= set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))


def pinned(lock):
    """Package -> version, of a lock file."""
    return dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_image_holds_no_extra_unless_it_is_told_to_and_the_same_versions_then():
    extras = {re.match(r"[\w.-]+", each)[0] for extra in EXTRAS.values() for each in extra}
    without, with_ = pinned("requirements.lock"), pinned("requirements-extras.lock")
    assert instruction("ARG") == "REQUIREMENTS=requirements.lock"
    assert "polars" in extras
    assert extras <= with_.keys() - without.keys()
    assert without.items() <= with_.items() <= pinned("requirements-dev.lock").items()


def test_an_image_with_opentelemetry_holds_no_more_than_that_beside():
    tracing = {re.match(r"[\w.-]+", each)[0] for each in EXTRAS["tracing"]}
    without, with_, all_ = (pinned(f"requirements{each}.lock") for each in ("", "-tracing", "-extras"))
    assert without.items() < with_.items() < all_.items()
    assert tracing <= with_.keys() - without.keys()
    assert not [name for name in with_ if name.startswith("polars")]


def test_the_image_runs_the_program_as_nobody_in_particular():
    assert json.loads(instruction("ENTRYPOINT")) == ["stream-app"]
    assert json.loads(instruction("CMD")) == ["api"]
    user, group = instruction("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert instruction("EXPOSE") == str(load().api_port)
    assert f"127.0.0.1:{load().api_port}/readyz" in DOCKERFILE
    compile(json.loads(re.search(r"CMD (\[\"python\".*\])", DOCKERFILE)[1])[2], "healthcheck", "exec")


@pytest.mark.parametrize("name", OURS)
def test_each_command_and_its_options_exist(name):
    command, *words = OURS[name]["command"]
    assert command in COMMANDS
    known = {option for parameter in typer.main.get_command(load_command(command)).params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", OURS)
def test_our_containers_are_read_only_and_without_rights(name):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]


def test_each_worker_has_its_own_name_state_and_the_ready_file_that_is_asked_for():
    workers = {name: service for name, service in OURS.items() if service["command"][0] == "worker"}
    assert len(workers) == 2
    for name, service in workers.items():
        options = dict(zip(service["command"][1::2], service["command"][2::2], strict=True))
        assert options["--name"] == name
        assert options["--state-dir"].startswith("/state/")
        assert service["volumes"] == [f"{name}:/state"]
        assert name in COMPOSE["volumes"]
        assert options["--ready-file"] in service["healthcheck"]["test"][1]
        assert service["stop_grace_period"] == f"{APP_STOP_SECONDS_MAX:.0f}s"


def test_every_variable_is_a_setting():
    given = {name for service in OURS.values() for name in service["environment"]}
    given |= set(re.findall(r"\b(STREAM_APP_\w+)=", DOCKERFILE))
    assert "STREAM_APP_API_HOST" in given
    assert given - VARIABLES == set()


def test_services_that_are_named_exist_and_answer_at_their_addresses():
    for service in OURS.values():
        assert set(service["depends_on"]) <= set(SERVICES)
        assert service["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:19092"
        redis, clickhouse = (urlsplit(service["environment"][name]) for name in ("REDIS_URL", "CLICKHOUSE_URL"))
        assert (redis.hostname, redis.port) == ("redis", redis_server.PORT)
        assert (clickhouse.hostname, clickhouse.port) == ("clickhouse", clickhouse_server.PORT)
    assert "PLAINTEXT://kafka:19092" in environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]


def test_ports_are_those_of_the_local_stack_and_loopback_only():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    ports = {"kafka": kafka_server.PORT, "redis": redis_server.PORT, "clickhouse": clickhouse_server.PORT}
    ports |= {"api": load().api_port, "monitor": load().monitor_port}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in ports.items()}


def test_versions_are_those_of_the_local_stack():
    named = {service["image"] for service in SERVICES.values() if "build" not in service}
    assert {kafka_server.IMAGE, clickhouse_server.IMAGE} < named
    images = dict(image.split(":") for image in named)
    assert images["apache/kafka"] == kafka_server.VERSION
    assert images["clickhouse/clickhouse-server"] == clickhouse_server.VERSION
    assert redis_server.VERSION.startswith(images["valkey/valkey"])


def test_kafka_and_redis_are_set_like_those_of_the_local_stack(tmp_path):
    properties = dict(line.split("=", 1) for line in kafka_server._properties(tmp_path, 1, 2).splitlines())
    here = environment("kafka")
    assert here["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    same = [name for name in properties if re.match(r"auto\.|offsets\.|transaction\.|share\.|group\.|process\.", name)]
    assert len(same) == 10
    assert {name: here.get("KAFKA_" + name.replace(".", "_").upper()) for name in same} == {
        name: properties[name] for name in same
    }
    assert SERVICES["redis"]["command"] == ["valkey-server", "--appendonly", "yes", "--save", ""]


def test_on_another_system_compose_is_pointed_to(monkeypatch):
    monkeypatch.setattr(downloads.platform, "system", lambda: "Darwin")
    with pytest.raises(LocalError, match=r"this is Darwin: give .*compose\.yaml \(docs/operating\.md, Containers\)"):
        downloads.check_system()
