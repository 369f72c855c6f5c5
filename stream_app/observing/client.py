"""What the clients of this room have in common: settings of librdkafka, and one error for whatever Kafka refuses or does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError

TIMEOUT_S = 3.0  # of a request
_RECONNECT_MS = 250, 2000  # librdkafka's own start at 100, and it logs each attempt


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turns the errors of librdkafka and aiokafka into ClusterError."""
    try:
        yield
    except (KafkaError, KafkaException) as exc:
        raise ClusterError(str(exc)) from exc


def client_settings(kafka: KafkaAccess) -> dict[str, str | int | float | bool]:
    """Settings of every client of librdkafka."""
    return kafka.librdkafka() | {
        "socket.timeout.ms": int(TIMEOUT_S * 1000),
        "reconnect.backoff.ms": _RECONNECT_MS[0],
        "reconnect.backoff.max.ms": _RECONNECT_MS[1],
        "log_level": 2,  # a broker that is away is told by the errors of our calls, once
    }


def reader_settings(kafka: KafkaAccess) -> dict[str, str | int | float | bool]:
    """Settings of a consumer that reads for the monitor: joins no group, commits nothing, keeps little in memory."""
    return client_settings(kafka) | {
        "group.id": "crm-stats-monitor",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "queued.max.messages.kbytes": 1024,
    }
