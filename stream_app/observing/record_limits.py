"""The largest record that topics take, beside what is written to them: looked at before a worker begins.

What exceeds a topic's limit is refused for ever, so a topic that takes too little is an error at the start, not when the first large record comes.
"""

import logging
from collections.abc import Collection, Mapping

from stream_app.observing.answers import TopicConfig

log = logging.getLogger(__name__)


class RecordLimitError(Exception):
    """A topic of ours takes smaller records than are written to it. Operator action: the message is the command."""


def check(
    configs: Mapping[str, TopicConfig | None], written: Mapping[str, int], sources: Collection[str], kept_bytes: int
) -> None:
    """Judge the configurations of our topics and of source topics; None: one that may not be read.

    `written`: our topics, and how large a record of each may be. Of a source record that becomes a dead letter `kept_bytes` are kept: topics
    that may hold more are named in the log. `Raises` RecordLimitError.
    """
    limits = {topic: config.record_bytes_max for topic, config in configs.items() if config is not None}
    if unknown := sorted(topic for topic in written if topic in configs and configs[topic] is None):
        log.warning(
            "max.message.bytes of %s can't be read: the right to describe configurations is missing", ", ".join(unknown)
        )
    too_small = [
        f"{topic} takes records of {limits[topic]} bytes, and is to get some of {size}: kafka-configs --alter --topic {topic} "
        f"--add-config max.message.bytes={size}"
        for topic, size in written.items()
        if limits.get(topic, size) < size
    ]
    if too_small:
        raise RecordLimitError("; ".join(too_small))
    if large := sorted(topic for topic in sources if limits.get(topic, 0) > kept_bytes):
        log.warning(
            "of records of %s that can't be used, dead letters keep the first %d bytes: these topics take larger ones",
            ", ".join(large),
            kept_bytes,
        )
