"""How a consumer group does, in Burrow's words, per partition and as a whole. Pure: the time is an argument.

The words mean what they mean in Burrow: OK; WARN: it reads but falls behind; STALL: it is there and reads nothing although there is something;
STOP: it is not there; REWIND: it went back; ERR: records are lost or about to be. What Burrow can't see is closed here:

- It judges by commits, so a caught-up consumer that dies is never missed. Here the group's members count.
- It asks whether lag grew at each step, so a growing sawtooth passes for healthy. Here the floors and peaks of three thirds of the window count.
- It knows only who commits. Here a member without a commit counts, too.
- It waits for so many commits. Here times count, and a group that commits rarely is given twice its own longest step.
- It says WARN and OK by turns when a group is at the edge. Here WARN, once said, holds until lag gets less.

The first rule that applies decides; their order is that of `_RULES`.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from stream_app.health.history import History, Slot, floor, moves, peak
from stream_app.health.lag import (
    Point,
    Retention,
    catch_up_s,
    is_unread,
    lag_ms,
    lag_records,
    loss_in_s,
    rates,
    retention_used,
)


class Status(StrEnum):
    """Status of a partition or a consumer group."""

    OK = "OK"
    WARN = "WARN"
    ERR = "ERR"
    STOP = "STOP"
    STALL = "STALL"
    REWIND = "REWIND"
    NOTFOUND = "NOTFOUND"  # a group that should be there is not
    UNSUPPORTED = "UNSUPPORTED"  # a share group: it has no committed offset that lag could be told from


class Reason(StrEnum):
    """Why a status is what it is, out of a closed list."""

    IDLE = "idle"  # nothing is unread
    READING = "reading"  # what is unread is young
    CATCHING_UP = "catching_up"
    STANDING = "standing"  # is behind and reads nothing, but not for long
    FALLING_BEHIND = "falling_behind"
    STALLED = "stalled"
    NO_MEMBERS = "no_members"
    UNASSIGNED = "unassigned"
    NEVER_COMMITTED = "never_committed"
    STARTING = "starting"  # never committed, but not for long
    REWOUND = "rewound"
    LOST = "lost"  # deleted before they were read
    LOSS_NEAR = "loss_near"
    RECREATED = "recreated"
    NOT_THERE = "not_there"
    SHARE_GROUP = "share_group"


class Limits(NamedTuple):
    """Thresholds of the judgement."""

    young_ms: int = 10_000  # what is unread for no longer is nobody's trouble
    stall_ms: int = 60_000  # without a commit that moves, while something is unread
    unassigned_ms: int = 10_000  # a partition without owner, while the group has members: a rebalance takes that long
    loss_s: float = 3600.0  # until records are deleted unread
    used: float = 0.9  # of the retention


class Situation(NamedTuple):
    """What a partition's judgement stands on. The history has at least one point."""

    now_ms: int
    history: History
    retention: Retention
    members: int  # of the group
    has_members: bool  # is it a group that has any, when all is well? Others read without membership
    recreated: bool  # what is committed is of another topic of this name
    before: Reason | None = None  # what was said after the look before; None: there was none

    @property
    def last(self) -> Point:
        """The last look."""
        assert self.history.last is not None
        return self.history.last

    def since_ms(self, then_ms: int | None) -> int:
        """Milliseconds since then; -1 for None."""
        return -1 if then_ms is None else self.now_ms - then_ms


class Judgement(NamedTuple):
    """A status and its reason."""

    status: Status
    reason: Reason


def _was_older(point: Point, than_ms: int) -> bool:
    """Was a record unread for longer than this, at the time of the look?"""
    age_ms = lag_ms(point.time_ms, point)
    return is_unread(point) and (age_ms is None or age_ms > than_ms)


def _is_old(at: Situation, limits: Limits) -> bool:
    return _was_older(at.last, limits.young_ms)


def _recreated(at: Situation, limits: Limits) -> bool:
    del limits
    return at.recreated and is_unread(at.last)


def _lost(at: Situation, limits: Limits) -> bool:
    del limits
    return at.last.committed is not None and at.last.committed < at.last.start and is_unread(at.last)


def _no_members(at: Situation, limits: Limits) -> bool:
    if at.members:
        return False
    return at.has_members or at.since_ms(at.history.waiting_ms) >= _patience_ms(at, limits)


def _unassigned(at: Situation, limits: Limits) -> bool:
    return at.members > 0 and at.since_ms(at.history.unowned_ms) >= limits.unassigned_ms


def _never_committed(at: Situation, limits: Limits) -> bool:
    return at.last.committed is None and at.since_ms(at.history.waiting_ms) >= limits.stall_ms


def _starting(at: Situation, limits: Limits) -> bool:
    del limits
    return at.last.committed is None and is_unread(at.last)


def _rewound(at: Situation, limits: Limits) -> bool:
    del limits
    return at.last.committed is not None and at.last.committed < (at.history.highest() or 0)


def _patience_ms(at: Situation, limits: Limits) -> int:
    return max(limits.stall_ms, 2 * at.history.step_ms_max())


