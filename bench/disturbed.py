"""Rows of latency while partitions move to a second worker, and while all results are counted again beside the workers that serve.

Of a rebalance those partitions count that stay where they are, and those that move are told beside them. Each is measured like `latency`, with the same
check of as-of, in one run: first undisturbed, then disturbed.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from bench.context import Context, Row, say
from bench.latency import WARM_UP_S, Look, Taken, check_looks, latencies_of, look_while_paying, percentile, read_back
from bench.load import READY_SECONDS_MAX, SLOWEST
from bench.meter import Meter
from bench.produce import produce
from bench.records import Network
from bench.results import Results
from bench.stack import Space
from stream_app.local.errors import LocalError

RATE = 200  # payments a second
RECORDS = 300_000  # of which about half are counted again
QUIET_S = 15  # undisturbed, after the warm-up
DISTURBED_S = 45  # at most: a disturbance that is not over by then is an error
_SETTLED_S = 5.0  # that still count as disturbed, after it is over


class Disturbed(NamedTuple):
    """A disturbance: when it began and when it was over, epoch milliseconds, and all that was looked at and sent."""

    began_ms: float
    over_ms: float
    looks: list[Look]
    taken: list[Taken]

    def latencies(self, first_ms: float, end_ms: float, partitions: set[int]) -> list[float]:
        """Milliseconds from append to result, ascending, of payments that were appended in this time and whose operators are in these partitions."""
        at = {look.operator: look.partition for look in self.looks if look.partition >= 0}
        taken = [one for one in self.taken if first_ms <= one.appended_ms < end_ms and at[one.operator] in partitions]
        return sorted(latencies_of([(look.at_ms, look.as_of) for look in self.looks], at, taken))

    @property
    def partitions(self) -> set[int]:
        """Those of the operators that are paid to."""
        return {look.partition for look in self.looks if look.partition >= 0}


def rows(ctx: Context) -> list[Row]:
    """Percentiles before and meanwhile."""
    return [*_rebalance(ctx), *_rebuild(ctx)]


def _rebalance(ctx: Context) -> list[Row]:
    space = ctx.stack.space("joined", log_append_time=True)
    worker = Meter(ctx.stack, ctx.stack.start_worker(space))
    worker.until(ctx.stack.run.ready_file(worker.running.name).exists, "starting", READY_SECONDS_MAX)
    (first,) = _owned(space)
    running = []

    def join() -> None:
        running.append(ctx.stack.start_worker(space, 2))
        ready = ctx.stack.run.ready_file(running[0].name)
        while not ready.exists():
            time.sleep(0.05)

    found = _disturbed(ctx, space, worker, join, "a second worker comes")
    stayed = _owned(space)[first] & found.partitions
    ctx.stack.stop(running[0])
    ctx.stack.stop(worker.running)
    return _rows("a second worker comes", found, stayed)


def _rebuild(ctx: Context) -> list[Row]:
    space = ctx.stack.space("recounted", log_append_time=True)
    worker = Meter(ctx.stack, ctx.stack.start_worker(space))
    worker.until(ctx.stack.run.ready_file(worker.running.name).exists, "starting", READY_SECONDS_MAX)
    # Without payments: those that are measured have the topic for themselves.
    records = (record for record in Network(RECORDS) if record.kind != "payments")
    sent = produce(space.settings.kafka_bootstrap_servers, space.sources, records)
    results = Results(space)
    worker.until(lambda: results.is_past(sent.done_ms), "catching up", READY_SECONDS_MAX + sent.records / SLOWEST)

    def count_again() -> None:
        program = Path(sys.executable).parent / "stream-app"
        state = ctx.stack.run.state / f"rebuild-{space.name}"
        process = ctx.stack.start("rebuild-again", [program, "rebuild", "--state-dir", state], space.env).process
        if process.wait(DISTURBED_S) != 0:
            raise LocalError(f"rebuild failed; {ctx.stack.end_of_log('rebuild-again')}")

    what = f"{sent.records:,} records are counted again"
    found = _disturbed(ctx, space, worker, count_again, what)
    ctx.stack.stop(worker.running)
    return _rows(what, found, found.partitions)


def _disturbed(ctx: Context, space: Space, worker: Meter, disturb: Callable[[], None], what: str) -> Disturbed:
    """Pay steadily, and disturb after a while. `Raises` LocalError when that fails or takes too long."""
    times: list[float] = []
    failed: list[Exception] = []

    def run() -> None:
        time.sleep(WARM_UP_S + QUIET_S)
        times.append(time.time() * 1000)
        try:
            disturb()
        except Exception as exc:  # noqa: BLE001  # of another thread
            failed.append(exc)
        times.append(time.time() * 1000)

    say(f"disturbed: {RATE} payments a second, {what}")
    thread = threading.Thread(target=run, name="disturb", daemon=True)
    thread.start()
    count = RATE * (WARM_UP_S + QUIET_S + DISTURBED_S + int(_SETTLED_S))
    looks, _ = look_while_paying(ctx.stack, space, worker, RATE, count)
    taken = read_back(space, count)
    thread.join(DISTURBED_S)
    if failed:
        raise LocalError(f"{what}: {failed[0]}") from failed[0]
    if thread.is_alive() or times[1] > max(one.appended_ms for one in taken):
        raise LocalError(f"{what}: not over after {DISTURBED_S} s")
    check_looks(looks, taken)
    began_ms, over_ms = times
    return Disturbed(began_ms, over_ms, looks, taken)


def _owned(space: Space) -> dict[str, set[int]]:
    """Events partitions by member of the ledger's consumer group."""
    client = AdminClient({"bootstrap.servers": space.settings.kafka_bootstrap_servers})
    (asked,) = client.describe_consumer_groups([space.settings.ledger_group]).values()
    return {
        member.member_id: {at.partition for at in member.assignment.topic_partitions if at.topic == space.settings.events}
        for member in asked.result().members
    }  # fmt: skip


def _rows(what: str, found: Disturbed, stayed: set[int]) -> list[Row]:
    quiet = found.latencies(found.began_ms - QUIET_S * 1000, found.began_ms, found.partitions)
    end_ms = found.over_ms + _SETTLED_S * 1000
    seconds = (found.over_ms - found.began_ms) / 1000
    rows = [
        Row("disturbed", "append to result, undisturbed, p50 and p99", _both(quiet), f"{RATE} payments a second, {QUIET_S} s before {what}"),
        Row("disturbed", f"  while {what}", _both(found.latencies(found.began_ms, end_ms, stayed)),
            f"over the {seconds:.1f} s that it took and {_SETTLED_S:.0f} s more, in the {len(stayed)} partitions of payments that did not move; p99 to stay below 500 ms"),
    ]  # fmt: skip
    if moved := found.partitions - stayed:
        late = found.latencies(found.began_ms, end_ms, moved)
        rows.append(Row("disturbed", f"  in the {len(moved)} that moved", _both(late), f"{late[-1]:,.0f} ms at most"))
    return rows


def _both(found: list[float]) -> str:
    return f"{percentile(found, 0.5):,.0f} and {percentile(found, 0.99):,.0f} ms"
