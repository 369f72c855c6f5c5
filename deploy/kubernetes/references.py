"""What a schema can't see: whether what manifests of one release refer to is there. Pure.

Labels select pods, names of ports and volumes exist, a scaler's target is of the release, and a hook needs nothing that comes after it.
Objects that users make (Secrets, ConfigMaps with certificates) are of no release, and not looked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Manifest = Mapping[str, Any]

_PODS: Final = {"StatefulSet", "Deployment", "Job"}


def loose_ends(manifests: Sequence[Manifest]) -> list[str]:
    """What refers to nothing: who, and to what."""
    return [
        f"{one['kind']} {one['metadata']['name']}: {end}"
        for one in manifests
        for end in (
            *_selected(one, manifests),
            *_pod(one, manifests),
            *_targets(one, manifests),
            *_ports(one, manifests),
        )
    ]


def pods(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Those that make pods."""
    return [one for one in manifests if one["kind"] in _PODS]


def _labels(one: Manifest) -> Mapping[str, str]:
    labels: Mapping[str, str] = (one["spec"]["template"] if one["kind"] in _PODS else one)["metadata"]["labels"]
    return labels


def _matching(labels: Mapping[str, str], manifests: Sequence[Manifest]) -> list[Manifest]:
    return [one for one in manifests if labels.items() <= _labels(one).items()] if labels else []


def _selectors(one: Manifest) -> Iterator[Mapping[str, str]]:
    spec = one.get("spec", {})
    match one["kind"]:
        case "Service":
            yield spec["selector"]
        case "StatefulSet" | "Deployment" | "PodDisruptionBudget":
            yield spec["selector"]["matchLabels"]
        case "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]
            rules = [*spec.get("ingress", []), *spec.get("egress", [])]
            for peer in (peer for rule in rules for peer in (*rule.get("from", []), *rule.get("to", []))):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield peer["podSelector"]["matchLabels"]


def _selected(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    for labels in _selectors(one):
        if not _matching(labels, pods(manifests)):
            yield f"no pod has the labels {dict(labels)}"
    if (
        one["kind"] in {"StatefulSet", "Deployment"}
        and not one["spec"]["selector"]["matchLabels"].items() <= _labels(one).items()
    ):
        yield "its own pods lack the labels that it selects"


def _is_hook(one: Manifest) -> bool:
    return "helm.sh/hook" in one["metadata"].get("annotations", {})


def _pod(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    if one["kind"] not in _PODS:
        return
    spec = one["spec"]["template"]["spec"]
    ours = {(other["kind"], other["metadata"]["name"]): other for other in manifests}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())}
    wanted = [volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume]
    for container in spec["containers"]:
        wanted += [source["configMapRef"]["name"] for source in container.get("envFrom", ())]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        for name in mounted ^ {*volumes, *claims}:
            yield f"volume {name} is mounted and not there, or there and not mounted"
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("readinessProbe", "livenessProbe"):
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if port is not None and port not in ports:
                yield f"{probe} asks the port {port}"
    for name in wanted:
        needed = ours.get(("ConfigMap", name))
        if needed is None or _is_hook(one) != _is_hook(needed):
            yield f"ConfigMap {name} is not there when it starts"


def _targets(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    names = {(other["kind"], other["metadata"]["name"]) for other in manifests}
    target = one.get("spec", {}).get("scaleTargetRef")
    if target and (target["kind"], target["name"]) not in names:
        yield f"scales {target['kind']} {target['name']}"
    if one["kind"] == "StatefulSet" and ("Service", one["spec"]["serviceName"]) not in names:
        yield f"its pods have names of the Service {one['spec']['serviceName']}"
    scaled = {(other["spec"]["scaleTargetRef"]["kind"], other["spec"]["scaleTargetRef"]["name"]) for other in manifests
              if "scaleTargetRef" in other.get("spec", {})}  # fmt: skip
    if (one["kind"], one["metadata"]["name"]) in scaled and "replicas" in one["spec"]:
        yield "sets a number of pods that a scaler sets, too"


def _pod_ports(labels: Mapping[str, str], manifests: Sequence[Manifest]) -> set[str]:
    containers = [
        c for one in _matching(labels, pods(manifests)) for c in one["spec"]["template"]["spec"]["containers"]
    ]
    return {port["name"] for container in containers for port in container.get("ports", ())}


def _ports(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    spec = one.get("spec", {})
    services = {other["metadata"]["name"]: other for other in manifests if other["kind"] == "Service"}
    offered = {name: {port["name"] for port in service["spec"]["ports"]} for name, service in services.items()}
    match one["kind"]:
        case "Service":
            for port in {port["targetPort"] for port in spec["ports"]} - _pod_ports(spec["selector"], manifests):
                yield f"no pod has the port {port}"
        case "NetworkPolicy":
            wanted = [(rule, spec["podSelector"]) for rule in spec.get("ingress", [])]
            wanted += [
                (rule, peer["podSelector"])
                for rule in spec.get("egress", [])
                for peer in rule.get("to", ())
                if "podSelector" in peer
            ]
            for rule, pod in wanted:
                for port in {port["port"] for port in rule["ports"]} - _pod_ports(pod["matchLabels"], manifests):
                    yield f"no pod has the port {port}"
        case "Ingress":
            for path in (path for rule in spec["rules"] for path in rule["http"]["paths"]):
                service = path["backend"]["service"]
                if service["port"]["name"] not in offered.get(service["name"], ()):
                    yield f"leads to the Service {service['name']}, port {service['port']['name']}"
        case "ServiceMonitor":
            found = _matching(spec["selector"]["matchLabels"], list(services.values()))
            ports = {port for service in found for port in offered[service["metadata"]["name"]]}
            for port in {endpoint["port"] for endpoint in spec["endpoints"]} ^ ports:
                yield f"port {port} is of a Service and not scraped, or the other way round"
