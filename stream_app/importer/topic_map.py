"""What was read of a topic -> a first map, to be completed by hand, and what a map makes of it.

The beginning of a source topic of one's own. Invariant: what the records do not prove is marked UNSURE, and where several places may be meant none is taken:
the line is a comment that names them. Pure: no I/O.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from stream_app.domain.events import GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.domain.money import DIGITS
from stream_app.importer.guesses import Choice, Guesses, Moment, guesses
from stream_app.importer.topic_records import Table, TopicRecord, table
from stream_app.sources import read
from stream_app.sources.maps.map_file import EPOCH_MS, EPOCH_US, LOCAL_MS, LOCAL_US, TopicMap
from stream_app.sources.registry import mapped
from stream_app.sources.wire import NONE_KNOWN, Known

_UNSURE: Final = "  # UNSURE: "
_SHOWN: Final = 8
_OPERATOR = re.compile(r"operator|merchant|tenant|owner|cpo|party", re.IGNORECASE)
_STATUS = re.compile(r"status|state", re.IGNORECASE)
_VERSION = re.compile(r"(^|\.)(version|revision|rev|seq|seqno|sequence|lsn)$", re.IGNORECASE)
_ID = re.compile(r"(^|[._])(id|uuid|number|no)$", re.IGNORECASE)
_LOCAL: Final = {EPOCH_MS: LOCAL_MS, EPOCH_US: LOCAL_US}
# Words of states, and what they may mean for a session and for a payment.
_MEANINGS: Final = (
    (re.compile(r"refund", re.IGNORECASE), "COMPLETED", "REFUNDED"),
    (re.compile(r"cancel|void|invalid|delete|abort", re.IGNORECASE), "INVALID", "CANCELED"),
    (re.compile(r"fail|declin|reject|error", re.IGNORECASE), "INVALID", "FAILED"),
    (re.compile(r"unpaid|pend|open|activ|start|creat|progress|charging|new", re.IGNORECASE), "ACTIVE", "PENDING"),
    (re.compile(r"paid|complet|succe|done|finish|clos|end|settled", re.IGNORECASE), "COMPLETED", "SUCCEEDED"),
)
_KINDS: Final = {
    OPERATOR: "operators",
    GROUP: "names of groups",
    MEMBERSHIP: "customers' groups",
    SESSION: "sessions",
    PAYMENT: "payments",
}


def first_topic_map(name: str, number: int, records: Sequence[TopicRecord], schemas: Known = NONE_KNOWN) -> str:
    """The TOML of a map for a topic, by some of its records; `schemas`: those of a schema registry that values name."""
    found = table(name, number, records, schemas)
    return "".join(f"{line}\n" for line in _lines(found))


class _Hints(NamedTuple):
    """What the places of a topic may mean, and what stands there."""

    what: Guesses
    columns: Mapping[str, Sequence[str]]
    entity: Choice[str]
    states: Sequence[str]
    version: Sequence[str]  # the line of it, if there is one
    is_debezium: bool


def _hints(found: Table) -> _Hints:
    header, what = found.header, guesses(found.header, found.rows)
    columns = {path: [row[at] for row in found.rows if row[at]] for at, path in enumerate(header)}
    ids = [path for path in header if _ID.search(path) and len({*columns[path]}) == len(found.rows)]
    entity = what.session
    if entity.found is None:
        entity = Choice(ids[0] if len(ids) == 1 else None, ids or what.session.candidates)
    states = [path for path in header if _STATUS.search(path) and 0 < len({*columns[path]}) <= _SHOWN]
    versions = [path for path in header if _VERSION.search(path) and all(text.isdecimal() for text in columns[path])]
    version = [f"version = {_path(versions[0])}"] if len(versions) == 1 else []
    return _Hints(what, columns, entity, states, version, found.topic.envelope == "debezium")


def _lines(found: Table) -> Iterator[str]:
    topic, hints = found.topic, _hints(found)
    yield f"# A first map, guessed from {len(found.rows)} records. What each key means: docs/own-topics.md"
    yield "[topic]"
    yield f"name = {_text(topic.name)}"
    yield f"number = {topic.number}"
    if topic.envelope != "plain":
        yield f"envelope = {_text(topic.envelope)}"
    if topic.format != "json":
        yield f"format = {_text(topic.format)}"
    if topic.records:
        yield f"records = {_text(topic.records)}"
    yield ""
    yield "[times]"
    yield f'zone = "UTC"{_UNSURE}the zone of times without an offset'
    yield ""
    yield "[row]"
    operators = [path for path in found.header if _OPERATOR.search(path)]
    if len(operators) == 1:
        yield f"operator_id = {_path(operators[0])}{_UNSURE}by its name"
    else:
        yield f'operator_id = {{ value = "OPERATOR" }}{_UNSURE}the operator\'s id{_or(operators)}'
    yield _line("customer_id", hints.what.customer, "by its name; which values mean nobody?")
    yield from _session(hints)
    if hints.what.amount.candidates:
        yield from _payment(hints)


def _session(hints: _Hints) -> Iterator[str]:
    what = hints.what
    yield ""
    yield "[session]"
    yield _line("session_id", hints.entity)
    yield _status(hints, "COMPLETED", 1)
    yield _or_candidates("started_at", _time(what.started, hints), what.started)
    yield _or_candidates("ended_at", _time(what.ended, hints), what.ended)
    if what.energy.candidates:
        unit = "kWh" if "kwh" in (what.energy.found or "").lower() else "Wh"
        yield _line("energy_kwh", what.energy, "by its name; is the unit kWh or Wh?", f", unit = {_text(unit)}")
    yield from hints.version


def _payment(hints: _Hints) -> Iterator[str]:
    what = hints.what
    yield ""
    yield "[payment]"
    yield _line("payment_id", hints.entity)
    if hints.entity.found:
        yield f"session_id = {_path(hints.entity.found)}"
    yield _status(hints, "SUCCEEDED", 2)
    is_whole = what.amount.found is not None and all(text.isdecimal() for text in hints.columns[what.amount.found])
    unit = ', unit = "minor"' if is_whole else ""
    yield _line("amount_received", what.amount, "by its name; major units (1.50) or minor ones (150)?", unit)
    currencies = [
        path for path, texts in hints.columns.items() if texts and all(text.upper() in DIGITS for text in texts)
    ]
    if len(currencies) == 1:
        yield f"currency = {_path(currencies[0])}"
    else:
        yield f'currency = {{ value = "EUR" }}{_UNSURE}it might be{_or(currencies) or " no place"}'
    yield _or_candidates("paid_at", _time(what.ended, hints) or _time(what.started, hints), what.ended)
    yield from hints.version


def _time(choice: Choice[Moment], hints: _Hints) -> str | None:
    if choice.found is None or len(choice.found.columns) != 1:
        return None
    form = choice.found.formats[0]
    local = f"{_UNSURE}{_LOCAL[form]} if it is a column without a zone" if hints.is_debezium and form in _LOCAL else ""
    return f"{{ path = {_text(choice.found.columns[0])}, formats = [{_text(form)}] }}{local}"


def _or_candidates(key: str, time: str | None, choice: Choice[Moment]) -> str:
    return (
        f"{key} = {time}"
        if time
        else f'# {key} = {{ path = "" }}{_UNSURE}it might be{_or(choice.candidates) or " no place"}'
    )


def _status(hints: _Hints, otherwise: str, meaning: int) -> str:
    states, columns = hints.states, hints.columns
    if len(states) != 1:
        return f"status = {{ value = {_text(otherwise)} }}{_UNSURE}all count{_or(states)}"
    values = []
    for word in sorted({*columns[states[0]]}):
        meant = next((each[meaning] for each in _MEANINGS if each[0].search(word)), "")
        values.append(f"{_text(word)} = {_text(str(meant) or otherwise)}")
    return f"status = {{ path = {_text(states[0])}, values = {{ {', '.join(values)} }} }}{_UNSURE}what do these words mean?"


def _line(key: str, choice: Choice[str], unsure: str = "", more: str = "") -> str:
    if choice.found is None:
        return f'# {key} = {{ path = "" }}{_UNSURE}it might be{_or(choice.candidates) or " no place"}'
    return f"{key} = {{ path = {_text(choice.found)}{more} }}" + (_UNSURE + unsure if unsure else "")


def _or(paths: Sequence[str]) -> str:
    return f" {', '.join(paths[:_SHOWN])}" if paths else ""


def _path(path: str) -> str:
    return f"{{ path = {_text(path)} }}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def outcome(map_: TopicMap, records: Sequence[TopicRecord], now_ms: int, schemas: Known = NONE_KNOWN) -> Iterator[str]:
    """What a map makes of records, line by line: how many of each kind of events, and each refusal with its place and reason.

    `schemas`: those of all ids, in a topic by a schema registry.
    """
    said: Counter[int] = Counter()
    refused = []
    topic = mapped(map_)
    for record in records:
        found = read(
            topic,
            [record.value],
            [record.offset],
            [record.timestamp],
            record.partition,
            now_ms=now_ms,
            ocpi_operators={},
            schemas=schemas,
        )
        for kind, parts in found.by_kind.items():
            said[kind] += sum(len(part.ids) for part in parts.values())
        refused += [(record, rejection) for _, rejection in found.rejections]
    counts = ", ".join(f"{said[kind]} {_KINDS.get(kind, 'CDRs')}" for kind in topic.kinds)
    yield f"{len(records)} records read: {counts}; {len(refused)} records refused"
    for record, (reason, detail) in refused:
        yield f"{map_.topic.name}/{record.partition}/{record.offset} {reason.value}: {detail}"
