"""What changed between the contracts as they were released and as they are, and which of it breaks somebody. A test of the house calls it.

A change is seen by how much a schema allows. Who writes source events breaks where less is allowed than before; who reads results breaks where more is
written than before. What is gone, a field or a word of a closed list, breaks both: it was written, or waited for. A change whose direction can't be told,
such as another pattern, counts as both. A field that is new breaks nobody, since unknown ones are ignored.

`docs/contracts/released` has the last release: `--release` copies today's there, and is for releases only.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).resolve().parent / "contracts"
RELEASED: Final = FOLDER / "released"

Schema = dict[str, Any]


class Effect(Enum):
    """What a contract allows, compared with before."""

    LESS = "allows less"
    MORE = "allows more"
    OTHER = "allows something else"
    GONE = "is gone"
    NEW = "is new"


class Change(NamedTuple):
    """A change at a place, such as ("sessions value", "properties/status/enum/ACTIVE")."""

    part: str
    place: str
    effect: Effect


class Part(NamedTuple):
    """A schema of a topic's, and what the service does with the topic: "receive" or "send"."""

    action: str
    schema: Schema


_BREAKS: Final[Mapping[str, frozenset[Effect]]] = {
    "receive": frozenset({Effect.LESS, Effect.OTHER, Effect.GONE}),
    "send": frozenset({Effect.MORE, Effect.OTHER, Effect.GONE}),
}
# Changes since the last release that break nobody who relies on it, though the schemas by themselves look so. Empty again with the next release.
# Reasons of letters: no record of a topic that the last release could be set to read has one of them.
HARMLESS: Final = frozenset(
    Change("dead_letters headers", f"properties/reason/enum/{word}", Effect.MORE)
    for word in ("not_wire_format", "unknown_schema", "not_of_schema")
)
# What a higher value does.
_BOUNDS: Final[Mapping[str, Effect]] = {
    "minimum": Effect.LESS,
    "minLength": Effect.LESS,
    "minItems": Effect.LESS,
    "maximum": Effect.MORE,
    "maxLength": Effect.MORE,
    "maxItems": Effect.MORE,
}
_OPPOSITE: Final = {Effect.LESS: Effect.MORE, Effect.MORE: Effect.LESS}
_SAYS_ONLY: Final = frozenset({"$schema", "$id", "title", "description", "examples", "format"})

Found = Iterator[tuple[str, Effect]]  # places and effects


def schema_changes(old: Schema, new: Schema, place: str = "") -> Found:
    """The changes from one schema to another."""
    old, new = ({name: value for name, value in schema.items() if name not in _SAYS_ONLY} for schema in (old, new))
    if old == new:
        return
    if not old or not new:  # one of them allows anything
        yield place, Effect.MORE if old else Effect.LESS
    elif ("anyOf" in old) != ("anyOf" in new):
        yield from _alternatives(old.get("anyOf", [old]), new.get("anyOf", [new]), place)
    else:
        for keyword in sorted(old.keys() | new.keys()):
            yield from _keyword(keyword, old.get(keyword), new.get(keyword), f"{place}/{keyword}".removeprefix("/"))


def _keyword(keyword: str, old: Any, new: Any, place: str) -> Found:
    if old == new:
        return
    match keyword:
        case "properties":
            yield from _properties(old or {}, new or {}, place)
        case "required":
            yield from _words(new or [], old or [], place, Effect.LESS)  # that is, what may be missing
        case _ if old is None or new is None:
            yield place, Effect.LESS if old is None else Effect.MORE
        case "enum":
            yield from _words(old, new, place, Effect.GONE)
        case "type":
            yield from _words(_listed(old), _listed(new), place, Effect.LESS)
        case "anyOf":
            yield from _alternatives(old, new, place)
        case "items" | "then" | "else":
            yield from schema_changes(old, new, place)
        case _ if keyword in _BOUNDS:
            yield place, _BOUNDS[keyword] if new > old else _OPPOSITE[_BOUNDS[keyword]]
        case _:
            yield place, Effect.OTHER


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _words(old: Sequence[Any], new: Sequence[Any], place: str, gone: Effect) -> Found:
    """Of words that are allowed. `gone`: the effect of one that was."""
    yield from ((f"{place}/{word}", gone) for word in old if word not in new)
    yield from ((f"{place}/{word}", Effect.MORE) for word in new if word not in old)


