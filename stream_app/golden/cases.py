"""What a reader of results has to cope with: cases, each with the versions of a key in the order in which they come, and the one that is right in the end.

Pure, and of no topic yet: records.py makes records of them. The rule behind all of them is the contract's: of the committed records of a key, values
and tombstones alike, the one with the highest version counts.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from stream_app.domain.events import ALL

VERSION_MAX: Final = 2**53 - 1  # what JSON holds exactly everywhere


class Step(NamedTuple):
    """A record of a case's key.

    `is_tombstone`: it has no value. `is_aborted`: of a transaction that is aborted. `is_elsewhere`: in another partition than the key's, as if the
    topic had grown. `has_more`: with a field that no reader knows. `is_zero`, `is_large`: what its figures are.
    """

    version: int
    is_tombstone: bool = False
    is_aborted: bool = False
    is_elsewhere: bool = False
    has_more: bool = False
    is_zero: bool = False
    is_large: bool = False


class Case(NamedTuple):
    """`group` names the customer group whose keys show the case, `meaning` says for people what is to be coped with.

    `holds`: the version that a right view has in the end; None: it has no such key.
    """

    group: str
    meaning: str
    steps: Sequence[Step]
    holds: int | None


def _gone(version: int, *, is_aborted: bool = False) -> Step:
    return Step(version, is_tombstone=True, is_aborted=is_aborted)


CASES: Final = (
    Case(ALL, "one record", [Step(1)], 1),
    Case("大客户 a|b{c}%", "ids may be any text; in keys they are percent-encoded", [Step(1)], 1),
    Case("newer", "a newer version takes the place of an older one", [Step(1), Step(2)], 2),
    Case("older", "an older version comes behind a newer one, and is left out", [Step(20), Step(7)], 20),
    Case("digits", "versions are numbers: 10 is newer than 9", [Step(9), Step(10)], 10),
    Case("highest", "versions go up to 2^53 - 1", [Step(2**32 - 1), Step(VERSION_MAX)], VERSION_MAX),
    Case("repeated", "a record comes twice", [Step(3), Step(3)], 3),
    Case("gone", "a tombstone takes the key away", [Step(1), _gone(2)], None),
    Case("never-there", "a tombstone comes of a key that nobody saw", [_gone(1)], None),
    Case("gone-older", "an older version comes behind a tombstone, whose version is in its header ce_id", [Step(5), _gone(6), Step(4)], None),
    Case("older-gone", "a tombstone comes that is older than the version held", [Step(5), _gone(4)], 5),
    Case("back", "a key comes back with a version above its tombstone's", [Step(1), _gone(2), Step(3)], 3),
    Case("aborted", "a newer version is of an aborted transaction", [Step(1), Step(2, is_aborted=True)], 1),
    Case("aborted-gone", "a tombstone is of an aborted transaction", [Step(1), _gone(2, is_aborted=True)], 1),
    Case("aborted-only", "all records of a key are of an aborted transaction", [Step(1, is_aborted=True)], None),
    Case("grown", "the topic got more partitions: older versions lie in another one", [Step(1, is_elsewhere=True), Step(2)], 2),
    Case("grown-behind", "likewise, and the older version comes later", [Step(2), Step(1, is_elsewhere=True)], 2),
    Case("more", "a field comes that nobody knows yet", [Step(1, has_more=True)], 1),
    Case("zero", "a group that lost its customers has zeros, and its key stays", [Step(1), Step(2, is_zero=True)], 2),
    Case("large", "amounts are exact, however large: no binary fractions", [Step(1, is_large=True)], 1),
)  # fmt: skip


class AsOf(NamedTuple):
    """A partition's as-of, in seconds behind the first one, in the order in which they come. The latest counts."""

    partition: int
    meaning: str
    seconds: Sequence[int]


# Partitions that a cluster hardly has, so that a topic of real as-of is told apart.
AS_OF: Final = (
    AsOf(65_533, "as-of moves on", [0, 1, 5]),
    AsOf(65_534, "an older as-of comes behind a newer one", [9, 4]),
)
