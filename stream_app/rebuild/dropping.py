"""What a generation left behind, dropped: its changelog, its consumer groups, an events topic without readers."""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from config.settings import Settings
from stream_app.formats.generations import Generation
from stream_app.observing.client import client_settings
from tables.ledger import changelog

_ABSENT: Final = {"UNKNOWN_TOPIC_OR_PART", "GROUP_ID_NOT_FOUND"}
_SECONDS: Final = 20.0


def drop(settings: Settings, serving: Generation, others: Sequence[Generation]) -> list[str]:
    """Drop what other generations than the serving one left; names of what was there.

    `Raises` KafkaException, as for a group in use.
    """
    admin = AdminClient(client_settings(settings.kafka))
    topics, groups = [], []
    for other in others:
        its = settings.of(other.number, other.events, other.partitions)
        topics.append(changelog(its.ledger_group))
        groups += [its.ledger_group, f"{settings.app_id}-reread-{other.number}"]
        if other.events != serving.events:
            topics.append(its.events)
            groups += [its.ingest_group, f"{settings.app_id}-copy-{other.events}"]
    dropped = []
    for names, delete in ((groups, admin.delete_consumer_groups), (topics, admin.delete_topics)):
        if names:
            for name, done in delete(sorted(set(names)), request_timeout=_SECONDS).items():
                try:
                    done.result()
                except KafkaException as error:
                    if error.args[0].name() not in _ABSENT:
                        raise
                else:
                    dropped.append(name)
    return sorted(dropped)
