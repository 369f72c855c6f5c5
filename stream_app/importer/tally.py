"""What became of the rows: counts, refusals with their reasons and lines, records by topic.

Filled by run.py, shown by the command. Invariant: bounded, whatever the file holds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_app.importer.mapping import SourceRecord
from stream_app.sources.maps.values import Refusal
from stream_app.sources.registry import SourceTopic

LINES_SHOWN = 5
RECORDS_SHOWN = 2


@dataclass
class Refused:
    """Rows that were refused, or a value of theirs left out, for one reason at one key of the map."""

    detail: str  # of the first
    count: int = 0
    lines: list[int] = field(default_factory=list)  # the first ones

    def add(self, line: int) -> None:
        """Count a row."""
        self.count += 1
        if len(self.lines) < LINES_SHOWN:
            self.lines.append(line)


@dataclass
class Tally:
    """The summary of an import."""

    read: int = 0
    skipped: int = 0  # rows that an interrupted import had done; counted nowhere else
    taken: int = 0
    refused: dict[tuple[str, str], Refused] = field(default_factory=dict)  # (key of the map, reason)
    left_out: dict[tuple[str, str], Refused] = field(default_factory=dict)  # values of rows that were taken, likewise
    records: Counter[SourceTopic] = field(default_factory=Counter)  # by topic
    first_records: list[SourceRecord] = field(default_factory=list)  # of each topic

    @property
    def refused_count(self) -> int:
        """Rows that were refused."""
        return self.read - self.taken

    @property
    def came_to_nothing(self) -> bool:
        """Whether nothing was taken, now or by an interrupted import before: there were no rows, or every one was refused."""
        return not self.taken and not self.skipped

    def refuse(self, line: int, refusal: Refusal) -> None:
        """Count a refused row."""
        self.read += 1
        self.refused.setdefault((refusal.key, refusal.reason), Refused(refusal.detail)).add(line)

    def leave_out(self, line: int, values: Sequence[Refusal]) -> None:
        """Count what is not in the records of a row."""
        for value in values:
            self.left_out.setdefault((value.key, value.reason), Refused(value.detail)).add(line)

    def take(self, records: list[SourceRecord]) -> None:
        """Count a taken row."""
        self.read += 1
        self.taken += 1
        self.add(records)

    def add(self, records: list[SourceRecord]) -> None:
        """Count records."""
        for record in records:
            if self.records[record.topic] < RECORDS_SHOWN:
                self.first_records.append(record)
            self.records[record.topic] += 1
