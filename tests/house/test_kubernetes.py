"""The chart names what exists: settings, commands, options, ports, paths. Of what Helm rendered (`make kubernetes`), so no Helm is needed."""

import copy
import json
import re
import socket
import time
import tomllib

import pytest
import typer.main
import yaml
from jsonschema import Draft7Validator

from config.settings import ROOT, Settings, load, secret_names
from deploy.kubernetes import rendering
from deploy.kubernetes.references import loose_ends, pods
from deploy.kubernetes.rendering import CHART, EXAMPLES, of, rendered
from deploy.kubernetes.schemas import Schemas
from docs.kubernetes_page import ADDRESSES, GIVEN, files
from stream_app.api.app import _service_routes
from stream_app.cli import COMMANDS
from stream_app.cli import load as load_command
from stream_app.cli.worker import _spans as worker_spans
from stream_app.formats.traces import Trace
from stream_app.local.errors import LocalError
from stream_app.local.stack import APP_STOP_SECONDS_MAX
from stream_app.monitor.run import Monitor
from stream_app.ports.tracing import Place
from tests.support.pages import run_script
from tests.support.tracing import collector
from tests.support.waiting import wait_until

OBJECTS = {example: rendered(example) for example in EXAMPLES}
CONTAINERS = [
    pytest.param(one, container, id=f"{example}-{container['name']}")
    for example, objects in OBJECTS.items()
    for one in pods(objects)
    for container in one["spec"]["template"]["spec"]["containers"]
]
VARIABLES = {f"STREAM_APP_{name.upper()}": name for name in Settings.model_fields}
SECRETS = {f"STREAM_APP_{name.upper()}" for name in secret_names()}
OPENTELEMETRYS = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}
NOT_SETTINGS = {"POD_NAME", "STREAM_APP_RUN"} | OPENTELEMETRYS
ROUTES = {
    "api": {route.path for route in _service_routes(None)},
    "monitor": set(Monitor.routes(None)),
    "metrics": {"/metrics"},
}


def variables(container, objects):
    """All that the container's environment has: variable -> value, None for what is known in a pod only."""
    found = {}
    for source in container.get("envFrom", ()):
        (settings,) = [
            one for one in of("ConfigMap", objects) if one["metadata"]["name"] == source["configMapRef"]["name"]
        ]
        found |= settings["data"]
    return found | {variable["name"]: variable.get("value") for variable in container.get("env", ())}


def objects_of(one):
    """All objects of the example that an object is of."""
    return next(objects for objects in OBJECTS.values() if one in objects)


def setting(variable):
    """The setting that a variable gives, and whether by a file; None for a variable of none."""
    secret = VARIABLES.get(variable.removesuffix("_FILE")) if variable.endswith("_FILE") else None
    return VARIABLES.get(variable, secret), secret is not None


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_rendered_is_of_the_chart_as_it_is(example):
    first = (rendering.RENDERED / f"{example}.yaml").read_text().splitlines()[:2]
    assert first == rendering.header(example).splitlines(), "make kubernetes"


def test_the_schema_and_the_page_are_as_settings_and_chart_are():
    done = run_script("kubernetes_page.py", "--check")
    assert done.returncode == 0, done.stderr


def test_defaults_are_of_the_schema_and_each_value_has_one():
    schema, values = (
        json.loads((CHART / "values.schema.json").read_text()),
        yaml.safe_load((CHART / "values.yaml").read_text()),
    )
    Draft7Validator.check_schema(schema)
    assert list(Draft7Validator(schema).iter_errors(values)) == []

    def missing(told, given, path=""):
        for name, part in told.get("properties", {}).items():
            if name != "global":
                yield from [f"{path}{name}"] if name not in given else missing(part, given[name], f"{path}{name}.")

    assert list(missing(schema, values)) == []


def test_everything_is_switched_on_in_everything():
    """So that each template, and each branch of it, is rendered and checked."""
    kinds = {one["kind"] for one in OBJECTS["everything"]}
    written = set(
        re.findall(
            r"^kind: (\w+)$", "".join(path.read_text() for path in (CHART / "templates").iterdir()), re.MULTILINE
        )
    )
    assert kinds == written
    assert {one["metadata"]["name"] for one in of("Job", OBJECTS["everything"])} == {
        "crm-stats-topics",
        "crm-stats-rebuild",
    }
    assert {one["kind"] for one in OBJECTS["least"]} == written - {"ScaledObject", "ServiceMonitor", "Ingress"}


