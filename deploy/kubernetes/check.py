"""`python -m deploy.kubernetes.check`: renders the chart and holds it against published schemas. `make kubernetes`.

With the values that have no default, and with everything switched on: linted, rendered, each object checked strictly against Kubernetes' OpenAPI documents and
the definitions of custom resources, and what they refer to looked for. Then the check itself: manifests with one mistake each, and values with
one each, all of which must be refused. Ends with 1 when anything is wrong; writes rendered/ when nothing is.
"""

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from deploy.kubernetes import rendering, tools
from deploy.kubernetes.references import loose_ends
from deploy.kubernetes.rendering import FOLDER, Manifest
from deploy.kubernetes.schemas import Schemas


class Mistake(NamedTuple):
    """One mistake in one object: which, where (keys of a path), and what stands there instead; a value of None: nothing."""

    kind: str
    name: str
    path: tuple[str | int, ...]
    value: Any


_POD: Final = ("spec", "template", "spec")
MISTAKES: Final = (
    Mistake("StatefulSet", "worker", ("spec", "podManagementPolicie"), "Parallel"),
    Mistake("StatefulSet", "worker", ("spec", "minReadySeconds"), "ten"),
    Mistake("StatefulSet", "worker", ("spec", "selector"), None),
    Mistake("StatefulSet", "worker", ("apiVersion",), "apps/v1beta1"),
    Mistake("StatefulSet", "worker", ("spec", "serviceName"), "elsewhere"),
    Mistake("StatefulSet", "worker", ("spec", "replicas"), 2),
    Mistake("StatefulSet", "worker", (*_POD, "containers", 0, "readynessProbe"), {}),
    Mistake("StatefulSet", "worker", (*_POD, "containers", 0, "volumeMounts", 0, "name"), "stat"),
    Mistake("StatefulSet", "worker", (*_POD, "containers", 0, "securityContext", "capabilities", "drop"), "ALL"),
    Mistake("StatefulSet", "worker", (*_POD, "securityContext", "runAsUser"), "10001"),
    Mistake("Deployment", "api", (*_POD, "containers", 0, "livenessProbe", "httpGet", "port"), "http"),
    Mistake("Deployment", "api", ("spec", "template", "metadata", "labels", "app.kubernetes.io/component"), "apis"),
    Mistake("Service", "api", ("spec", "ports", 0, "targetPort"), "http"),
    Mistake("HorizontalPodAutoscaler", "api", ("spec", "scaleTargetRef", "name"), "crm-stats-apis"),
    Mistake("HorizontalPodAutoscaler", "api", ("spec", "maxReplicas"), None),
    Mistake("PodDisruptionBudget", "worker", ("spec", "maxUnavailabel"), 1),
    Mistake("NetworkPolicy", "worker", ("spec", "egres"), []),
    Mistake("NetworkPolicy", "monitor", ("spec", "ingress", 0, "ports", 0, "port"), "metrics"),
    Mistake("Job", "topics", (*_POD, "restartPolicy"), {"never": True}),
    Mistake("ScaledObject", "worker", ("spec", "maxReplicas"), 8),
    Mistake("ScaledObject", "worker", ("spec", "triggers", 0, "metadata", "lagThreshold"), 100000),
    Mistake("ServiceMonitor", "", ("spec", "endpoints", 0, "intervall"), "10s"),
    Mistake("ServiceMonitor", "", ("spec", "endpoints", 1, "port"), "http"),
    Mistake("Ingress", "api", ("spec", "rules", 0, "http", "paths", 0, "pathType"), None),
)

# Values that Helm must refuse beside those of least.yaml, and what it must say.
REFUSED: Final[Sequence[tuple[dict[str, Any], str]]] = (
    ({"settings": {"tick_mss": 250}}, "tick_mss"),
    ({"settings": {"tick_ms": "soon"}}, "tick_ms"),
    ({"settings": {"jwt_secret": "x" * 32}}, "jwt_secret"),
    ({"settings": {"redis_url": "redis://worker:password@redis:6379/0"}}, "redis_url"),
    ({"settings": {"kafka_ssl_cafile": "/ca.crt"}}, "kafka_ssl_cafile"),
    ({"settings": {"api_port": 80}}, "api_port"),
    ({"settings": {"kafka_bootstrap_servers": ""}}, "settings.kafka_bootstrap_servers is missing"),
    ({"secrets": {"redis_url": {"name": "a", "key": "b"}}}, "redis_url stands in settings and in secrets"),
    ({"secrets": {"app_id": {"name": "a", "key": "b"}}}, "app_id"),
    ({"settings": {"tracing": True}}, "tracing"),
    ({"tracing": {"endpoint": "collector:4318"}}, "endpoint"),
    ({"tracing": {"ratio": 25}}, "ratio"),
    ({"tracing": {"headers": {"name": "collector"}}}, "headers"),
    ({"worker": {"replica": 3}}, "replica"),
    ({"worker": {"resources": 1}}, "resources"),
    ({"api": {"autoscaling": {"cpuPercent": 170}}}, "cpuPercent"),
    ({"ingress": {"enabled": True}}, "ingress.hosts is empty"),
)