def _stalled(at: Situation, limits: Limits) -> bool:
    return at.since_ms(at.history.waiting_ms) >= _patience_ms(at, limits)


def _loss_near(at: Situation, limits: Limits) -> bool:
    left_s = loss_in_s(at.now_ms, at.history.points(), at.retention)
    used = retention_used(at.now_ms, at.last, at.retention) or 0.0
    return used >= limits.used or (left_s is not None and left_s < limits.loss_s and used >= 1 - limits.used)


def _falling_behind(at: Situation, limits: Limits) -> bool:
    return _falls_behind_still(at, limits) or _begins_to_fall_behind(at, limits)


def _falls_behind_still(at: Situation, limits: Limits) -> bool:
    """FALLING_BEHIND holds until lag gets less or is nearly none: at the edge, chance would withdraw and repeat it."""
    if at.before != Reason.FALLING_BEHIND or not _was_older(at.last, limits.young_ms // 2):
        return False
    return catch_up_s(lag_records(at.last), rates(at.history.pace())) is None


def _begins_to_fall_behind(at: Situation, limits: Limits) -> bool:
    moved = at.history.moved
    if moved is None or not _was_older(moved, limits.young_ms) or not _is_old(at, limits):
        return False  # one that only stops is another thing
    whole, recent = (window.thirds() for window in (at.history.whole, at.history.recent))
    return (_is_read(whole) and (_rises(whole) or _stays(whole))) or (_is_read(recent) and _rises(recent))


def _standing(at: Situation, limits: Limits) -> bool:
    """Has the committed offset not moved for longer than it ever took between two commits?"""
    return _is_old(at, limits) and at.since_ms(at.history.waiting_ms) > 1.5 * at.history.step_ms_max()


def _is_read(thirds: Sequence[Sequence[Slot]]) -> bool:
    """Did the committed offset rise in each third?"""
    return all(moves(part) for part in thirds)


def _rises(thirds: Sequence[Sequence[Slot]]) -> bool:
    """Do floors and peaks of lag rise from third to third, the last time by more than noise?"""
    first, second, third = thirds
    noise = _noise(thirds)
    return floor(third) - floor(first) > noise and all(
        of(second) >= of(first) - noise and of(third) >= of(second) for of in (floor, peak)
    )


def _stays(thirds: Sequence[Sequence[Slot]]) -> bool:
    """Is there lag that was never worked off in the window?"""
    floors = [floor(part) for part in thirds]
    return min(floors) > 2 * _noise(thirds) and floors[2] >= floors[0] * 0.99


def _noise(thirds: Sequence[Sequence[Slot]]) -> float:
    """Records by which lag goes up and down by chance: a twentieth of the highest."""
    return max(map(peak, thirds)) / 20


def _catching_up(at: Situation, limits: Limits) -> bool:
    return _is_old(at, limits)


def _reading(at: Situation, limits: Limits) -> bool:
    del limits
    return is_unread(at.last)


_RULES: Final[tuple[tuple[Callable[[Situation, Limits], bool], Judgement], ...]] = (
    (_recreated, Judgement(Status.ERR, Reason.RECREATED)),
    (_lost, Judgement(Status.ERR, Reason.LOST)),
    (_no_members, Judgement(Status.STOP, Reason.NO_MEMBERS)),
    (_unassigned, Judgement(Status.STOP, Reason.UNASSIGNED)),
    (_never_committed, Judgement(Status.STOP, Reason.NEVER_COMMITTED)),
    (_starting, Judgement(Status.WARN, Reason.STARTING)),
    (_rewound, Judgement(Status.REWIND, Reason.REWOUND)),
    (_stalled, Judgement(Status.STALL, Reason.STALLED)),
    (_loss_near, Judgement(Status.ERR, Reason.LOSS_NEAR)),
    (_falling_behind, Judgement(Status.WARN, Reason.FALLING_BEHIND)),
    (_standing, Judgement(Status.OK, Reason.STANDING)),
    (_catching_up, Judgement(Status.OK, Reason.CATCHING_UP)),
    (_reading, Judgement(Status.OK, Reason.READING)),
)


def judge(at: Situation, limits: Limits = Limits()) -> Judgement:  # noqa: B008  # frozen
    """The status of a partition."""
    for applies, judgement in _RULES:
        if applies(at, limits):
            return judgement
    return Judgement(Status.OK, Reason.IDLE)


_SEVERITY: Final = {reason: at for at, (_, (_, reason)) in enumerate(_RULES)}


def severity(judgement: Judgement) -> int:
    """Rank of a judgement, the worst is 0."""
    return _SEVERITY.get(judgement.reason, len(_SEVERITY))


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """The status of a group: OK, WARN, or ERR with any partition that does not read; the reason of the worst."""
    found = min(judgements, key=severity, default=Judgement(Status.OK, Reason.IDLE))
    return found if found.status in {Status.OK, Status.WARN} else Judgement(Status.ERR, found.reason)
