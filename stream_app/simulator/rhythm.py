"""When people charge: curves of the day, factors of the week and the year, by kind of customer. Pure numbers, local time."""

from bisect import bisect
from itertools import accumulate
from math import exp
from typing import Final, NamedTuple

SLOTS: Final = 48
# Cold batteries take more, and people are away in August.
SEASON: Final = (1.12, 1.09, 1.03, 0.98, 0.95, 0.94, 0.96, 0.88, 0.97, 1.02, 1.07, 1.08)


class Curve:
    """A day's distribution over its half-hours: bumps of (hour, width in hours, height) above a floor."""

    def __init__(self, *bumps: tuple[float, float, float], floor: float = 0.03) -> None:
        weights = [
            floor + sum(height * exp(-((_distance(slot / 2, hour) / width) ** 2) / 2) for hour, width, height in bumps)
            for slot in range(SLOTS)
        ]
        total = sum(weights)
        self._cumulative = [part / total for part in accumulate(weights)]

    def slot(self, draw: float) -> int:
        """The half-hour of a draw from [0, 1)."""
        return min(bisect(self._cumulative, draw), SLOTS - 1)


def _distance(hour: float, other: float) -> float:
    """Hours between two times of a day, over midnight where that is shorter."""
    apart = abs(hour - other)
    return min(apart, 24 - apart)


class Behaviour(NamedTuple):
    """Charging habits of a kind of customer. `share` of customers, `visits` a month, `week` is a factor a day from Monday on."""

    share: float
    visits: float
    kwh: float
    kw: float
    discount_percent: int
    week: tuple[float, ...]
    workday: Curve
    weekend: Curve


_EVEN: Final = (1.0, 1.0, 1.0, 1.0, 1.05, 1.0, 0.95)
_OFFICE: Final = (1.25, 1.3, 1.3, 1.25, 1.15, 0.4, 0.35)
_LEISURE: Final = (0.7, 0.7, 0.75, 0.8, 1.2, 1.5, 1.35)
_LATE_MORNING: Final = Curve((11, 2.5, 1.0), (17, 2.5, 0.8))

KINDS: Final = {
    "vip": Behaviour(0.06, 14, 38, 50, 12, _EVEN, Curve((8.5, 1.5, 0.9), (18, 2, 1.0)), _LATE_MORNING),
    "fleet": Behaviour(0.10, 18, 42, 22, 8, _OFFICE, Curve((5.5, 1.2, 0.8), (20, 2, 1.0)), Curve((20, 3, 1.0))),
    "commuter": Behaviour(0.30, 9, 18, 11, 0, _OFFICE, Curve((8, 1, 1.0), (17.5, 1, 0.45)), _LATE_MORNING),
    "resident": Behaviour(0.34, 5, 26, 11, 0, _EVEN, Curve((18.5, 1.6, 1.0), (7, 1.5, 0.2)), _LATE_MORNING),
    "night": Behaviour(0.08, 8, 30, 7, 5, _EVEN, Curve((23, 1.5, 1.0)), Curve((0.5, 2, 1.0))),
    "occasional": Behaviour(0.12, 1.5, 30, 50, 0, _LEISURE, _LATE_MORNING, _LATE_MORNING),
}
# Card terminals and roaming guests: in proportion to the visits of everybody else.
WALK_UP: Final = Behaviour(0.12, 1, 24, 75, 0, _LEISURE, Curve((12.5, 3, 1.0), (17.5, 2, 0.9)), _LATE_MORNING)
