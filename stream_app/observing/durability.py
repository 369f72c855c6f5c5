"""Whether topics could lose records that Kafka has acknowledged: looked at before a worker begins, and said.

A topic is safe when a record has at least two replicas before it is acknowledged (`min.insync.replicas`), and when no replica without it can
become leader (`unclean.leader.election.enable`). A cluster of one broker can't do better, and is not spoken of.
"""

import logging
from collections.abc import Collection

from stream_app.observing.observer import Observer

log = logging.getLogger(__name__)

_INSYNC_MIN = 2


async def check(observer: Observer, topics: Collection[str]) -> None:
    """Name the topics that could lose acknowledged records, of those that exist and whose configuration may be read. `Raises` ClusterError."""
    found = await observer.topics(sorted(topics), denied_ok=True)
    described = {topic: state for topic, state in found.items() if not state.is_denied}
    if await observer.brokers() == 1:
        return
    configs = await observer.durability(described)
    for topic, config in sorted(configs.items()):
        reasons = []
        if described[topic].replicas < _INSYNC_MIN:
            reasons.append(f"it has {described[topic].replicas} replica")
        elif config.insync_min < _INSYNC_MIN:
            reasons.append(f"min.insync.replicas is {config.insync_min}")
        if config.is_unclean:
            reasons.append("unclean.leader.election.enable is true")
        if reasons:
            log.warning("%s could lose records that Kafka has acknowledged: %s", topic, ", ".join(reasons))
