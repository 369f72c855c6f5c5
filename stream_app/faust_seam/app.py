"""A Faust app as this service runs it: our transport, our table manager, settings that the seam relies on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types import TP
from faust.types.auth import CredentialsT

from stream_app.access.kafka import KafkaAccess
from stream_app.faust_seam.tables import TableManager
from stream_app.faust_seam.transport import Transport

Hook = Callable[[], Awaitable[None]]


_REPLAYED = "[Flight Recorder-", "Stack for <Task", "make sure it's hanging"
_SENSORS = "Missing sensor state"  # of a rebalance that began while one was under way; nobody reads it


class _FewLines(logging.Filter):
    """Drops what Faust replays of a rebalance that takes nearly a session: some thirty lines, behind one that says so.

    A commit that hangs when brokers are lost takes as long, is bounded, and has a line of its own (partition.losses).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not any(part in text for part in (*_REPLAYED, _SENSORS))


class App(faust.App):
    """Faust's App, fetching whole batches. `starts` run before its services, `stops` after its consumer left the group, in order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions: Callable[[], Mapping[TP, int]] = dict  # of partitions whose owner knows where to go on
        self.full: Callable[[], set[TP]] = set  # partitions whose owner takes no more for now
        # Told of acknowledged records that are gone, in the thread that fetches: see kafka.read_records.ReadRecords.
        self.lost: Callable[[tuple[str, int], int, int], None] = lambda *_: None
        self.running = asyncio.Event()  # tables are recovered, streams run
        self.starts: list[Hook] = []
        self.stops: list[Hook] = []

    async def on_first_start(self) -> None:
        """Before Faust starts its services for the first time."""
        await super().on_first_start()
        for hook in self.starts:
            await hook()

    async def on_started(self) -> None:
        """When all services of Faust run."""
        await super().on_started()
        self.running.set()

    async def on_stop(self) -> None:
        """When Faust has stopped its services."""
        await super().on_stop()
        for hook in self.stops:
            await hook()

    def member_id(self) -> str:
        """Id by which the consumer group knows this app; empty while it is in none."""
        return self.consumer.member_id()  # type: ignore[attr-defined, no-any-return]  # our Consumer

    async def seek(self) -> None:
        """Fetch every partition from where its owner says (`positions`), else from the group's offset."""
        await self.consumer.perform_seek()

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)


App.logger.addFilter(_FewLines())
# Of each rebalance Faust says five times that it goes on; that partitions are recovered is a line of ours.
for _name in ("faust.app.base", "stream_app.faust_seam.tables"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def new_app(
    name: str,
    *,
    kafka: KafkaAccess,
    state_dir: Path,
    partitions: int,
    session_timeout_s: float,
    commit_interval_s: float,
    declares: bool,
    replication_factor: int = 1,
) -> App:
    """An app without anything in it; `name` is its consumer group, too.

    `partitions`, `replication_factor`: of topics that its tables declare; an app that `declares` none reads topics of others.
    """
    return App(
        name,
        broker=[f"kafka://{server}" for server in kafka.servers.split(",")],
        broker_credentials=_credentials(kafka),
        datadir=str(state_dir / name),
        store="memory://",
        web_enabled=False,
        TableManager=TableManager,
        topic_partitions=partitions,
        topic_replication_factor=replication_factor,
        topic_disable_leader=True,
        topic_allow_declare=declares,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1 << 18,  # compressed, of each partition; decoded it is far larger
        consumer_metadata_max_age_ms=5000,  # a new topic or partition is seen within this time
        stream_buffer_maxsize=16,  # counts fetches
        stream_wait_empty=False,
        broker_commit_interval=commit_interval_s,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=min(1.0, session_timeout_s / 6),
        worker_redirect_stdouts=False,
    )


def _credentials(kafka: KafkaAccess) -> CredentialsT | None:
    """The same access, as Faust's driver takes it."""
    context = kafka.ssl_context()
    if kafka.uses_oauth:
        return OAuthCredentials(oauth_cb=kafka.token_provider(), ssl_context=context)
    if kafka.uses_sasl:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return SSLCredentials(context) if context else None
