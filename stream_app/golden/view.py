"""The view that a right reader of the golden records holds in the end, and how another view differs from it.

Pure. A view is topic -> key -> value, as JSON.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from stream_app.golden.records import UNKNOWN, Golden, Round

View = Mapping[str, Mapping[str, Mapping[str, Any]]]


class ViewError(Exception):
    """What was given is no view; the message says why."""


class Comparison(NamedTuple):
    """How a view differs from the right one.

    `differences`: a line each; `same`: number of keys without one; `left_out`: topics, and fields of topics, that the view has nowhere.
    """

    differences: list[str]
    same: int
    left_out: list[str]


def right_view(rounds: Iterable[Round], names: Mapping[str, str]) -> View:
    """What must be held in the end. `names`: of the topics in Kafka."""
    view: dict[str, dict[str, Any]] = {name: {} for name in names.values()}
    for golden in _committed(rounds):
        if golden.is_held:
            value = json.loads(golden.record.value or b"")
            value.pop(UNKNOWN, None)
            view[names[golden.topic]][golden.record.key.decode()] = value
    return view


def read_view(text: str) -> View:
    """A reader's view: the member `view` of an object, topic -> key -> value; null stands for no key. `Raises` ViewError."""
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise ViewError(f"is no JSON: {error}") from None
    found = whole.get("view") if isinstance(whole, dict) else None
    if not isinstance(found, dict):
        raise ViewError('is no object with a member "view"')
    view: dict[str, dict[str, Any]] = {}
    for topic, keys in found.items():
        if not isinstance(keys, dict):
            raise ViewError(f"has no object of keys in view, {topic}")
        view[topic] = {key: value for key, value in keys.items() if value is not None}
        for key, value in view[topic].items():
            if not isinstance(value, dict):
                raise ViewError(f"has no object in view, {topic}, {key}")
    return view


def compare(view: View, rounds: Iterable[Round], names: Mapping[str, str]) -> Comparison:
    """A reader's view beside the right one.

    A reader may read some of the topics, keep some of the fields, and hold fields of its own: what no value of a topic has is not compared, and told.
    `Raises` ViewError for a view of none of the topics.
    """
    whole = list(rounds)
    meanings = {
        (names[each.topic], each.record.key.decode()): each.meaning
        for one in whole
        for each in chain(one.aborted, one.committed)
    }
    if not any(topic in view for topic in names.values()):
        raise ViewError(f"has none of the topics {', '.join(names.values())} in view")
    out = Comparison([], 0, [])
    for topic, right in right_view(whole, names).items():
        if topic not in view:
            out.left_out.append(topic)
            continue
        held = view[topic]
        kept = {field for value in held.values() for field in value}
        fields = list(dict.fromkeys(field for value in right.values() for field in value))
        out.left_out.extend(f"{topic}: {field}" for field in fields if field not in kept)
        for key in sorted(held.keys() | right.keys()):
            said = list(_said(held.get(key), right.get(key), kept))
            meaning = meanings.get((topic, key), "no record has this key")
            out.differences.extend(f"{topic} {key}: {text} ({meaning})" for text in said)
            out = out._replace(same=out.same + (not said))
    return out


def _said(held: Mapping[str, Any] | None, right: Mapping[str, Any] | None, kept: Iterable[str]) -> Iterator[str]:
    """How the value of a key differs."""
    if held is None or right is None:
        if held is not right:
            yield "is missing" if held is None else f"must not be there, with version {held.get('version')}"
        return
    for field, value in right.items():
        there, must = json.dumps(held.get(field), ensure_ascii=False), json.dumps(value, ensure_ascii=False)
        if field in kept and there != must:  # as text: 1, 1.0, true and "1" are four things
            yield f"{field} is {there}, must be {must}"


def _committed(rounds: Iterable[Round]) -> Iterator[Golden]:
    return chain.from_iterable(each.committed for each in rounds)
