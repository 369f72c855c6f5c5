"""Dead letters by reason, read as they come; at the start only the newest, whatever the topic holds."""

from dataclasses import dataclass
from typing import Final

from stream_app.domain.errors import Reason
from stream_app.observing.follow import Follower
from stream_app.sinks.dead_letters import read_dead_letter

_TAIL: Final = 1000
OTHER: Final = "other"  # what is no letter of ours


@dataclass(frozen=True, slots=True)
class LetterRow:
    """Letters of a reason."""

    reason: str
    since_start: int  # that came since the monitor began
    seen: int  # and those among the newest when it began
    last_ms: int
    example: str  # the newest: topic/partition/offset of its source record
    detail: str


class Letters:
    """Follows the dead letters."""

    def __init__(self, servers: str, topic: str) -> None:
        self._follower = Follower(servers, topic, _TAIL)
        self._rows: dict[str, LetterRow] = {}

    async def look(self) -> list[LetterRow]:
        """A row for each reason that was seen, the most first. `Raises` KafkaException."""
        for record in await self._follower.drain():
            letter = read_dead_letter(record.value, record.headers)
            if letter is None and record.value is None:
                continue  # one that was sent again, and removed
            reason = letter.reason if letter is not None and letter.reason in set(Reason) else OTHER
            before = self._rows.get(reason)
            self._rows[reason] = LetterRow(
                reason,
                (before.since_start if before else 0) + record.is_new,
                (before.seen if before else 0) + 1,
                max(record.time_ms, before.last_ms if before else 0),
                (record.key or b"").decode(errors="replace"),
                letter.detail if letter is not None else "",
            )
        return sorted(self._rows.values(), key=lambda row: (-row.seen, row.reason))
