"""What no file of the repository may hold, and what no installed package may bring."""

import re
import subprocess
from importlib import metadata

from config.settings import ROOT

OURS = {"agents", "config", "stream_app", "tables", "tests"}

# Written in pieces, for this file is searched too.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("maven", "org"),
        ("repo", "maven", "apache", "org"),
        ("maven", "apache", "org", "maven2"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
]
MACHINE_PATH = re.compile(r"""(?<![\w./<>$})])/(?:work|root)/[\w.]""")


def files():
    """Path -> text of all that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            yield name, path.read_bytes().decode(errors="replace")


def test_no_file_names_a_package_registry():
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(host)}\b" for host in REGISTRIES))
    assert pattern.search("https://" + REGISTRIES[0] + "/simple")
    assert [(name, found[0]) for name, text in files() if (found := pattern.search(text))] == []


def test_no_file_holds_a_path_of_somebodys_machine():
    assert MACHINE_PATH.search("open('/" + "root/x')")
    assert [(name, found[0]) for name, text in files() if (found := MACHINE_PATH.search(text))] == []


def test_no_distribution_brings_a_top_level_name_of_ours():
    brought = {}
    for distribution in metadata.distributions():
        if distribution.metadata["Name"] == "crm-stats":
            continue
        for file in distribution.files or []:
            top = file.parts[0].removesuffix(".py")
            if top in OURS:
                brought.setdefault(top, set()).add(distribution.metadata["Name"])
    assert brought == {}
