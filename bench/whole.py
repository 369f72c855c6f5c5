"""Rows of the whole path on records with corrections of every kind: both apps, store, changelog, transactions, Redis and ClickHouse."""

from bench.context import Context, Row
from bench.load import load


def rows(ctx: Context) -> list[Row]:
    """Events per CPU-second of our processes, with and without their start."""
    ours = load(ctx)
    with_start, without = ours.records / ours.cpu_s, ours.records / (ours.cpu_s - ours.start_cpu_s)
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
    ]  # fmt: skip
