"""Which generation is built, beside which one. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from stream_app.formats.generations import Generation, newest_serving


class PlanError(Exception):
    """The plan can't be carried out now; the message says what to do."""


class Plan(NamedTuple):
    """The serving generation, and the one to be built. `is_resumed`: an earlier run began with it."""

    serving: Generation
    target: Generation
    is_resumed: bool

    @property
    def copies_events(self) -> bool:
        """Does the target read an events topic of its own?"""
        return self.target.events != self.serving.events


def plan(known: Sequence[Generation], otherwise: Generation, partitions: int | None) -> Plan:
    """The next generation, or the one that is being built already.

    `partitions`: of its events topic, None: as they are.

    `Raises` PlanError when another number of partitions was asked for before.
    """
    serving = newest_serving(known, otherwise)
    wanted = partitions or serving.partitions
    building = [generation for generation in known if generation.number > serving.number]
    if building:
        (target,) = building[-1:]
        if partitions is not None and target.partitions != partitions:
            raise PlanError(
                f"a rebuild to {target.partitions} partitions is under way: finish it without --partitions, "
                "or drop it by stream-app rebuild --drop"
            )
        return Plan(serving, target, is_resumed=True)
    events = serving.events if wanted == serving.partitions else serving.events + 1
    number = max([serving.number, *(generation.number for generation in known)]) + 1
    return Plan(serving, Generation(number, events, wanted, "building"), is_resumed=False)


def unused(known: Sequence[Generation], serving: Generation) -> list[Generation]:
    """The generations that may be dropped: all but the serving one."""
    return [generation for generation in known if generation.number != serving.number]
