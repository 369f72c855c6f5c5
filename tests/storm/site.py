"""What a storm goes over: three brokers, Redis, ClickHouse, workers and API, with a link of ours before each server.

The processes of the product reach every server through its link. Load and readers go around the links, so that a fault of a link is the product's alone.
"""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import clickhouse_driver.errors
import redis
from clickhouse_driver import Client

from stream_app.local.ports import HOST
from stream_app.local.processes import find
from tests.support.cluster import BROKERS, Cluster
from tests.support.deployment import ROOT, STOP_S_MAX, Deployment
from tests.support.feed import epoch_ms
from tests.support.proxy import Link, Links
from tests.support.scenario import PARTITIONS
from tests.support.service import DATABASE

SINKS: Final = {"redis": "REDIS_URL", "clickhouse": "CLICKHOUSE_URL"}


def impatient_redis(deployment: Deployment) -> "redis.Redis":
    """A client that goes around the link, and does not wait for a server that is away."""
    return redis.Redis.from_url(deployment.address("REDIS_URL"), socket_timeout=1, socket_connect_timeout=1)


class Site:
    """See the module. `broker_links` by broker, `sink_links` by name."""

    def __init__(self, path: Path, links: Links, **settings: str) -> None:
        self._links = links
        self.broker_links = {number: links.to(0) for number in BROKERS}
        advertised = {number: f"{HOST}:{link.port}" for number, link in self.broker_links.items()}
        self.cluster = Cluster(path / "cluster", ROOT / ".run" / "lib", advertised=advertised)
        for number, link in self.broker_links.items():
            link.target = self.cluster.ports[number]
        self.sink_links: dict[str, Link] = {}
        self.deployment = Deployment(
            path,
            sources=PARTITIONS,
            kafka=self.cluster.direct,
            through=self._through,
            replication_factor="3",
            **settings,
        )
        self.workers: set[int] = set()
        self.incidents: list[str] = []
        self._redis = impatient_redis(self.deployment)

    def _through(self, addresses: Mapping[str, str]) -> dict[str, str]:
        told = dict(addresses) | {"KAFKA_BOOTSTRAP_SERVERS": self.cluster.servers}
        for name, variable in SINKS.items():
            parts = urlsplit(addresses[variable])
            assert parts.port is not None
            link = self.sink_links[name] = self._links.to(parts.port)
            told[variable] = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{link.port}")).geturl()
        return told

    # -- workers

    def start_worker(self, number: int) -> None:
        """Start a worker, with the state it left."""
        self.deployment.start_worker(number)
        self.workers.add(number)

    def stop_worker(self, number: int) -> None:
        """SIGTERM, and wait for its end; one that does not end in time is told of, and killed."""
        try:
            code = self.deployment.stop(f"worker-{number}")
        except AssertionError:
            self.incidents.append(f"worker-{number} did not stop within {STOP_S_MAX:.0f} s of SIGTERM")
        else:
            # One that is still being loaded has no handler yet, and has taken nothing: the signal itself ends it.
            was_early = code == -signal.SIGTERM and not self.deployment.run.ready_file(f"worker-{number}").exists()
            if code and not was_early:
                self.incidents.append(f"worker-{number} stopped with {code}")

    def worker_ended(self, number: int) -> bool:
        """Did a worker that should run end by itself?"""
        return self.deployment.process(f"worker-{number}").poll() is not None

    # -- sinks

    def signal_sink(self, name: str, number: signal.Signals) -> None:
        """A signal to Redis or ClickHouse."""
        running = find(self.deployment.run, name)
        assert running is not None
        running.process.send_signal(number)

    # -- how fresh results are

    def as_of_ms(self) -> int | None:
        """The oldest as-of of all partitions in Redis, in epoch milliseconds; None while one is missing or Redis does not answer."""
        try:
            found = self._redis.hvals("crm:as-of")
        except (redis.RedisError, OSError):
            return None
        return epoch_ms(min(found).decode()) if len(found) == self.deployment.partitions else None

    def clickhouse_as_of_ms(self) -> int | None:
        """The same of ClickHouse."""
        client = Client.from_url(
            f"{self.deployment.address('CLICKHOUSE_URL')}?connect_timeout=2&send_receive_timeout=2"
        )
        try:
            rows = client.execute(f"SELECT max(as_of) FROM {DATABASE}.ads_operation_crm_as_of GROUP BY partition")
        except (clickhouse_driver.errors.Error, OSError, EOFError):
            return None
        finally:
            client.disconnect()
        return round(min(at for (at,) in rows).timestamp() * 1000) if len(rows) == self.deployment.partitions else None

    def close(self) -> None:
        """End everything."""
        self._redis.close()
        self.deployment.close()
        self.cluster.close()
