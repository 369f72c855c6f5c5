"""The service as others meet it, wherever its processes run: its source topics, and its outputs."""

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import redis
from clickhouse_driver import Client
from clickhouse_driver.errors import ErrorCodes, ServerException
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, wait_until

DATABASE = "energy_smart_bi"


class Service:
    """See the module. `addresses`: of its servers, by variable; `api`: the address of its HTTP interface."""

    def __init__(self, addresses: Mapping[str, str], api: str) -> None:
        self._addresses, self.api = addresses, api
        self.kafka = addresses["KAFKA_BOOTSTRAP_SERVERS"]
        self.admin = AdminClient({"bootstrap.servers": self.kafka})
        self.partitions = 8  # of the events topic

    def disconnect(self) -> None:
        """Close what was opened here to look at it."""
        for name in ("redis", "clickhouse"):
            if name in self.__dict__:
                (self.redis.close if name == "redis" else self.clickhouse.disconnect)()
        del self.admin  # as long as it lives it calls for its broker, aloud

    def check_alive(self, name: str) -> None:
        """Fail when the process of this name has ended."""
        raise NotImplementedError

    def token(self, *arguments: str) -> str:
        """What `stream-app token` prints."""
        raise NotImplementedError

    # -- Kafka

    def make_topics(self, topics: Mapping[str, int]) -> None:
        futures = self.admin.create_topics([NewTopic(name, count) for name, count in topics.items()])
        for future in futures.values():
            future.result(SECONDS_MAX)

    def keep_for_ever(self, topic: str) -> None:
        """Records with old timestamps must not be swept away by Kafka."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        resource.add_incremental_config(ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET))
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result(SECONDS_MAX)

    def producer(self, **settings: Any) -> Producer:
        return Producer({"bootstrap.servers": self.kafka, "linger.ms": 5, **settings})

    def send_payments(self, count: int, *, start: int = 0, operators: int = 37) -> None:
        """Payments of so many operators, so that each partition has some; one in ten is of an unknown currency."""
        producer, now_ms = self.producer(), self.now_ms()
        for n in range(start, start + count):
            payment = {"payment_id": f"p-{n}", "operator_id": f"M{n % operators}", "status": "SUCCEEDED"}
            payment |= {"amount_received": 100, "currency": "EUR" if n % 10 else "ABC", "paid_at": now_ms}
            producer.produce("charging.payments", json.dumps(payment))
        flush(producer)

    # -- outputs

    def address(self, variable: str) -> str:
        """Of a server itself, whatever the processes are told."""
        return self._addresses[variable]

    @cached_property
    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self._addresses["REDIS_URL"])

    @cached_property
    def clickhouse(self) -> Client:
        return Client.from_url(self._addresses["CLICKHOUSE_URL"])

    def post(self, path: str, body: Mapping[str, Any], token: str) -> Any:
        """The `data` of an answer."""
        request = urllib.request.Request(
            f"{self.api}/smart-bi/crm/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["data"]

    @staticmethod
    def now_ms() -> int:
        return int(time.time() * 1000)

    def as_of(self) -> dict[int, str]:
        """Redis' as-of by partition."""
        try:
            found = self.redis.hgetall("crm:as-of")
        except redis.RedisError:
            return {}
        return {int(partition): time_.decode() for partition, time_ in found.items()}

    def wait_as_of(self, time_ms: int, *, names: Sequence[str] = (), seconds: float = SECONDS_MAX) -> None:
        """Until everything taken before has reached Redis, ClickHouse and the topics, in all partitions. `names`: who must live on."""
        wanted = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000)) + f".{time_ms % 1000:03d}Z"

        def passed() -> bool:
            for name in names:
                self.check_alive(name)
            found = self.as_of()
            return len(found) == self.partitions and min(found.values()) >= wanted

        wait_until(lambda: f"Redis' as-of has passed {wanted} ({self.as_of()})", passed, seconds)

        def clickhouse_passed() -> bool:
            try:
                rows = self.clickhouse.execute(
                    f"SELECT partition, max(as_of) FROM {DATABASE}.ads_operation_crm_as_of GROUP BY partition"
                )
            except ServerException as exc:
                if exc.code not in {ErrorCodes.UNKNOWN_DATABASE, ErrorCodes.UNKNOWN_TABLE}:  # a new one is being set up
                    raise
                return False
            return len(rows) == self.partitions and min(as_of.timestamp() for _, as_of in rows) * 1000 >= time_ms

        wait_until(f"ClickHouse's as-of has passed {wanted}", clickhouse_passed, seconds)
