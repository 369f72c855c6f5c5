"""Rows of the whole path: both apps, store, changelog, transactions, Redis and ClickHouse; and plain Faust beside it."""

import sys
from pathlib import Path

import orjson

from bench.context import Context, Row, say
from bench.load import load
from bench.meter import Meter
from bench.produce import produce
from bench.records import Network
from stream_app.access.kafka import KafkaAccess
from stream_app.local.topics import TopicSpec, create_missing

_PARTITIONS = 4
_SLOWEST = 150  # records a second of plain Faust


def rows(ctx: Context) -> list[Row]:
    """Events per CPU-second of our processes, with and without their start; the same of plain Faust, and the ratio."""
    ours, peer = load(ctx), _plain(ctx)
    with_start, without = ours.records / ours.cpu_s, ours.records / (ours.cpu_s - ours.start_cpu_s)
    plain = peer["records"] / (peer["cpu_s"] - peer["start_cpu_s"])
    what = (
        f"{ours.records:,} source records of {ours.size / ours.records:.0f} bytes, corrections of every kind; one worker (both apps, RocksDB, changelog, "
        f"transactions, Redis, ClickHouse) until as-of of all partitions in Redis is past the last; then checked: {ours.payments:,} payments and "
        f"{ours.sessions:,} sessions count, as made"
    )
    return [
        Row("whole", "whole path", f"{with_start:,.0f} events/CPU-s", f"{ours.cpu_s:.1f} CPU-s: {what}"),
        Row("whole", "  without start-up", f"{without:,.0f} events/CPU-s", f"less {ours.start_cpu_s:.1f} CPU-s: the same start on empty topics, until ready"),
        Row("whole", "  wall time", f"{ours.wall_s:.1f} s", f"{ours.records / ours.wall_s:,.0f} events/s, start-up ({ours.start_wall_s:.1f} s) included"),
        Row("whole", "  peak memory", f"{ours.rss_bytes >> 20:,} MiB", "resident, of the worker"),
        Row(
            "whole",
            "plain Faust",
            f"{plain:,.0f} events/CPU-s",
            f"{peer['records']:,} of the same records, start-up ({peer['start_cpu_s']:.1f} CPU-s) not counted: three tables in memory with changelogs, JSON, "
            "versions, monthly sums and half-hours; at least once, no sinks",
        ),
        Row("whole", "whole path : plain Faust", f"{without / plain:.1f} : 1", "both without start-up"),
    ]  # fmt: skip


def _plain(ctx: Context) -> dict[str, float]:
    """Run the peer on the first of the same records that it can read."""
    servers = ctx.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    usable = [
        record._replace(partition=None)
        for record in Network(min(ctx.events, ctx.peer_events))
        if record.usable and record.kind != "groups"
    ]
    topics = {kind: f"plain.{kind}" for kind in ("sessions", "payments", "customer_groups", "operators")}
    create_missing(KafkaAccess(servers), [TopicSpec(topic, _PARTITIONS) for topic in topics.values()])
    sent = produce(servers, topics, usable)
    say(f"whole: plain Faust reads {sent.records:,} of the same records")
    program = Path(__file__).with_name("plain_faust.py")
    done = ctx.stack.run.root / "plain-faust.json"
    done.unlink(missing_ok=True)
    command: list[str | Path] = [
        sys.executable,
        program,
        servers,
        str(sent.records),
        ctx.stack.run.state / "plain-faust",
        done,
    ]
    meter = Meter(ctx.stack, ctx.stack.start("plain-faust", command, {}))
    meter.until(done.exists, "plain Faust", 60 + sent.records / _SLOWEST)
    ctx.stack.stop(meter.running)
    answer: dict[str, float] = orjson.loads(done.read_bytes())
    return answer
