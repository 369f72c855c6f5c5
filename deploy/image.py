"""The image: built by `make image`, and looked at: what it holds goes to .run/image-sbom.json (CycloneDX).

Python's packages are listed with the hashes that they were installed by, Debian's and Python itself as the base has them.
What a list is made of is what the image says of itself, so one that holds what nobody pinned ends with an error.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stream_app.local.containers import docker_answers

ROOT = Path(__file__).resolve().parents[1]
SBOM = ROOT / ".run" / "image-sbom.json"
TAG = "crm-stats"
PROGRAM = "crm-stats"  # the distribution of our own, which is what the list of the lock file is of

# Run by the image's Python. `ours`: the environment of the service; `base`: what stands beside the base's own Python.
LOOK = """
import json, platform, subprocess, sys
from importlib import metadata
from pathlib import Path
def packages(prefix):
    folder = Path(prefix, "lib", "python{}.{}".format(*sys.version_info), "site-packages")
    return sorted((found.metadata["Name"], found.version) for found in metadata.distributions(path=[str(folder)]))
listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\\t${Version}\\t${Architecture}\\n"],
                        capture_output=True, text=True, check=True).stdout
print(json.dumps({"python": platform.python_version(), "ours": packages(sys.prefix), "base": packages(sys.base_prefix),
                  "debian": [line.split("\\t") for line in listed.splitlines()],
                  "release": platform.freedesktop_os_release()}))
"""


class UnpinnedError(Exception):
    """The image holds a package that the lock file has not, or has in another version."""


def bill(pinned: Mapping[str, Any], held: Mapping[str, Any], image_id: str) -> dict[str, Any]:
    """What the image is made of, out of the list of the lock file and what the image says of itself (LOOK). `Raises` UnpinnedError."""
    locked = {(_plain(each["name"]), each["version"]): each for each in pinned["components"]}
    ours = [(name, version) for name, version in held["ours"] if _plain(name) != PROGRAM]
    if unpinned := [f"{name} {version}" for name, version in ours if (_plain(name), version) not in locked]:
        raise UnpinnedError(f"the image holds what the lock file has not: {', '.join(unpinned)}")
    program = pinned["metadata"]["component"]
    components = [program, *(locked[_plain(name), version] for name, version in ours)]
    components += [_component("pypi", "", _plain(name), version) for name, version in held["base"]]
    components.append(_component("generic", "", "python", held["python"]))
    release = held["release"]
    for name, version, architecture in held["debian"]:
        where = f"?arch={architecture}&distro={release['VERSION_CODENAME']}"
        components.append(_component("deb", f"{release['ID']}/", name, version, where))
    image = {"type": "container", "bom-ref": "image", "name": TAG, "version": image_id}
    return {
        **{name: value for name, value in pinned.items() if name != "dependencies"},
        "metadata": {**pinned["metadata"], "component": image},
        "components": components,
        "dependencies": _dependencies(components),
    }


def _dependencies(components: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    refs = [each["bom-ref"] for each in components]
    return [{"ref": "image", "dependsOn": refs}, *({"ref": ref} for ref in refs)]


def _component(kind: str, namespace: str, name: str, version: str, qualifiers: str = "") -> dict[str, Any]:
    purl = f"pkg:{kind}/{namespace}{quote(name, safe='')}@{quote(version, safe='')}{qualifiers}"
    return {"type": "library", "bom-ref": f"base:{purl}", "name": name, "version": version, "purl": purl}


def _plain(name: str) -> str:
    """The one spelling of a Python package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(requirements: str, options: Sequence[str]) -> int:
    """Build the image from this lock file, with options of `docker build`, and list what it holds. The exit code."""
    if not docker_answers():
        print("make image needs a Docker engine, and none answers: `docker version` says why.", file=sys.stderr)
        return 2
    build = ["docker", "build", "--tag", TAG, "--build-arg", f"REQUIREMENTS={requirements}", *options, str(ROOT)]
    if subprocess.run(build, check=False).returncode != 0:
        print("make image: docker build failed; its last lines, above, say why.", file=sys.stderr)
        return 1
    pinned = _output(
        *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", requirements),
        *("--pyproject", "pyproject.toml", "--output-reproducible", "-o", "-"),
    )
    image_id, size = _output("docker", "image", "inspect", "--format", "{{.Id}} {{.Size}}", TAG).split()
    look = ("docker", "run", "--rm", "--network", "none", "--read-only", "--entrypoint", "python", TAG, "-c", LOOK)
    try:
        listed = bill(json.loads(pinned), json.loads(_output(*look)), image_id)
    except UnpinnedError as error:
        print(f"make image: {error}", file=sys.stderr)
        return 1
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(listed, indent=2) + "\n")
    print(f"{TAG}: {int(size) / 1e6:.0f} MB, made of {len(listed['components'])} packages: {SBOM.relative_to(ROOT)}")
    return 0


def _output(*words: str) -> str:
    return subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
