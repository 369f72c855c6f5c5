"""Dead letters counted by reason, as they come; at the start only the newest are read, whatever the topic holds."""

from typing import Final

from stream_app.access.kafka import KafkaAccess
from stream_app.domain.errors import Reason
from stream_app.monitor.document import DeadLetterRow
from stream_app.observing.follow import Follower
from stream_app.sinks.dead_letters import read_dead_letter

_TAIL: Final = 1000
OTHER: Final = "other"  # the reason of a record that is no dead letter of ours


class DeadLetterCounts:
    """Counts of the topic's dead letters, followed from look to look."""

    def __init__(self, kafka: KafkaAccess, topic: str) -> None:
        self._follower = Follower(kafka, topic, _TAIL)
        self._rows: dict[str, DeadLetterRow] = {}

    async def look(self) -> list[DeadLetterRow]:
        """A row for each reason that was seen, the most frequent first. `Raises` ClusterError."""
        for record in await self._follower.drain():
            letter = read_dead_letter(record.value, record.headers)
            if letter is None and record.value is None:
                continue  # a dead letter that was removed
            if letter is not None and not letter.is_open:
                continue  # written anew, with what became of it
            reason = letter.reason if letter is not None and letter.reason in set(Reason) else OTHER
            before = self._rows.get(reason)
            self._rows[reason] = DeadLetterRow(
                reason=reason,
                since_start=(before.since_start if before else 0) + record.is_new,
                seen=(before.seen if before else 0) + 1,
                last_ms=max(record.time_ms, before.last_ms if before else 0),
                example=(record.key or b"").decode(errors="replace"),
                detail=letter.detail if letter is not None else "",
            )
        return sorted(self._rows.values(), key=lambda row: (-row.seen, row.reason))
