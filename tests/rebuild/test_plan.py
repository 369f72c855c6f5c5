"""Which generation a rebuild builds: a row is what the topic of generations tells, what is asked for, and what is done."""

import pytest

from stream_app.formats.generations import Generation
from stream_app.rebuild.plan import PlanError, plan, unused

SETTINGS = Generation(1, 1, 12, "serving")  # what the settings say, while no record says anything


def serving(number: int, events: int = 1, partitions: int = 12) -> Generation:
    return Generation(number, events, partitions, "serving")


def building(number: int, events: int = 1, partitions: int = 12) -> Generation:
    return Generation(number, events, partitions, "building")


PLANS = [
    # situation, known, partitions asked for, serving, target, resumed, copies events
    ("the first rebuild", [], None, SETTINGS, building(2), False, False),
    ("the second", [serving(2)], None, serving(2), building(3), False, False),
    ("as many partitions as there are", [], 12, SETTINGS, building(2), False, False),
    ("more partitions: another events topic", [], 24, SETTINGS, building(2, 2, 24), False, True),
    ("fewer", [serving(2, 2, 24)], 6, serving(2, 2, 24), building(3, 3, 6), False, True),
    ("back to as many as before", [serving(2, 2, 24)], 12, serving(2, 2, 24), building(3, 3, 12), False, True),
    ("one began already", [building(2)], None, SETTINGS, building(2), True, False),
    ("one began with more partitions", [building(2, 2, 24)], None, SETTINGS, building(2, 2, 24), True, True),
    ("one began with as many as are asked for", [building(2, 2, 24)], 24, SETTINGS, building(2, 2, 24), True, True),
    ("one was left behind long ago", [building(2), serving(3)], None, serving(3), building(4), False, False),
]


@pytest.mark.parametrize(("situation", "known", "partitions", "served", "target", "resumed", "copies"), PLANS)
def test_this_is_built(situation, known, partitions, served, target, resumed, copies):
    """Numbers only grow: a version holds its generation's."""
    found = plan(known, SETTINGS, partitions)
    assert found == (served, target, resumed)
    assert found.copies_events == copies


@pytest.mark.parametrize(("under_way", "asked"), [(building(2), 24), (building(2, 2, 24), 12), (building(2, 2, 24), 6)])
def test_another_number_of_partitions_is_not_begun_beside_one_that_is_under_way(under_way, asked):
    """The message says what to do."""
    with pytest.raises(PlanError, match=f"a rebuild to {under_way.partitions} partitions is under way.*--drop"):
        plan([under_way], SETTINGS, asked)


UNUSED = [
    ([], SETTINGS, []),
    ([serving(2)], serving(2), []),
    ([SETTINGS, serving(2)], serving(2), [SETTINGS]),
    ([serving(2), building(3)], serving(2), [building(3)]),
]


@pytest.mark.parametrize(("known", "served", "expected"), UNUSED)
def test_all_but_the_serving_one_may_be_dropped(known, served, expected):
    """One that is being built, too: that gives a rebuild up."""
    assert unused(known, served) == expected
