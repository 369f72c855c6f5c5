"""What the service shows: as-of in Redis, counts in ClickHouse."""

from datetime import datetime
from typing import Any, Final

import redis
from clickhouse_driver import Client
from clickhouse_driver.errors import ErrorCodes, ServerException

from bench.stack import Space

_NOT_MADE: Final = (ErrorCodes.UNKNOWN_DATABASE, ErrorCodes.UNKNOWN_TABLE)


class Results:
    """The results of one space."""

    def __init__(self, space: Space) -> None:
        self._settings = space.settings
        self.redis: Any = redis.Redis.from_url(
            space.settings.redis_url, decode_responses=True
        )  # its types are those of both kinds of client

    def as_of(self) -> dict[int, int]:
        """As-of of Redis by partition, epoch milliseconds."""
        return parse_as_of(self.redis.hgetall("crm:as-of"))

    def is_past(self, time_ms: int) -> bool:
        """Does Redis hold every record that Kafka had taken before this time, of all partitions?"""
        as_of = self.as_of()
        return len(as_of) == self._settings.events_partitions and min(as_of.values()) >= time_ms

    def is_clickhouse_past(self, time_ms: int) -> bool:
        """Does ClickHouse? Its as-of is in whole seconds."""
        as_of = self.clickhouse_as_of()
        return len(as_of) == self._settings.events_partitions and min(as_of.values()) >= time_ms

    def clickhouse_as_of(self) -> dict[int, int]:
        """As-of of ClickHouse by partition, epoch milliseconds, though it is in whole seconds; none before a worker has made the tables."""
        try:
            rows = self.ask(
                "SELECT partition, toUnixTimestamp(max(as_of)) FROM {}.ads_operation_crm_as_of GROUP BY partition"
            )
        except ServerException as error:
            if error.code not in _NOT_MADE:
                raise
            return {}
        return {partition: as_of * 1000 for partition, as_of in rows}

    def counts(self) -> tuple[int, int]:
        """Payments and sessions of all operators in all retained months, in ClickHouse."""
        current, group = "{}.ads_operation_crm_monthly_current", "WHERE group_id = 'ALL'"
        ((payments,),) = self.ask(f"SELECT sum(payment_count) FROM {current} {group}")
        # The same in each currency.
        each = f"SELECT max(session_count) AS sessions FROM {current} {group} GROUP BY operator_id, stat_month"
        ((sessions,),) = self.ask(f"SELECT sum(sessions) FROM ({each})")
        return payments, sessions

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Rows of ClickHouse; {} in the question stands for the database."""
        client = Client.from_url(self._settings.clickhouse_url)
        try:
            rows: list[tuple[Any, ...]] = client.execute(question.format(self._settings.clickhouse_database))
            return rows
        finally:
            client.disconnect()


def parse_as_of(stored: dict[str, str]) -> dict[int, int]:
    """The hash `crm:as-of`: partition -> epoch milliseconds."""
    return {
        int(partition): round(datetime.fromisoformat(text).timestamp() * 1000) for partition, text in stored.items()
    }
