"""What the monitor knows at this moment, for whoever asks: the loops put it here, /status and /metrics show it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stream_app.monitor.letters import LetterRow
from stream_app.monitor.probe import ProbeRow
from stream_app.monitor.results import ResultRow, SinkState
from stream_app.monitor.rows import GroupRow
from stream_app.monitor.sources import SourceRow

OLD_MS: Final = 30_000  # after which what was seen last is not shown any more as if it were so


@dataclass(slots=True)
class Board:
    """Changed by the loops only. Times are epoch milliseconds; 0: never."""

    began_ms: int
    looked_ms: int = 0  # the last look that succeeded
    look_seconds: float = 0.0  # how long it took
    failures: int = 0
    failure: str | None = None  # why the last look failed; None: it did not
    left_out: int = 0  # partitions beyond the limit
    groups: Sequence[GroupRow] = field(default=())
    results: Sequence[ResultRow] = field(default=())
    sinks: Sequence[SinkState] = field(default=())
    sources: Sequence[SourceRow] = field(default=())
    letters: Sequence[LetterRow] = field(default=())
    probes: Sequence[ProbeRow] = field(default=())  # none where nothing is probed

    def group(self, name: str) -> GroupRow | None:
        """What was seen of a group last."""
        return next((row for row in self.groups if row.group == name), None)

    def is_fresh(self, now_ms: int) -> bool:
        """Was the cluster seen lately?"""
        return now_ms - self.looked_ms <= OLD_MS
