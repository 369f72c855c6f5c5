"""What is noted with a committed offset: up to where, and under which leader epoch, a partition was read.

Each leader of a partition writes under an epoch of its own, which its batches bear. So whoever knows the note can ask a later leader whether it has
all of that, also after a restart, or in another process (KIP-320).
"""

from typing import Final, NamedTuple


class ReadUpTo(NamedTuple):
    """Records up to an offset, the last of them under this leader epoch, -1 where it is not known."""

    epoch: int
    offset: int


NOTHING: Final = ReadUpTo(-1, 0)


def note(read: ReadUpTo, committed: int) -> str:
    """Metadata of a committed offset: what was read up to there."""
    return f"{read.epoch}/{min(read.offset, committed)}" if read.epoch >= 0 else ""


def noted(metadata: str) -> ReadUpTo:
    """What the metadata of a committed offset say; those of others say nothing."""
    epoch, _, offset = metadata.partition("/")
    return ReadUpTo(int(epoch), int(offset)) if epoch.isdecimal() and offset.isdecimal() else NOTHING
