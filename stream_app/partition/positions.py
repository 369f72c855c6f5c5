"""The row of the position: made, held against today's rules, and renewed. Pure."""

from typing import Final

import msgspec

from stream_app.domain.local_time import ZONE_RULES
from stream_app.domain.tables import VERSION
from stream_app.domain.working import Settings
from stream_app.formats.rows import FORMAT, FormatError, Position

# Figures up to this version count fields that rows of before don't have: as unknown ones they add nothing, so nothing is
# ever taken back that was not added. Later figures and tables count what rows hold already, so only rows that were
# counted with them can be gone on with.
_COUNTED_WITHOUT: Final = 2


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
