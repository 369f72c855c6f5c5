"""The monitor's document is one shape for who writes it, who prints it and who draws it."""

import json
import re

import msgspec
import pytest

from config.settings import ROOT
from stream_app.health.freshness import Stage
from stream_app.health.status import Reason, Status
from stream_app.monitor.board import Board
from stream_app.monitor.document import (
    BrokerRow,
    DeadLetterRow,
    GroupRow,
    HeldRow,
    KafkaState,
    OperatorRow,
    OperatorsDocument,
    PartitionRow,
    ProbeRow,
    RebuildRow,
    ResultRow,
    SinkState,
    SourceRow,
    StatusDocument,
    decode_status,
    encode,
)
from stream_app.monitor.probe import ProbeLatency

RECORDED = ROOT / "tests" / "support" / "recorded"
(PAGE,) = (path for path in ROOT.glob("stream_app/**/ops/document.js") if "node_modules" not in path.parts)
OF_THE_PAGE = {  # typedef of the page -> struct
    "PartitionRow": PartitionRow,
    "GroupRow": GroupRow,
    "ResultRow": ResultRow,
    "SinkState": SinkState,
    "SourceRow": SourceRow,
    "ProbeRow": ProbeRow,
    "LetterRow": DeadLetterRow,
    "HeldRow": HeldRow,
    "RebuildRow": RebuildRow,
    "BrokerRow": BrokerRow,
    "Status": StatusDocument,
    "OperatorRow": OperatorRow,
}


def typedefs(source):
    """typedef -> field -> its type, out of JSDoc: objects written with @property, or in braces."""
    found = {}
    for block in re.split(r"@typedef", source)[1:]:
        if name := re.match(r" \{object\} (\w+)", block):
            found[name[1]] = {
                field.strip("[]"): kind for kind, field in re.findall(r"@property \{(.+)\} (\[?\w+\]?)", block)
            }
        elif name := re.match(r" \{\{(.+?)\}\} (\w+)", block):
            found[name[2]] = dict(re.findall(r"(\w+): ([^,]+)", name[1]))
    return found


def fields(struct):
    """Field -> JSON schema of its value, as msgspec writes it."""
    _, components = msgspec.json.schema_components([struct], ref_template="{name}")
    return components[struct.__name__]["properties"]


def is_nullable(schema):
    return {"type": "null"} in schema.get("anyOf", ())


def test_typedefs_are_found_in_both_notations():
    source = """
    /**
     * @typedef {object} Row a row
     * @property {string} topic
     * @property {Other[]} [others]
     *
     * @typedef {{stage: Sink, failure: string | null}} Other
     */
    """
    assert typedefs(source) == {
        "Row": {"topic": "string", "others": "Other[]"},
        "Other": {"stage": "Sink", "failure": "string | null"},
    }


@pytest.mark.parametrize("name", OF_THE_PAGE)
def test_the_page_reads_fields_that_the_document_has(name):
    """And knows which of them may be null."""
    page, struct = typedefs(PAGE.read_text())[name], fields(OF_THE_PAGE[name])
    assert page.keys() <= struct.keys()
    for field, kind in page.items():
        assert kind.endswith("| null") == is_nullable(struct[field]), field


def test_the_page_knows_no_other_row():
    known = {name for name in typedefs(PAGE.read_text()) if name.endswith(("Row", "State", "Status"))}
    assert known == OF_THE_PAGE.keys()
    kafka = re.findall(r"(\w+):", typedefs(PAGE.read_text())["Status"]["kafka"])
    assert kafka
    assert set(kafka) <= set(KafkaState.__struct_fields__)


@pytest.mark.parametrize("name", ["well", "redis", "ingest"])
def test_what_a_monitor_said_is_a_document(name):
    """Nothing is lost: what was recorded, before there were probes, comes out again field by field."""
    text = (RECORDED / f"{name}.json").read_bytes()
    later = {
        "probes": [],
        "is_push_to_blame": False,
        "generation": 0,
        "ours": None,
        "rebuild": None,
        "held": [],
        "brokers": [],
    }
    recorded = json.loads(text)
    sources = [{"failure": None} | row for row in recorded["sources"]]
    assert json.loads(encode(decode_status(text))) == later | recorded | {"sources": sources}


def test_what_a_monitor_said_of_operators_is_a_document():
    recorded = (RECORDED / "operators.json").read_bytes()
    assert json.loads(encode(msgspec.json.decode(recorded, type=OperatorsDocument))) == json.loads(recorded)


def test_a_board_becomes_a_document_with_words_for_every_reason_and_stage():
    """Before the first look nothing is seen; a push that was lost, where Redis shows the probe, is to blame."""
    redis, push = ProbeLatency(Stage.REDIS), ProbeLatency(Stage.PUSH)
    redis.take(0.5, 1000)
    push.take(None, 1000)
    board = Board(
        began_ms=1, groups=[GroupRow("g", "classic", Status.NOTFOUND, Reason.NOT_THERE, 1)], probes=[redis, push]
    )
    document = board.document(now_ms=60_000)
    assert encode(decode_status(encode(document))) == encode(document)
    assert document.kafka == KafkaState(is_seen=False, looked_ms=0, look_seconds=0.0, failure=None)
    assert document.words.keys() == {*Reason, *Stage, "silent"}
    assert document.is_push_to_blame
    assert [(row.stage, row.p50, row.lost) for row in document.probes] == [("redis", 0.5, 0), ("push", None, 1)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"now_ms": 1}', b'{"now_ms": "late"}'])
def test_what_is_no_document_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        decode_status(body)
