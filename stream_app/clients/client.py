"""aiokafka's client, for a cluster whose brokers come and go.

aiokafka asks only the brokers that its last metadata names, waits for a broker as long as for the slowest of all requests, and tries again every
`retry_backoff_ms` whatever the answer. Here:
- Metadata is asked of brokers that can be reached, then of the bootstrap addresses, so a client that knows dead brokers only finds the others
  (what Java's clients do since KIP-899). A client that starts asks the bootstrap addresses in the same way, each for a bounded time.
- A broker that refused a connection, or took it and says nothing, is tried again after a back-off with jitter, by one caller for all; metadata are
  asked for then, at a pace that slows down, for another broker may lead its partitions by now. Connections to other brokers don't wait for it.
- Each request has a time limit of its own; a connection that exceeds it is closed, for its broker may be paused or cut off.
- A coordinator is looked up at any broker that can be reached; a failed lookup is tried again, never an error of the caller's.
- A topic is never made by asking for it, where the broker would: one that is missing or misspelt is seen as such.

`install` makes every producer and consumer of this process use it.
"""

import asyncio
import random
import time
from collections import defaultdict
from contextlib import nullcontext
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import CloseReason
from aiokafka.consumer import consumer
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    RequestTimedOutError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.producer import producer
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

CONNECT_S: Final = 3.0
_ANSWER_S: Final = 5.0  # of requests that a broker answers at once
# Of those that a broker may hold: until replicas have the records, until records come, until all members have joined.
_HELD_S: Final[dict[type, float]] = {
    ProduceRequest: 15.0,
    FetchRequest: 15.0,
    JoinGroupRequest: 65.0,
    SyncGroupRequest: 65.0,
}
_REFUSED_S: Final = 0.05, 1.0  # back-off of a broker that refused a connection: first, largest
_AVOIDED_S: Final = 10.0  # for which others are asked after that: one that stands still takes connections, and time
_METADATA_S: Final = 0.05, 1.0  # between two requests for metadata: first, largest
_QUIET_S: Final = 3.0  # without a request for metadata, after which the next one is a first one
_FACTOR: Final = 1.5
_CLOSE_S: Final = 3.0


