"""Where the examples stand, and which versions they pin."""

import re

from config.settings import ROOT

EXAMPLES = ROOT / "docs" / "subscribers"


def pinned_in_pom() -> list[tuple[str, str]]:
    """The dependencies of the example in Java: name, version."""
    pom = (EXAMPLES / "java" / "pom.xml").read_text()
    return re.findall(r"<artifactId>(.*)</artifactId>\s*<version>(.*)</version>\s*</dependency>", pom)