def _properties(old: Schema, new: Schema, place: str) -> Found:
    yield from ((f"{place}/{name}", Effect.GONE) for name in old if name not in new)
    yield from ((f"{place}/{name}", Effect.NEW) for name in new if name not in old)
    for name in old:
        if name in new:
            yield from schema_changes(old[name], new[name], f"{place}/{name}")


def _alternatives(old: Sequence[Schema], new: Sequence[Schema], place: str) -> Found:
    """Those of the same types and required fields are compared with each other; where two have the same nothing can be told."""
    olds, news = ({_name(schema): schema for schema in found} for found in (old, new))
    if len(olds) < len(old) or len(news) < len(new):
        yield place, Effect.OTHER
        return
    yield from _words(list(olds), list(news), place, Effect.LESS)
    for name in olds:
        if name in news:
            yield from schema_changes(olds[name], news[name], f"{place}/{name}")


def _name(schema: Schema) -> str:
    return ",".join([*_listed(schema.get("type", "any")), *schema.get("required", [])])


def parts(folder: Path) -> dict[str, Part]:
    """What AsyncAPI and the schemas beside it promise of each topic: address and compaction; of each message value, key and headers."""
    document, found = json.loads((folder / "asyncapi.json").read_text()), {}

    def read(made: Schema) -> Schema:
        schema = made.get("schema", made)
        file = schema.get("$ref")
        return json.loads((folder / file).read_text()) if file else schema

    for operation in document["operations"].values():
        action, name = operation["action"], operation["channel"]["$ref"].rpartition("/")[2]
        channel = document["channels"][name]
        policy = channel["bindings"]["kafka"].get("topicConfiguration", {}).get("cleanup.policy")
        found[f"{name} topic"] = Part(action, {"const": [channel["address"], policy]})
        for message_name in channel["messages"]:
            message = document["components"]["messages"][message_name]
            found[f"{message_name} value"] = Part(action, read(message["payload"]))
            found[f"{message_name} key"] = Part(action, message["bindings"]["kafka"]["key"])
            found[f"{message_name} headers"] = Part(action, read(message.get("headers", {})))
    return found


def changes(old: Mapping[str, Part], new: Mapping[str, Part]) -> list[Change]:
    """All changes, by part. A part that is new breaks nobody."""
    found = [Change(name, "", Effect.GONE) for name in old if name not in new]
    found += [Change(name, "", Effect.NEW) for name in new if name not in old]
    for name in old:
        if name in new:
            found += [Change(name, *change) for change in schema_changes(old[name].schema, new[name].schema)]
    return found


def breaking(old: Mapping[str, Part], new: Mapping[str, Part]) -> list[Change]:
    """Those changes that break somebody who relies on the old contract."""
    return [
        change
        for change in changes(old, new)
        if change.part in old and change.effect in _BREAKS[old[change.part].action] and change not in HARMLESS
    ]


def release(folder: Path, released: Path) -> None:
    """Copy the contracts of the topics to where the next changes are compared with them."""
    shutil.rmtree(released, ignore_errors=True)
    released.mkdir()
    for file in folder.glob("*.json"):
        if file.name != "openapi.json":
            shutil.copy(file, released)


if __name__ == "__main__":
    if "--release" in sys.argv:
        release(FOLDER, RELEASED)
    before, now = parts(RELEASED), parts(FOLDER)
    broken = breaking(before, now)
    for change in changes(before, now):
        print(f"{'BREAKS ' if change in broken else ''}{change.part} {change.place} {change.effect.value}")
    sys.exit(f"{len(broken)} changes break the contracts of the last release" if broken else None)
