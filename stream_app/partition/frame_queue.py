"""Frames of one events partition, from the consumer to the lane that applies them: in order, each once, without a gap.

Invariant: what the state of the lane stands on is still there. The frame before those that come next is fetched again after a start and when the
partition has a new leader, and the events partition may not end before what was read: frames that Kafka had acknowledged and lost stop the worker.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from stream_app.formats.frames import checksum
from stream_app.formats.rows import Position
from stream_app.partition.positions import PositionError, lost_frames
from stream_app.ports.records import Batch, Headers

_BYTES_MAX: Final = 2_000_000  # two of the largest ticks
_IN_VAIN_MAX: Final = 30  # looks at the end of the partition, of which two to five come in a second
Frame = tuple[bytes, int]  # with the time of its append, in epoch milliseconds


class FrameQueue:
    """The frames of a partition that are not applied yet. `name`: topic/partition, for messages.

    `expected`: the offset to come next. `size`: bytes that are queued. `is_open`: are frames taken?
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames: deque[Frame] = deque()
        self.size = self.expected = self._first = 0
        self.is_open = False
        self._in_vain = 0  # looks in a row at frames that are there, between which none came
        self._seeks = False  # frames behind those that come next are of before the seek

    def open(self, position: Position, first: int, *, seeks: bool) -> None:
        """Take frames from the position on; `first`: the first offset that the partition has.

        `seeks`: the consumer is further on, and is told to go back; what it fetched before is dropped.
        """
        self.expected, self._first, self._last_frame = position.offset, first, position.last_frame
        self._fetched, self._leader_epoch, self._in_vain = 0, -1, 0
        self._seeks, self.is_open = seeks, True

    def close(self) -> None:
        """Drop all frames, and take no more."""
        self.is_open = False
        self._frames.clear()
        self.size = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_full(self) -> bool:
        """Is so much queued that nothing more should be fetched? What has been is taken all the same."""
        return self.size >= _BYTES_MAX

    @property
    def fetch_from(self) -> int:
        """Where to fetch from: the frame before those that come next, by which a history that changed is found out."""
        return max(self._first, self.expected - 1)

    def reached(self, end: int, *, is_fetched: bool) -> bool:
        """Note where the events partition ends by now. `Raises` PositionError where that is before what was read.

        True: frames are there, are fetched (`is_fetched`), and none has come for long. The consumer should go back to `fetch_from`. Said ever more
        seldom until one comes: where it takes long to fetch them, going back does not help.
        """
        if end < self._fetched:
            raise lost_frames(self._name, f"it ends at {end}, and its frames up to {self._fetched} were read")
        self._in_vain = self._in_vain + 1 if is_fetched and end > self.expected == self._fetched else 0
        self._fetched = self.expected  # before the next end is asked for
        times, rest = divmod(self._in_vain, _IN_VAIN_MAX)
        return times.bit_count() == 1 and not rest

    def put(self, batches: Sequence[Batch], arrived: Callable[[Mapping[int, Headers], int], None] | None) -> bool:
        """Queue frames; known ones are dropped. `Raises` PositionError for a gap.

        False: the partition has a new leader, which may know another history. The consumer must go back to `fetch_from` first; what it has fetched
        till then is dropped. `arrived` gets the headers of batches that have any, by offset, and the first offset that is not known.
        """
        for batch in batches:
            if self._seeks and batch.offsets[0] > self.fetch_from:
                continue
            self._seeks = False
            is_next = batch.offsets[0] == self.expected > self._first
            if batch.leader_epoch > self._leader_epoch >= 0 and is_next:
                self._leader_epoch, self._seeks = batch.leader_epoch, True
                return False
            self._leader_epoch = max(self._leader_epoch, batch.leader_epoch)
            if batch.offsets[0] > self.expected or batch.next_offset - batch.offsets[0] != len(batch):
                raise PositionError(f"{self._name}: expected offset {self.expected}, got {batch.offsets[0]}")
            known = max(0, self.expected - batch.offsets[0])
            if 0 < known <= len(batch):
                last = batch.values[known - 1] or b"", batch.timestamps[known - 1]
                check_frame(self._name, self.expected - 1, last, self._last_frame)
            self.expected = max(self.expected, batch.next_offset)
            for frame, timestamp_ms in zip(batch.values[known:], batch.timestamps[known:], strict=True):
                if frame is None:
                    raise PositionError(f"{self._name} holds a record without a value")
                self._frames.append((frame, timestamp_ms))
                self.size += len(frame)
            if batch.headers and arrived is not None:
                arrived(batch.headers, batch.offsets[0] + known)
            if known < len(batch):
                self._last_frame = checksum(*self._frames[-1])
        return True

    def take(self, bytes_max: int) -> list[Frame]:
        """The first frames, up to the one with which they are so large."""
        taken: list[Frame] = []
        size = 0
        while self._frames and size < bytes_max:
            taken.append(self._frames.popleft())
            size += len(taken[-1][0])
        self.size -= size
        return taken

    def give_back(self, frames: Sequence[Frame]) -> None:
        """Put frames that were taken last to the front again."""
        self._frames.extendleft(reversed(frames))
        self.size += sum(len(frame) for frame, _ in frames)


def check_frame(name: str, offset: int, frame: Frame, known: int) -> None:
    """Raise PositionError if another frame was read at the offset than this one; `known`: its checksum, 0: not known."""
    if known not in {0, checksum(*frame)}:
        raise lost_frames(name, f"at offset {offset} stands another frame than the one that was read there")
