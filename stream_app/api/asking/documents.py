r"""Documents as bytes: the live as-of replaces the one that was stored, and no other field is parsed.

Place: between what Redis holds and what HTTP says, on the path of most requests. Invariant: what `spliced` finds is the
document's own field, whatever an id says: inside a JSON string every quote is escaped, so `"asOf":"` in an id reads
`\"asOf\":\"` there.
"""

import re
from typing import Any, Final, NamedTuple

import orjson

_FIELDS: Final = re.compile(rb'"partition":([0-9]+),"asOf":"([^"\\]*)","version":([0-9]+)')


class Spliced(NamedTuple):
    """A document with its live as-of."""

    data: bytes
    as_of: bytes
    version: bytes


def spliced(document: bytes, live: dict[bytes, bytes]) -> Spliced | None:
    """Put the live as-of of the document's partition into it; without one its own stays.

    None: no document of the sinks.
    """
    found = _FIELDS.search(document)
    if found is None:
        return _spliced_slowly(document, live)
    partition, own, version = found.groups()
    as_of = live.get(partition, own)
    return Spliced(document[: found.start(2)] + as_of + document[found.end(2) :], as_of, version)


def _spliced_slowly(document: bytes, live: dict[bytes, bytes]) -> Spliced | None:
    """The same for a document written with other white space or another order of fields."""
    data = loaded(document)
    try:
        partition, own, version = data["partition"], data["asOf"].encode(), data["version"]
    except (KeyError, AttributeError):
        return None
    as_of = live.get(b"%d" % partition, own)
    return Spliced(orjson.dumps(data | {"asOf": as_of.decode()}), as_of, b"%d" % version)


def loaded(document: bytes) -> dict[str, Any]:
    """The fields of a document; none of what is not a JSON object."""
    try:
        data = orjson.loads(document)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}
