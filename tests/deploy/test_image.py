"""The image of the service: built where an engine answers, and the list of what it is made of."""

import json
import os
import re
import runpy
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from config.settings import ROOT
from stream_app.local.containers import docker_answers

IMAGE = runpy.run_path(str(ROOT / "deploy" / "image.py"))
MEGABYTES_MAX = 350
PINNED = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {
        "component": {"type": "application", "bom-ref": "root-component", "name": "crm-stats", "version": "1"}
    },
    "components": [
        {"type": "library", "bom-ref": "line-1", "name": "faust-streaming", "version": "2.0", "purl": "pkg:pypi/a@2.0"},
        {"type": "library", "bom-ref": "line-2", "name": "colorama", "version": "3.0", "purl": "pkg:pypi/c@3.0"},
    ],
    "dependencies": [{"ref": "line-2"}],
}
HELD = {
    "python": "3.11.2",
    "ours": [["crm-stats", "1"], ["Faust_Streaming", "2.0"]],
    "base": [["pip", "24.0"]],
    "debian": [["libstdc++6", "12.2.0-14+deb12u1", "amd64"]],
    "release": {"ID": "debian", "VERSION_CODENAME": "bookworm"},
}


def problems(listed):
    """What CycloneDX's schema finds wrong."""
    version = SchemaVersion.from_version(listed["specVersion"])
    return JsonStrictValidator(version).validate_str(json.dumps(listed))


def test_the_list_has_what_the_image_holds_and_no_more():
    listed = IMAGE["bill"](PINNED, HELD, "sha256:1")
    assert [each.get("purl") for each in listed["components"]] == [
        None,
        "pkg:pypi/a@2.0",
        "pkg:pypi/pip@24.0",
        "pkg:generic/python@3.11.2",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=bookworm",
    ]
    assert listed["metadata"]["component"] == {
        "type": "container", "bom-ref": "image", "name": "crm-stats", "version": "sha256:1"
    }  # fmt: skip
    assert problems(listed) is None


@pytest.mark.parametrize("version", ["2.1", None])
def test_what_nobody_pinned_is_an_error(version):
    ours = [["faust-streaming", version]] if version else [["pip", "24.0"]]
    with pytest.raises(IMAGE["UnpinnedError"], match=r"^the image holds what the lock file has not: (faust|pip)"):
        IMAGE["bill"](PINNED, HELD | {"ours": ours}, "sha256:1")


def test_make_image_builds_a_small_one_where_an_engine_answers_and_says_so_where_none_does():
    done = subprocess.run(["make", "image"], cwd=ROOT, capture_output=True, text=True, check=False)
    if not docker_answers():
        assert done.returncode == 2
        assert "make image needs a Docker engine, and none answers: `docker version` says why.\n" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", "crm-stats"], capture_output=True, text=True, check=True
    )
    assert int(size.stdout) < MEGABYTES_MAX * 1_000_000
    listed = json.loads((ROOT / ".run" / "image-sbom.json").read_text())
    names = {each["name"] for each in listed["components"]}
    assert {"crm-stats", "faust-streaming", "rocksdict", "tzdata", "python", "libc6"} <= names
    assert "polars" not in names
    assert problems(listed) is None


ENGINE = """#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in
"image inspect"*) echo sha256:1 300000000 ;;
run*) cat {folder}/held ;;
esac
"""


def pinned(lock):
    """Name and version, of a lock file."""
    return re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)


def test_make_image_builds_from_the_lock_file_that_is_asked_for_and_looks_at_what_came_of_it(tmp_path):
    """By a stand-in for the engine, whose image holds every extra and one package more: what the lock file has not is an error."""
    lock, held = "requirements-tracing.lock", [*pinned("requirements-extras.lock"), ("wurst", "1.0")]
    (tmp_path / "held").write_text(json.dumps(HELD | {"ours": held}))
    (engine := tmp_path / "docker").write_text(ENGINE.format(folder=tmp_path))
    engine.chmod(0o755)
    words = ["make", "image", f"REQUIREMENTS={lock}"]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    built = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("build")]
    assert built == [f"build --tag crm-stats --build-arg REQUIREMENTS={lock} {ROOT}"]
    found = ", ".join(f"{name} {version}" for name, version in held if (name, version) not in pinned(lock))
    assert f"make image: the image holds what the lock file has not: {found}\n" in done.stderr
