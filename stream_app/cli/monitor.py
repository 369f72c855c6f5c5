"""`stream-app monitor`: watches consumer groups and results until it is told to stop.

The settings are read here, and the generation that serves; then the process becomes the monitor, with nothing but their values: what reads and
checks settings would take a quarter of the memory that the monitor may have. When a newer generation serves, the monitor becomes this command again.
"""

import os
import re
import sys

from config import source_maps
from config.settings import Settings, load
from stream_app.cli.access import check_kafka
from stream_app.cli.generation import in_force_if_seen
from stream_app.cli.token import claims_of
from stream_app.domain import probe
from stream_app.local import ports
from stream_app.local.errors import LocalError
from stream_app.monitor.conf import VARIABLE, Conf


def command() -> None:
    """Watch consumer groups and results; tell on monitor_host and monitor_port."""
    settings = load()
    source_maps.teams(settings)
    if settings.monitor_host == ports.HOST and not ports.is_free(settings.monitor_port):
        where = f"{settings.monitor_host}:{settings.monitor_port}"
        raise LocalError(f"{where} is in use: stop what listens there, or set STREAM_APP_MONITOR_PORT.")
    check_kafka(settings, "monitor")
    environment = {
        **os.environ,
        VARIABLE: conf_of(in_force_if_seen(settings)).encoded(),
        # ClickHouse's driver makes a table of all dates when it is imported, which is a quarter, too.
        "CLICKHOUSE_DRIVER_LASY_DATE_LUT": "1",
        "MALLOC_ARENA_MAX": "2",  # threads of librdkafka keep little, and an arena each
    }
    os.execve(sys.executable, [sys.executable, "-m", "stream_app.monitor"], environment)  # noqa: S606  # no shell is wanted


def conf_of(settings: Settings) -> Conf:
    """What the monitor needs of the settings."""
    ingest, ledger = settings.ingest_group, settings.ledger_group
    sources = source_maps.teams(settings)
    return Conf(
        kafka=settings.kafka,
        ours={ingest: [*sources, settings.topic_probe], ledger: [settings.events]},
        others=settings.monitor_groups,
        own=rf"{re.escape(settings.app_id)}-(ingest(-\d+)?|(ledger|copy|reread)-\d+)",
        command=[sys.executable, *sys.orig_argv[1:]],
        generation=settings.generation,
        topic_generations=settings.topic_generations,
        ledger_prefix=settings.ledger_group.removesuffix(f"{settings.generation}"),
        copy_prefix=f"{settings.app_id}-copy-",
        events_prefix=settings.events.removesuffix(f"{settings.events_generation}"),
        events=settings.events,
        partitions_max=settings.monitor_partitions_max,
        timestamps=settings.monitor_timestamps,
        interval_ms=settings.monitor_interval_ms,
        ingest=ingest,
        ledger=ledger,
        sources=list(sources),
        optional_sources=[name for name, topic in sources.items() if topic.is_optional],
        topic_as_of=settings.topic_as_of,
        topic_dead_letters=settings.topic_dead_letters,
        events_partitions=settings.events_partitions,
        redis_url=settings.redis_address,
        clickhouse_url=settings.clickhouse_address,
        clickhouse_database=settings.clickhouse_database,
        topic_probe=settings.topic_probe,
        probe_ms=0 if settings.clock == "stream" else settings.monitor_probe_ms,
        api_url=settings.monitor_api_url or settings.api_url,
        api_cafile=settings.api_ssl_cafile,
        token_claims=claims_of(settings, [probe.OPERATOR]),
        jwt_secret=settings.jwt_secret.get_secret_value() if settings.jwt_secret else None,
        host=settings.monitor_host,
        port=settings.monitor_port,
    )
