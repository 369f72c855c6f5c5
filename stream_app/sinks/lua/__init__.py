"""Scripts that run inside Redis. Each touches keys of one hash tag only, so that a cluster takes them."""

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script and the name by which Redis caches it."""

    text: str
    sha: str


def script(package: str, name: str) -> Script:
    """The script of the file NAME.lua of a package."""
    text = files(package).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, sha1(text.encode()).hexdigest())  # noqa: S324  # Redis' own choice, no secret


PUT, VERSIONS, BEGIN, AS_OF = (script(__package__, name) for name in ("put", "versions", "begin", "as_of"))
SEEN, ENTRIES, PUT_ENTRIES = (script(__package__, name) for name in ("seen", "entries", "put_entries"))
MARK, MARKED = (script(__package__, name) for name in ("mark", "marked"))
