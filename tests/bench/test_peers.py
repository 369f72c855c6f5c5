"""Ours and the peers side by side: what is compared, and how it is shown. The smallest run of ours is whole: real Kafka, Redis and ClickHouse."""

import pytest

from bench.context import Context
from bench.peers import page
from bench.peers.measured import Measured, Missing
from bench.peers.outputs import _name, check
from bench.peers.run import measure
from bench.stack import Stack
from bench.traffic import SMALL, Truth, last_midnight_ms, visits
from config.settings import ROOT
from stream_app.local.errors import LocalError

UNTIL_MS = 1_793_664_000_000  # 2026-11-03T00:00:00Z


def measured(system, data, events_per_cpu_s, *, rss_mb=300):
    """With a start of 2 CPU-seconds."""
    cpu_s = 2 + 1_000_000 / events_per_cpu_s
    return Measured(system, data, 1_000_000, cpu_s, 2.0, cpu_s, 2.0, rss_mb << 20, 5.0, 1.0, 4_000)


FOUND = [
    measured("ours", "narrow", 60_000),
    measured("kafka-streams", "narrow", 15_000),
    measured("chdb", "narrow", 70_000),
    Missing("flink", "narrow", "Maven failed"),
    measured("ours", "wide", 45_000, rss_mb=700),
    measured("kafka-streams", "wide", 15_000),
]


@pytest.fixture
def truth():
    truth = Truth(SMALL)
    list(truth.counted(visits(SMALL, 200, UNTIL_MS)))
    return truth


def results(truth):
    return {
        "payments": dict(truth.payments),
        "sessions": dict(truth.sessions),
        "slots": {name: (count,) for name, count in truth.slots.items()},
    }


def test_results_that_are_right_are_counted(truth):
    found = results(truth)
    assert check("it", found, truth) == sum(map(len, found.values())) > 100


@pytest.mark.parametrize("kind", ["payments", "sessions", "slots"])
@pytest.mark.parametrize("how", ["wrong", "missing", "invented"])
def test_a_result_that_is_wrong_or_missing_or_invented_fails(truth, kind, how):
    found = results(truth)
    name = max(found[kind])
    if how == "wrong":
        found[kind][name] = (*found[kind][name][:-1], found[kind][name][-1] + 1)
    elif how == "missing":
        del found[kind][name]
    else:
        found[kind]["M9999", *name[1:]] = found[kind][name]
    with pytest.raises(LocalError, match=f"1 of .* rows of {kind} are wrong"):
        check("it", found, truth)


def test_names_of_results_are_read_in_both_forms():
    assert _name(b"M1|ALL|2026-11") == _name(b'{"op":"M1","g":"ALL","at":"2026-11"}') == ("M1", "ALL", "2026-11")
    assert _name(b"M1|G2|2026-11-03|47") == _name(b'{"op":"M1","g":"G2","at":"2026-11-03","slot":47}')


def test_the_pages_show_the_worst_beside_the_best_and_what_is_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_profile", lambda data: f"the profile of {' and '.join(data)}")
    performance, readme = tmp_path / "performance.md", tmp_path / "README.md"
    performance.write_text("# Performance\n\nBefore.\n")
    readme.write_text(f"Before.\n{page.README[0]}\nold\n{page.README[1]}\nAfter.\n")
    for _ in range(2):
        page.write(performance, readme, FOUND, 1_000_000)
    said = performance.read_text()
    assert said.count("## 1,000,000 events") == said.count("**wide**") == 1
    assert "| Kafka Streams 4.1.2, RocksDB | 1,000,000 | 15,000 | 15,000 | 300 |" in said
    for ratio in ("4.00, at least 5: missed", "3.00, at least 3: met", "0.86, at least 0.8: met"):
        assert ratio in said
    assert "not measured: Maven failed" in said
    assert "narrow 300 MiB, at most 350: met; wide 700 MiB, at most 600: missed" in said
    assert "the profile of narrow and wide" in said
    best, worst = [line for line in readme.read_text().splitlines() if "operators" in line]
    assert best == "| 20 operators, 200,000 customers, 120 groups | 60,000 | 60,000 | 300 | 4.00 | 0.86 |"
    assert worst == "| 5,000 operators, 500,000 customers, 30,000 groups | 45,000 | 45,000 | 700 | 3.00 |  |"
    assert readme.read_text().startswith("Before.")
    assert "old" not in readme.read_text()


def test_the_readme_stays_where_only_a_part_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_profile", lambda _: "")
    performance, readme = tmp_path / "performance.md", tmp_path / "README.md"
    performance.touch()
    readme.write_text("as it was")
    page.write(performance, readme, FOUND[:4], 1_000_000)
    assert readme.read_text() == "as it was"


def test_the_readme_has_its_marks_and_the_page_what_it_says_of_them():
    assert all((ROOT / "README.md").read_text().count(mark) == 1 for mark in page.README)
    assert "peers --page" in (ROOT / "docs" / "performance.md").read_text()


def test_ours_is_right_on_real_servers_at_the_smallest_size(kafka, redis_url, clickhouse_url):
    addresses = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "REDIS_URL": redis_url, "CLICKHOUSE_URL": clickhouse_url}
    stack = Stack(addresses, first=8)
    ctx = Context(stack, 0, 2_000, [], 0, ["small"], ["ours", "floor"], page=False)
    ours, floor = measure(ctx)
    assert not isinstance(ours, Missing), ours
    assert not isinstance(floor, Missing), floor
    truth = Truth(SMALL)
    list(truth.counted(visits(SMALL, 2_000, last_midnight_ms())))
    documents = 2 * len({key[:2] for key in truth.months})
    assert ours.events == floor.events == 2_000
    assert ours.rows == len(truth.months) + len(truth.slots) + documents
    assert min(ours.start_cpu_s, ours.cpu_s) > 0
    assert min(ours.rss_bytes, ours.broker_cpu_s, ours.sinks_cpu_s) > 0
