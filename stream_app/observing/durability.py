"""Whether topics could lose records that Kafka has acknowledged: looked at before a worker begins, and said.

A topic is safe when a record has at least two replicas before it is acknowledged (`min.insync.replicas`), and when no replica without it can
become leader (`unclean.leader.election.enable`). A cluster of one broker can't do better, and is not spoken of.
"""

import logging
from collections.abc import Mapping

from stream_app.observing.answers import TopicConfig, TopicDescription

log = logging.getLogger(__name__)

_INSYNC_MIN = 2


def check(topics: Mapping[str, TopicDescription], configs: Mapping[str, TopicConfig | None], brokers: int) -> None:
    """Name the topics that could lose acknowledged records, of those whose description and configuration may be read."""
    if brokers == 1:
        return
    for topic, config in sorted(configs.items()):
        if config is None or topic not in topics or topics[topic].is_denied:
            continue
        reasons = []
        if topics[topic].replicas < _INSYNC_MIN:
            reasons.append(f"it has {topics[topic].replicas} replica")
        elif config.insync_min < _INSYNC_MIN:
            reasons.append(f"min.insync.replicas is {config.insync_min}")
        if config.is_unclean:
            reasons.append("unclean.leader.election.enable is true")
        if reasons:
            log.warning("%s could lose records that Kafka has acknowledged: %s", topic, ", ".join(reasons))
