"""Manifests held against published schemas: Kubernetes' OpenAPI document, and definitions of custom resources. Pure.

Strict: a field that no schema has is an error, though a server would drop or keep it. That is how a misspelt field is found.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft4Validator

Manifest = Mapping[str, Any]

# OpenAPI 2 has no word for what is either of two, so these are texts there.
_EITHER: Final = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ["integer", "string"],
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ["number", "string"],
}
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Schemas:
    """The schemas of one version of Kubernetes, with those of custom resources."""

    def __init__(self, openapi: Mapping[str, Any], custom_resources: Iterable[Manifest]) -> None:
        self._definitions = {name: strict(part) for name, part in openapi["definitions"].items()}
        for name, types in _EITHER.items():
            self._definitions[name] = {"type": types}
        self._of: dict[tuple[str, str], Mapping[str, Any]] = {}
        for name, part in openapi["definitions"].items():
            for kind in part.get("x-kubernetes-group-version-kind", ()):
                version = "/".join(filter(None, (kind["group"], kind["version"])))
                self._of[version, kind["kind"]] = {"$ref": f"#/definitions/{name}"}
        for resource in custom_resources:
            spec = resource["spec"]
            for version in spec["versions"]:
                part = strict(version["schema"]["openAPIV3Schema"])
                part["properties"]["metadata"] = {"$ref": f"#/definitions/{_META}"}
                self._of[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = part

    def errors(self, manifest: Manifest) -> Iterator[str]:
        """What is wrong with a manifest: where, and why."""
        kind = (manifest.get("apiVersion", ""), manifest.get("kind", ""))
        if kind not in self._of:
            yield f"{' '.join(map(str, kind))}: no schema knows it"
            return
        name = manifest.get("metadata", {}).get("name")
        if not name:
            yield f"{kind[1]}: metadata.name is missing"
        validator = Draft4Validator(
            {**self._of[kind], "definitions": self._definitions}
            if "$ref" not in self._of[kind]
            else {"allOf": [self._of[kind]], "definitions": self._definitions}
        )
        for error in validator.iter_errors(manifest):
            where = ".".join(map(str, error.absolute_path))
            yield f"{kind[1]} {name}: {where or 'at its top'}: {error.message[:300]}"


def strict(part: Any) -> Any:
    """A schema that lets no field through which it does not name, where it names any."""
    if isinstance(part, list):
        return [strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    # A property may be called like a keyword of schemas: names of properties are no keywords.
    found = {
        key: {name: strict(inner) for name, inner in value.items()} if key == "properties" else strict(value)
        for key, value in part.items()
    }
    is_open = part.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in part
    if isinstance(part.get("properties"), dict) and not is_open and part.get("type", "object") == "object":
        found["additionalProperties"] = False
    return found
