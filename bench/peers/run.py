"""Measures ours and the peers in turn, on the same visits: `rows` is a group of `python -m bench`.

All of it in one run, on one broker, one system at a time. A peer that writes topics is done when nothing has come to them for some seconds and it does
next to nothing: CPU and time are those of the last result. A peer that can't be had, or is wrong, is told as such, and the others go on.
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.context import Context, Row, say
from bench.meter import Meter
from bench.peers import ours, page
from bench.peers.measured import Measured, Missing, Used
from bench.peers.outputs import PARTITIONS, Outputs, check
from bench.peers.systems import PEERS, Peer
from bench.produce import produce
from bench.traffic import DATA_SETS, DataSet, Truth, for_peers, last_midnight_ms, visits
from config.settings import ROOT
from stream_app.access.kafka import KafkaAccess
from stream_app.local.errors import LocalError
from stream_app.local.topics import TopicSpec, create_missing

SYSTEMS: Final = (*ours.NAMES, *(peer.name for peer in PEERS))
_QUIET_S, _QUIET_CORES = 8.0, 0.2  # nothing came out for so long, and it used at most so much
_MOST: Final = 0.9  # of its CPU on empty topics: the start; the rest is idling
_POLL_S: Final = 0.2
_SLOWEST: Final = 1_000  # events a second; slower than that is not waited for
_READY_S_MAX: Final = 90.0


class Feed(NamedTuple):
    """Source topics of the peers with the first `events` events of a data set, and what must come out."""

    name: str
    events: int
    truth: Truth

    def topic(self, kind: str) -> str:
        """Sessions or payments."""
        return f"feed.{self.name}.{kind}"


def rows(ctx: Context) -> list[Row]:
    """A row for each system and data set; with `ctx.page` the page is written, too."""
    found = []
    for one in measure(ctx):
        found.append(one)
        for row in page.rows([one]):
            say(f"{row.name}: {row.value}; {row.note}")
    if ctx.page:
        page.write(ROOT / "docs" / "performance.md", ROOT / "README.md", found, ctx.peers_events)
    return page.rows(found)


def measure(ctx: Context) -> Iterator[Measured | Missing]:
    """All systems asked for on all data sets asked for."""
    wanted = [name for name in SYSTEMS if name in ctx.systems]
    starts: dict[str, Used] = {}
    for data in (DATA_SETS[name] for name in ctx.data):
        feeds: dict[int, Feed] = {}
        for name in wanted:
            try:
                if name in ours.NAMES:
                    if ours.WALL not in starts:
                        starts[ours.WALL] = ours.start(ctx)
                    yield ours.measure(ctx, name, data, starts[ours.WALL])
                    continue
                peer = next(peer for peer in PEERS if peer.name == name)
                events = min(ctx.peers_events, peer.events_max)
                if events not in feeds:
                    feeds[events] = _feed(ctx, data, events)
                yield _Peer(ctx, peer).measure(data, feeds[events], starts)
            except LocalError as error:
                say(f"peers: {name} on {data.name}: {error}")
                yield Missing(name, data.name, str(error).splitlines()[0])


def _feed(ctx: Context, data: DataSet, events: int) -> Feed:
    say(f"peers: producing {events:,} events of {data.name}")
    feed = Feed(f"{data.name}.{events}", events, Truth(data))
    servers = ctx.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    topics = {kind: feed.topic(kind) for kind in ("sessions", "payments")}
    create_missing(KafkaAccess(servers), [TopicSpec(topic, PARTITIONS) for topic in topics.values()])
    made = visits(data, events, last_midnight_ms())
    produce(servers, topics, (record for visit in feed.truth.counted(made) for record in for_peers(data, visit)))
    return feed


class _Peer:
    """One peer in this run."""

    def __init__(self, ctx: Context, peer: Peer) -> None:
        self._stack, self._peer = ctx.stack, peer
        self._servers = ctx.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]
        self._command = peer.command(ctx.stack.run.lib)

    def measure(self, data: DataSet, feed: Feed, starts: dict[str, Used]) -> Measured:
        """Run it on a feed. `starts` holds what starts took, by name. `Raises` LocalError when a result is wrong."""
        peer = self._peer
        if not peer.streams:
            return self._once(data, feed)
        if peer.name not in starts:
            say(f"peers: {peer.title} starts on empty topics")
            starts[peer.name] = self._streamed(Feed("nothing", 0, Truth(data)))[0]
        say(f"peers: {peer.title} reads {feed.events:,} events of {data.name}")
        used, rss_bytes, rows = self._streamed(feed)
        start = starts[peer.name]
        return Measured(
            peer.name, data.name, feed.events, used.cpu_s, start.cpu_s, used.wall_s, start.wall_s, rss_bytes, used.broker_cpu_s, 0.0, rows
        )  # fmt: skip

    def _streamed(self, feed: Feed) -> tuple[Used, int, int]:
        """What it used until the last result was out, its memory, and how many results are right."""
        topics = [TopicSpec(feed.topic(kind), PARTITIONS) for kind in ("sessions", "payments")]
        create_missing(KafkaAccess(self._servers), topics)
        outputs = Outputs(self._servers, f"peer-{self._peer.name}-{feed.name}")
        broker_s = self._stack.server_cpu_s("kafka")
        meter = self._start(feed, outputs.name)
        try:
            last = self._until_done(feed, meter, outputs, broker_s)
        finally:
            self._stack.stop(meter.running)
        rows = check(self._peer.title, outputs.rows(), feed.truth) if feed.events else 0
        outputs.drop()
        return last, meter.rss_bytes, rows

    def _until_done(self, feed: Feed, meter: Meter, outputs: Outputs, broker_s: float) -> Used:
        """What it had used when its last result was out; with nothing to read, when most of what it ever used was."""
        looks: list[Used] = []
        last, size, deadline = Used(0.0, 0.0, 0.0), 0, time.monotonic() + _READY_S_MAX + feed.events / _SLOWEST
        while time.monotonic() < deadline:
            meter.look()
            now = Used(meter.cpu_s, meter.wall_s, self._stack.server_cpu_s("kafka") - broker_s)
            if (found := outputs.size()) != size:
                size, last = found, now
            looks.append(now)
            before = next(look for look in reversed(looks) if look == looks[0] or now.wall_s - look.wall_s > _QUIET_S)
            is_quiet = before != looks[0] and now.cpu_s - before.cpu_s < _QUIET_CORES * _QUIET_S
            if is_quiet and not feed.events:
                return next(look for look in looks if look.cpu_s >= _MOST * now.cpu_s)
            if is_quiet and size and last.wall_s <= before.wall_s:
                return last
            time.sleep(_POLL_S)
        raise LocalError(f"{self._peer.title} has not come to an end: {self._stack.end_of_log(meter.running.name)}")

    def _start(self, feed: Feed, output: str) -> Meter:
        state = self._state(feed)
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        arguments = (self._servers, feed.topic("sessions"), feed.topic("payments"), output, state, *self._peer.options)
        if not self._peer.options:
            arguments += (str(feed.events),)
        return Meter(self._stack, self._stack.start(f"peer-{self._peer.name}", [*self._command, *arguments], {}))

    def _state(self, feed: Feed) -> Path:
        return self._stack.run.state / f"peer-{self._peer.name}" / feed.name

    def _once(self, data: DataSet, feed: Feed) -> Measured:
        """A peer that says itself what it used, and what came out."""
        peer = self._peer
        say(f"peers: {peer.title} reads {feed.events:,} events of {data.name}")
        broker_s = self._stack.server_cpu_s("kafka")
        meter, file = self._start(feed, f"peer-{peer.name}-{feed.name}"), self._state(feed) / "done.json"
        try:
            meter.until(file.exists, peer.title, _READY_S_MAX + feed.events / _SLOWEST)
        finally:
            self._stack.stop(meter.running)
        said = json.loads(file.read_bytes())
        if said["records"] != feed.events:
            raise LocalError(f"{peer.title} read {said['records']:,} records, not {feed.events:,}")
        rows = 0
        if peer.counts:
            found = {kind: dict(map(_split, some, [kind] * len(some))) for kind, some in said["rows"].items()}
            rows = check(peer.title, found, feed.truth)
        return Measured(
            peer.name, data.name, feed.events, said["cpu_s"], said["start_cpu_s"], said["wall_s"], said["start_wall_s"],
            said["rss_bytes"], self._stack.server_cpu_s("kafka") - broker_s, 0.0, rows,
        )  # fmt: skip


def _split(row: Sequence[str | int], kind: str) -> tuple[tuple[str | int, ...], tuple[str | int, ...]]:
    """Name and values of a row."""
    at = 4 if kind == "slots" else 3
    return tuple(row[:at]), tuple(row[at:])
