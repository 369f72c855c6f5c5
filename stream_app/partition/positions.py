"""The row of the position: made, held against today's rules, and renewed. Pure."""

from typing import Final

import msgspec

from stream_app.domain.local_time import ZONE_RULES
from stream_app.domain.tables import VERSION
from stream_app.domain.working import Settings
from stream_app.formats.rows import FORMAT, FormatError, Position, decode_position
from stream_app.partition.conf import Conf
from stream_app.ports.kafka import Range

# Figures up to this version count fields that rows of before don't have: as unknown ones they add nothing, so nothing is
# ever taken back that was not added. Later figures and tables count what rows hold already, so only rows that were
# counted with them can be gone on with.
_COUNTED_WITHOUT: Final = 2


class PositionError(Exception):
    """The rows don't fit the events topic, or today's rules. Operator action: the message says it."""


class SupersededError(Exception):
    """A newer generation has taken the place of this one: what this worker owned is served there."""


def lost_frames(name: str, how: str) -> PositionError:
    """What to raise when frames of topic/partition that were read are gone."""
    return PositionError(
        f"{name} has lost frames that Kafka had acknowledged: {how}. "
        "The state holds them, and not what took their place: see docs/operating.md, Another history"
    )


def position_of(row: bytes | None, conf: Conf, name: str, where: Range) -> Position:
    """Where to go on by the row of the position, None: there is none yet. `name`: topic/partition of the events, which has these offsets.

    `Raises` PositionError, SupersededError; FormatError when the rows are of a newer version.
    """
    if row is None:
        return new_position(conf.ledger, conf.topic_id, conf.generation, where.first)
    position = decode_position(row)
    if position.superseded_by:  # first: the topic may be gone by now, or have been empty
        raise SupersededError(f"generation {position.superseded_by} has taken the place of {conf.generation}")
    if (position.topic_id, position.generation) != (conf.topic_id, conf.generation):
        raise PositionError(
            f"{name} is another topic than the one the state was made from: see docs/operating.md, Another history"
        )
    if position.applied > where.end:
        raise lost_frames(name, f"it ends at {where.end}, and the state goes on at {position.applied}")
    if position.offset < where.first:
        raise PositionError(
            f"{name} has offsets {where.first} to {where.end}, the state goes on at {position.offset}: see docs/operating.md, Another history"
        )
    if changed := changed_rules(position, conf.ledger):
        raise PositionError(f"{name} was counted by other rules ({changed}): run `stream-app rebuild`")
    return renewed_position(position, conf.ledger)


def new_position(rules: Settings, topic_id: str, generation: int, first: int) -> Position:
    """The position of a partition that has no rows yet, at the first offset of its events partition."""
    return renewed_position(Position(FORMAT, topic_id, generation, first, -1, 0, 0), rules)


def renewed_position(position: Position, rules: Settings) -> Position:
    """The position with the format and the rules of this version."""
    return msgspec.structs.replace(
        position,
        format=FORMAT,
        figures=VERSION,
        tzdata=ZONE_RULES,
        retention_months=rules.retention_months,
        distribution_days=rules.distribution_days,
    )


def changed_rules(position: Position, rules: Settings) -> str:
    """Which rules are other ones than those that the rows were counted by, in words; empty where none is.

    `Raises` FormatError when the rows show figures that this version does not know.
    """
    if position.figures > VERSION:
        raise FormatError(
            f"rows with figures of version {position.figures}: this version knows up to {VERSION}, "
            "run the version of crm-stats that wrote them, or a newer one"
        )
    kept = [
        ("figures and tables", max(position.figures, _COUNTED_WITHOUT), VERSION),
        ("time zones", position.tzdata, ZONE_RULES),
        ("retention_months", position.retention_months or rules.retention_months, rules.retention_months),
        ("distribution_days", position.distribution_days or rules.distribution_days, rules.distribution_days),
    ]
    return ", ".join(f"{name}: {before}, now {now}" for name, before, now in kept if before != now)