def test_a_setting_is_of_one_kind():
    definitions = json.loads((CHART / "values.schema.json").read_text())["definitions"]
    plain, secret, paths = (
        set(definitions["settings"]["properties"]),
        *(set(definitions[name]["propertyNames"]["enum"]) for name in ("secrets", "files")),
    )
    assert plain | secret | paths | GIVEN == set(Settings.model_fields)
    assert plain & secret == set(ADDRESSES)
    assert secret - plain == set(secret_names())
    assert not (plain | secret) & paths
    assert not GIVEN & (plain | secret | paths)


@pytest.mark.parametrize(("one", "container"), CONTAINERS)
def test_every_variable_is_a_setting_and_has_a_value_of_it(one, container, monkeypatch):
    given = variables(container, objects_of(one))
    assert given.keys() - NOT_SETTINGS == {name for name in given if setting(name)[0]}
    for name, value in given.items():
        by_file = name.endswith("_FILE")
        assert not by_file or setting(name)[0] in {*secret_names(), *ADDRESSES}
        if name in VARIABLES:
            monkeypatch.setenv(name, value)
    settings = load()
    assert settings.api_host == settings.monitor_host == "0.0.0.0"
    assert settings.events_partitions in {8, 16}


@pytest.mark.parametrize(("one", "container"), CONTAINERS)
def test_no_secret_stands_in_the_open(one, container):
    """Neither in a ConfigMap nor in a variable: a secret is a file, out of a Secret, at the path that its variable names."""
    objects = objects_of(one)
    given = variables(container, objects)
    assert SECRETS & given.keys() == set()
    volumes = one["spec"]["template"]["spec"]["volumes"]
    sources = [source for volume in volumes if "projected" in volume for source in volume["projected"]["sources"]]
    mounted = {item["path"]: kind for source in sources for kind, part in source.items() for item in part["items"]}
    named = {}
    for name, value in given.items():
        found, by_file = setting(name)
        if by_file or found in files():
            named[value.removeprefix("/run/crm-stats/")] = (found, by_file)
    assert {path: path for path in mounted} == {path: found for path, (found, _) in named.items()}
    assert all(mounted[path] == "secret" for path, (_, by_file) in named.items() if by_file)
    assert all(
        not re.search("password|secret", key, re.IGNORECASE) for one in of("ConfigMap", objects) for key in one["data"]
    )


def test_every_secret_and_file_has_a_program_that_uses_it():
    """Else one that is named for all programs would reach none."""
    uses = re.findall(r'^  "\w+" "(.*)"$', (CHART / "templates" / "_helpers.tpl").read_text(), re.MULTILINE)
    assert len(uses) == 5
    names = [*secret_names(), *ADDRESSES, *files()]
    assert [name for name in names if not any(re.search(use, name) for use in uses)] == []


def test_each_program_holds_what_it_has_a_use_for_and_no_more():
    def held(name):
        (found,) = [
            one
            for one in pods(OBJECTS["everything"])
            if one["metadata"]["labels"]["app.kubernetes.io/component"] == name
        ]
        given = variables(found["spec"]["template"]["spec"]["containers"][0], OBJECTS["everything"])
        return {setting(name)[0] for name in given if setting(name)[1] or setting(name)[0] in files()} - {None}

    assert held("worker") == {
        "schema_registry_password",
        "kafka_sasl_password",
        "redis_url",
        "clickhouse_password",
        "kafka_ssl_cafile",
        "redis_cafile",
        "clickhouse_cafile",
    }
    assert held("topics") == {"kafka_sasl_password", "redis_url", "kafka_ssl_cafile", "schema_registry_password"}
    assert held("api") == {"redis_url", "clickhouse_password", "jwt_secret", "redis_cafile", "clickhouse_cafile", "api_ssl_cafile",
                           "api_ssl_certfile", "api_ssl_keyfile", "api_ssl_key_password"}  # fmt: skip
    assert held("monitor") == {
        "kafka_sasl_password",
        "redis_url",
        "jwt_secret",
        "kafka_ssl_cafile",
        "redis_cafile",
        "clickhouse_cafile",
        "api_ssl_cafile",
    }


