"""The table of `stream-app status`, by what a monitor of a whole deployment once said."""

import io

import msgspec
import pytest
from rich.console import Console

from config.settings import ROOT
from stream_app.cli.status import is_well
from stream_app.cli.status_page import page, span
from stream_app.health.advice import STAGES
from stream_app.health.freshness import Stage
from stream_app.health.status import Status
from stream_app.monitor.document import HeldRow, KafkaState, ProbeRow, RebuildRow, decode_status

RECORDED = ROOT / "tests" / "support" / "recorded"


def said(name, **changes):
    return msgspec.structs.replace(decode_status((RECORDED / f"{name}.json").read_bytes()), **changes)


def lines(document):
    """The table as a terminal of 200 columns shows it, with single blanks."""
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(page(document))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_deployment_that_is_well():
    document = said("well")
    assert is_well(document)
    shown = lines(document)
    assert any(line.startswith("crm-stats-ingest OK") and "nothing is unread" in line for line in shown)
    assert any(line.startswith("redis 0.4 s yes") for line in shown)
    assert any(line.startswith("unknown_currency") for line in shown)
    assert not any(line.startswith("results of") for line in shown)


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("redis", "see whether Redis answers, has memory left and takes writes."),
        ("ingest", "see whether workers run (make up), and what the end of their logs says."),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(name, todo):
    document = said(name)
    assert not is_well(document)
    assert any(line.endswith(todo) for line in lines(document))


def test_a_cluster_that_is_not_seen_is_said_first():
    unseen = KafkaState(is_seen=False, looked_ms=0, look_seconds=0.0, failure="ClusterError: away")
    document = said("well", kafka=unseen)
    assert not is_well(document)
    assert lines(document)[0] == "Kafka is not seen: ClusterError: away"


def test_a_push_that_is_to_blame_is_said():
    words = said("well").words | {"push": STAGES[Stage.PUSH]}
    document = said("well", is_push_to_blame=True, words=words)
    assert not is_well(document)
    assert f"push: {STAGES[Stage.PUSH].todo}." in lines(document)


def test_partitions_beyond_the_limit_are_said():
    assert "7 partitions are not watched: monitor_partitions_max" in lines(said("well", left_out=7))


def test_a_group_that_is_well_keeps_up():
    well = said("well").groups[0]
    unread = {"lag_records": 1, "lag_seconds": 0.2, "catch_up_seconds": None}
    for status, words in ((Status.OK, "keeps up"), (Status.WARN, "never")):
        row = msgspec.structs.replace(well, status=status, **unread)
        assert f" 1 0.2 s {words} " in " ".join(lines(said("well", groups=[row])))


def test_an_open_transaction_that_holds_as_of_is_named():
    shown = said("ingest")
    results = [msgspec.structs.replace(row, stage=Stage.AS_OF) for row in shown.results]
    held = [HeldRow("charging.payments", 3, 99, shown.now_ms - 60_000, 4711)]
    words = " ".join(lines(msgspec.structs.replace(shown, results=results, held=held)))
    assert "charging.payments/3 for 60 s by producer id 4711" in words
    assert "kafka-transactions.sh abort --topic charging.payments --partition 3 --start-offset 99" in words


def test_a_rebuild_is_told_with_its_rate_and_time_left():
    row = RebuildRow(2, "crm-stats-ledger-2", 8, 1, 240_000, 1_000_000, 12_345.6, 200.0)
    shown = " ".join(lines(said("well", generation=1, rebuild=row)))
    assert "76% of the events topic is read, 240,000 records are left" in shown
    assert "12,346 a second, 3 min to go" in shown


def test_probes_are_shown_with_their_quantiles():
    probe = ProbeRow(Stage.REDIS, None, 0.25, 1, 2, 0.2, 1.5, 1234)
    assert "redis 0.2 s 0.2 s 1.5 s 1,234 2 yes" in lines(said("well", probes=[probe]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (7140, "119 min"),
        (7200, "2 h 0 min"),
        (11_400, "3 h 10 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_spans_as_people_say_them(seconds, text):
    assert span(seconds) == text