def back_off(failures: int, bounds: tuple[float, float]) -> float:
    """Seconds to wait after so many failures in a row, between the bounds, with jitter, so that clients don't come back all at once."""
    first, largest = bounds
    return float(min(largest, first * _FACTOR**failures)) * random.uniform(0.7, 1.3)  # noqa: S311  # hides nothing


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """See the module. Waits are bounded in each call; who calls decides whether to call again."""

    _conns: dict[Any, Any]  # by node and group
    _sync_task: asyncio.Task[None] | None
    _md_update_fut: asyncio.Future[bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cluster = ClusterMetadata(
            metadata_max_age_ms=self._metadata_max_age_ms, bootstrap_servers=self._bootstrap_servers
        )
        self._refused: dict[Any, tuple[int, float]] = {}  # by node: failures in a row, when it may be tried again
        self._is_closed = False
        self._asked, self._asked_at = 0, 0.0  # requests for metadata in a row, time of the last one
        # aiokafka connects to one broker at a time, so that one which stands still holds up connections to all.
        self._get_conn_lock_value = nullcontext()
        self._locks: dict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)  # of connections, by node and group

    # -- which broker to ask

    def _is_refused(self, node: Any, more_s: float) -> bool:
        """Whether a broker failed, and was not to be tried again until so many seconds ago."""
        return node in self._refused and self._refused[node][1] + more_s > time.monotonic()

    def refused(self) -> list[int]:
        """Ids of the cluster's brokers whose last connection was refused, or not answered in time."""
        known = {broker.nodeId for broker in self.cluster.brokers()}
        return [node for node in self._refused if node in known]

    def get_random_node(self) -> Any:
        """A broker that did not fail lately, where there is one."""
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        best = [n for n in nodes if not self._is_refused(n, _AVOIDED_S)] or nodes
        return random.choice(best) if best else None  # noqa: S311

    def _nodes(self) -> list[Any]:
        """Whom to ask for metadata, in order: brokers that can be reached, the bootstrap addresses, the others."""
        known = [broker.nodeId for broker in self.cluster.brokers()]
        bootstrap = list(self.cluster._bootstrap_brokers)  # noqa: SLF001  # what ClusterMetadata makes of bootstrap_servers
        random.shuffle(known)
        random.shuffle(bootstrap)
        return list(
            dict.fromkeys(
                sorted(known + bootstrap, key=lambda node: (self._is_refused(node, _AVOIDED_S), node in bootstrap))
            )
        )

    async def bootstrap(self) -> None:
        """Learn the cluster's brokers. `Raises` KafkaConnectionError where nobody answers."""
        request = MetadataRequest([], allow_auto_topic_creation=False)
        for node in self._nodes():
            try:
                self.cluster.update_metadata(await self.send(node, request))
            except KafkaError:
                continue
            break
        else:
            raise KafkaConnectionError(f"no broker answers at {self._bootstrap_servers}")
        if self.cluster.is_bootstrap(node) and node not in {broker.nodeId for broker in self.cluster.brokers()}:
            self._conns.pop((node, ConnectionGroup.DEFAULT)).close()
        if self._sync_task is None:
            self._sync_task = asyncio.create_task(self._md_synchronizer())

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        now = time.monotonic()
        self._asked = 0 if now - self._asked_at > _QUIET_S else self._asked + 1
        await asyncio.sleep(self._asked_at + back_off(self._asked, _METADATA_S) - now)
        self._asked_at = time.monotonic()
        request = MetadataRequest(list(topics) if topics else None, allow_auto_topic_creation=False)
        for node in self._nodes():
            try:
                metadata = await self.send(node, request)
            except KafkaError:
                continue
            if metadata.brokers:
                cluster_metadata.update_metadata(metadata)
                return True
        cluster_metadata.failed_update(None)
        return False

    def force_metadata_update(self) -> asyncio.Future[bool]:
        """What is done when the metadata were read anew; cancelled when the client is closed."""
        done: asyncio.Future[bool] = super().force_metadata_update()
        if self._is_closed:
            self._md_update_fut.cancel()
        return done

    # -- asking it

    async def _get_conn(self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Any:
        refused = self._refused.get(node_id)
        async with self._locks[node_id, group]:
            conn = self._conns.get((node_id, group))
            if self._is_closed or (conn is not None and conn.connected()):
                return conn
            if self._refused.get(node_id) != refused:  # while others tried: once more would be a wait for each of us
                return None
            failures, again_at = refused or (0, 0.0)
            await asyncio.sleep(again_at - time.monotonic())
            try:
                async with asyncio.timeout(CONNECT_S):
                    conn = await super()._get_conn(node_id, group=group, no_hint=no_hint)
            except TimeoutError:
                conn = None
            if conn is None:
                self._refused[node_id] = failures + 1, time.monotonic() + back_off(failures, _REFUSED_S)
                self.force_metadata_update()
            else:
                self._refused.pop(node_id, None)
            return conn

    async def send(self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request; its answer. `Raises` KafkaError, RequestTimedOutError after the request's own time limit."""
        try:
            async with asyncio.timeout(CONNECT_S + _HELD_S.get(type(request), _ANSWER_S)):
                return await super().send(node_id, request, group=group)
        except TimeoutError:
            conn = self._conns.get((node_id, group))
            if conn is not None:
                conn.close(reason=CloseReason.CONNECTION_TIMEOUT)
            self._refused.setdefault(node_id, (1, time.monotonic() + back_off(0, _REFUSED_S)))
            raise RequestTimedOutError from None
        except KeyError:  # aiokafka's own time limit has passed, and somebody has let go of the closed connection before it looks for it
            raise RequestTimedOutError from None

    async def close(self) -> None:
        """Disconnect, in bounded time: a broker that stands still does not take what was sent, and its connection would stay open for that.

        Who still waits for metadata, or asks for them later, is cancelled: there is nobody to answer.
        """
        self._is_closed = True
        connections, self._conns = list(self._conns.values()), {}
        await super().close()
        self.force_metadata_update()
        closed = [connection.close(reason=CloseReason.SHUTDOWN) for connection in connections]
        if closed:
            await asyncio.wait(closed, timeout=_CLOSE_S)

    async def coordinator_lookup(self, coordinator_type: Any, coordinator_key: str) -> Any:
        """The broker that coordinates a group or a transactional id. `Raises` CoordinatorNotAvailableError, which callers take as a reason to ask again."""
        try:
            return await super().coordinator_lookup(coordinator_type, coordinator_key)
        except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
            raise
        except KafkaError as exc:
            raise CoordinatorNotAvailableError(str(exc)) from exc


def install() -> None:
    """Make all producers and consumers of this process that come after, use this client. Repeating the call changes nothing."""
    consumer.AIOKafkaClient = producer.AIOKafkaClient = Client
