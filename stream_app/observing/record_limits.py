"""The largest record that topics take, beside what is written to them: looked at before a worker begins.

What exceeds a topic's limit is refused for ever, so a topic that takes too little is an error at the start, not when the first large record comes.
"""

import logging
from collections.abc import Collection, Mapping

from stream_app.observing.observer import Observer

log = logging.getLogger(__name__)


class RecordLimitError(Exception):
    """A topic of ours takes smaller records than are written to it. Operator action: the message is the command."""


async def check(observer: Observer, written: Mapping[str, int], sources: Collection[str], kept_bytes: int) -> None:
    """Look at the limits of our topics and of source topics, those that exist and whose configuration may be read.

    `written`: our topics, and how large a record of each may be. Of a source record that becomes a dead letter `kept_bytes` are kept: topics
    that may hold more are named in the log. `Raises` RecordLimitError, ClusterError.
    """
    limits = await observer.record_limits([*written, *sources])
    if unknown := sorted(topic for topic in written if limits.get(topic, 0) is None):
        log.warning(
            "max.message.bytes of %s can't be read: the right to describe configurations is missing", ", ".join(unknown)
        )
    too_small = [
        f"{topic} takes records of {limits[topic]} bytes, and is to get some of {size}: kafka-configs --alter --topic {topic} "
        f"--add-config max.message.bytes={size}"
        for topic, size in written.items()
        if (limits.get(topic) or size) < size
    ]
    if too_small:
        raise RecordLimitError("; ".join(too_small))
    if large := sorted(topic for topic in sources if (limits.get(topic) or 0) > kept_bytes):
        log.warning(
            "of records of %s that can't be used, dead letters keep the first %d bytes: these topics take larger ones",
            ", ".join(large),
            kept_bytes,
        )