def test_workers_alone_export_spans_as_the_values_say(monkeypatch):
    """The variables are those that OpenTelemetry reads: spans go to the endpoint, with the headers of the Secret, and of traces the part that is asked for."""
    given = {one.id: variables(one.values[1], objects_of(one.values[0])) for one in CONTAINERS}
    traced = {name: OPENTELEMETRYS & told.keys() for name, told in given.items() if "STREAM_APP_TRACING" in told}
    assert traced == {"everything-worker": OPENTELEMETRYS}
    assert not any(OPENTELEMETRYS & told.keys() for name, told in given.items() if name not in traced)
    told = given["everything-worker"]
    values = yaml.safe_load((rendering.FOLDER / "everything.yaml").read_text())["tracing"]
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == values["endpoint"]
    with collector() as kept:
        known_in_a_pod = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": kept.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x",
        }
        for name in {"STREAM_APP_TRACING"} | OPENTELEMETRYS:
            monkeypatch.setenv(name, known_in_a_pod.get(name, told[name]))
        spans = worker_spans(load())
        part = [f"{'1' * 16}{int(share * 2**64):016x}" for share in (values["ratio"] - 0.01, values["ratio"] + 0.01)]
        begun = [spans.process(Place("t", 0, 1), "g", Trace(f"00-{one}-{'1' * 16}-01"), time.time_ns()) for one in part]
        begun[0].end()
        spans.close()
        wait_until("it is exported", lambda: kept.spans)
    assert begun[1] is None
    assert [span.trace_id.hex() for span in kept.spans] == part[:1]
    assert kept.tokens == {"Bearer x"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_workers_alone_may_reach_the_collector(example):
    may = {
        one["metadata"]["name"]
        for one in of("NetworkPolicy", OBJECTS[example])
        for rule in one["spec"]["egress"]
        if {"port": 4318} in rule["ports"]
    }
    assert may == ({"crm-stats-worker"} if example == "everything" else set())


@pytest.mark.parametrize(("one", "container"), CONTAINERS)
def test_each_command_and_its_options_exist(one, container):
    command, *words = container["args"]
    assert command in COMMANDS
    assert "command" not in container, "the image's entrypoint is the program"
    known = {option for parameter in typer.main.get_command(load_command(command)).params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(("one", "container"), CONTAINERS)
def test_a_pod_has_no_rights_and_writes_where_the_image_may(one, container):
    pod = one["spec"]["template"]["spec"]
    user, group = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE).groups()
    inside = pod["securityContext"]
    assert (inside["runAsUser"], inside["runAsGroup"], inside["fsGroup"]) == (int(user), int(group), int(group))
    assert inside["runAsNonRoot"] is True
    assert inside["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "a Service's variables would be taken for settings"
    assert "memory" in container["resources"]["limits"]
    paths = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert paths == {"/tmp", "/state"} if container["name"] in {"worker", "rebuild"} else {"/tmp"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_ports_and_paths_are_the_programs(example):
    objects, settings = OBJECTS[example], load()
    ports = {
        port["name"]: port["containerPort"]
        for one in pods(objects)
        for c in one["spec"]["template"]["spec"]["containers"]
        for port in c.get("ports", ())
    }
    (worker,) = of("StatefulSet", objects)
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    options = dict(zip(container["args"][1::2], container["args"][2::2], strict=True))
    assert ports == {
        "api": settings.api_port,
        "monitor": settings.monitor_port,
        "metrics": int(options["--metrics-port"]),
    }
    assert {port["name"]: port["port"] for one in of("Service", objects) for port in one["spec"]["ports"]} == ports
    asked = [(probe["httpGet"]["port"], probe["httpGet"]["path"]) for one in pods(objects) for c in one["spec"]["template"]["spec"]["containers"]
             for name, probe in c.items() if name.endswith("Probe") and "httpGet" in probe]  # fmt: skip
    asked += [
        (endpoint["port"], endpoint["path"])
        for one in of("ServiceMonitor", objects)
        for endpoint in one["spec"]["endpoints"]
    ]
    assert len(asked) >= 4
    assert all(path in ROUTES[port] for port, path in asked)
    data = next(one for one in of("ConfigMap", objects) if one["metadata"]["name"] == "crm-stats-settings")["data"]
    scheme = "https" if example == "everything" else "http"
    assert data["STREAM_APP_MONITOR_API_URL"] == f"{scheme}://crm-stats-api:{settings.api_port}"
    assert data["STREAM_APP_API_MONITOR_URL"] == f"http://crm-stats-monitor:{settings.monitor_port}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_worker_keeps_its_name_and_state_and_is_ready_when_it_says_so(example):
    (worker,) = of("StatefulSet", OBJECTS[example])
    spec, (container,) = worker["spec"], worker["spec"]["template"]["spec"]["containers"]
    options = dict(zip(container["args"][1::2], container["args"][2::2], strict=True))
    assert (options["--name"], options["--state-dir"]) == ("$(POD_NAME)", "/state/$(POD_NAME)")
    assert {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container["env"]
    assert options["--ready-file"] in container["readinessProbe"]["exec"]["command"][-1]
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["updateStrategy"] == {"type": "RollingUpdate"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == APP_STOP_SECONDS_MAX
    assert spec["volumeClaimTemplates"][0]["metadata"]["name"] in {mount["name"] for mount in container["volumeMounts"]}


def test_keda_asks_for_the_groups_and_the_topic_of_the_first_generation():
    settings = load()
    (scaled,) = of("ScaledObject", OBJECTS["everything"])
    ingest, ledger = (trigger["metadata"] for trigger in scaled["spec"]["triggers"])
    assert ingest["consumerGroup"] == settings.ingest_group
    assert (ledger["consumerGroup"], ledger["topic"]) == (settings.ledger_group, settings.events)
    assert scaled["spec"]["maxReplicaCount"] == 16, "settings.events_partitions of everything.yaml"


def test_versions_are_the_programs():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert (
        values["image"]["repository"]
        == yaml.safe_load((ROOT / "compose.yaml").read_text())["x-service"]["image"].split(":")[0]
    )
    assert values["settings"]["events_partitions"] == load().events_partitions


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_refers_to_what_is_not_there(example):
    objects = copy.deepcopy(OBJECTS[example])
    assert loose_ends(objects) == []
    (worker,) = of("StatefulSet", objects)
    worker["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] = "wurst"
    assert loose_ends(objects)


def test_a_field_that_no_schema_has_is_seen():
    meta = {
        "properties": {
            "name": {"type": "string"},
            "labels": {"additionalProperties": {"type": "string"}, "type": "object"},
        }
    }
    thing = {"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
             "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}},
             "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Thing"}]}  # fmt: skip
    definitions = {"Thing": thing, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": meta}
    custom = {"spec": {"group": "c", "names": {"kind": "Own"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "apiVersion": {}, "kind": {}, "spec": {"type": "object", "properties": {"free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}}}]}}  # fmt: skip
    schemas = Schemas({"definitions": definitions}, [custom])
    good = {"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "a", "labels": {"x": "y"}}, "port": 1}
    own = {"apiVersion": "c/v1", "kind": "Own", "metadata": {"name": "a"}, "spec": {"free": {"any": 1}}}
    assert [*schemas.errors(good), *schemas.errors(own)] == []
    for bad in (good | {"prot": 1}, good | {"port": []}, good | {"metadata": {"name": "a", "label": {}}}, good | {"metadata": {}}, good | {"kind": "Think"},
                own | {"spec": {"fre": {}}}, own | {"metadata": {"name": "a", "label": {}}}):  # fmt: skip
        assert list(schemas.errors(bad)), bad


def test_a_worker_that_starts_again_in_its_pod_is_not_ready_by_what_the_one_before_wrote(tmp_path):
    """Files of a pod outlive its containers, and each container's first process has the same pid."""
    ready = tmp_path / "ready"
    ready.write_text("1\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ["--ready-file", str(ready), "--metrics-port", str(taken.getsockname()[1])]
        with pytest.raises(LocalError, match="is in use"):
            load_command("worker")(args=words, standalone_mode=False)
    assert not ready.exists()