def main() -> int:
    """Exit code: 0 when all is as it must be."""
    helm = tools.helm()
    custom = [yaml.safe_load(path.read_text()) for path in tools.custom_resources()]
    schemas = {version: Schemas(json.loads(tools.openapi(version).read_text()), custom) for version in tools.KUBERNETES}
    wrong: list[str] = []
    texts = {}
    for example in rendering.EXAMPLES:
        wrong += _linted(helm, FOLDER / f"{example}.yaml")
        done = rendering.template(helm, FOLDER / f"{example}.yaml")
        if done.returncode:
            wrong.append(f"{example}: {done.stderr.strip()}")
            continue
        texts[example] = rendering.header(example) + done.stdout
        objects = rendering.manifests(done.stdout)
        found = [*_against(schemas, objects), *loose_ends(objects)]
        print(f"{example}: {len(objects)} objects, by the schemas of {', '.join(schemas)}: {len(found)} errors")
        wrong += [f"{example}: {error}" for error in found]
    if not wrong:
        wrong += _mistakes(schemas, rendering.manifests(texts["everything"]))
        wrong += _refused(helm)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if not wrong:
        rendering.RENDERED.mkdir(exist_ok=True)
        for example, text in texts.items():
            (rendering.RENDERED / f"{example}.yaml").write_text(text)
    return 1 if wrong else 0


def _linted(helm: Path, values: Path) -> list[str]:
    command = [
        str(helm),
        "lint",
        "--strict",
        "--quiet",
        "--kube-version",
        rendering.KUBE_VERSION,
        str(rendering.CHART),
        "--values",
        str(values),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"{values.stem}: {done.stdout}{done.stderr}"] if done.returncode else []


def _against(schemas: dict[str, Schemas], objects: Sequence[Manifest]) -> Iterator[str]:
    for version, schema in schemas.items():
        for one in objects:
            yield from (f"{version}: {error}" for error in schema.errors(one))


def _mistakes(schemas: dict[str, Schemas], objects: list[Manifest]) -> Iterator[str]:
    """The mistakes that were not seen."""
    missed = []
    for mistake in MISTAKES:
        changed = copy.deepcopy(objects)
        _make(mistake, changed)
        if not any(_against(schemas, changed)) and not loose_ends(changed):
            missed.append(mistake)
    print(f"{len(MISTAKES) - len(missed)} of {len(MISTAKES)} manifests with a mistake are refused")
    return (f"not seen: {mistake}" for mistake in missed)


def _make(mistake: Mistake, objects: list[Manifest]) -> None:
    name = f"{rendering.RELEASE}-{mistake.name}".removesuffix("-")
    (part,) = [one for one in rendering.of(mistake.kind, objects) if one["metadata"]["name"] == name]
    *path, last = mistake.path
    place: Any = part
    for key in path:
        place = place[key]
    if mistake.value is None:
        del place[last]
    else:
        place[last] = mistake.value


def _refused(helm: Path) -> Iterator[str]:
    """The values that were taken, or refused without saying why."""
    least = yaml.safe_load((FOLDER / "least.yaml").read_text())
    no_secret = (least | {"secrets": {}}, "secrets.jwt_secret or settings.jwt_jwks_url is missing")
    cases = [no_secret, *((_merged(least, values), said) for values, said in REFUSED)]
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        for values, said in cases:
            file.write_text(yaml.safe_dump(values))
            done = rendering.template(helm, file)
            if done.returncode == 0 or said not in done.stderr:
                missed.append(f"{values}: {done.returncode}: {done.stderr.strip()}")
    print(f"{len(cases) - len(missed)} of {len(cases)} wrong values are refused")
    return (f"not refused: {one}" for one in missed)


def _merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return values | {name: values.get(name, {}) | part for name, part in more.items()}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except tools.ToolError as error:
        sys.exit(str(error))
