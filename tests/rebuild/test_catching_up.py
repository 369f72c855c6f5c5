"""A rebuild ends its catching up beside traffic that never pauses, and not before it is near the end."""

import pytest

from stream_app.rebuild.catching_up import NEAR_S, CatchingUp

LOOK_S, PARTITIONS = 0.5, 8


def seconds_until_caught_up(*, behind, applied_a_second, sent_a_second, step_s, seconds_max=600):
    """Partitions of steady traffic that commit at times of their own, each `step_s` seconds; when it is done, and how far it is behind then."""
    catching_up, committed = CatchingUp(), [0.0] * PARTITIONS
    next_s = [step_s * partition / PARTITIONS for partition in range(PARTITIONS)]
    now_s = 0.0
    while now_s < seconds_max:
        end = behind + sent_a_second * now_s
        for partition in range(PARTITIONS):
            while next_s[partition] <= now_s:
                most = behind + sent_a_second * next_s[partition]
                committed[partition] = min(most, committed[partition] + applied_a_second * step_s)
                next_s[partition] += step_s
        ends = {("events", partition): int(end) for partition in range(PARTITIONS)}

        def has_passed(wanted):
            return all(committed[partition] >= at for (_, partition), at in wanted.items())

        if catching_up.is_done(now_s, ends, has_passed):
            return now_s, (end - min(committed)) / sent_a_second
        now_s += LOOK_S
    return None


@pytest.mark.parametrize("step_s", [0.1, 0.7, 1.0, 3.0])
def test_it_is_done_though_no_moment_finds_all_partitions_at_the_ends_of_the_look_before(step_s):
    done = seconds_until_caught_up(behind=1000, applied_a_second=500, sent_a_second=25, step_s=step_s)
    assert done is not None
    assert done[0] < 1000 / 475 + 8 * (step_s + LOOK_S)
    assert done[1] <= 2 * step_s + 2 * LOOK_S, "seconds of events that are left for when results stand still"


def test_what_took_long_to_pass_is_followed_by_ends_of_then():
    done = seconds_until_caught_up(behind=100_000, applied_a_second=1000, sent_a_second=25, step_s=1.0)
    assert done is not None
    assert done[0] > 100_000 / 1000 > NEAR_S
    assert done[1] <= 4


def test_one_that_is_slower_than_the_traffic_is_never_done():
    assert seconds_until_caught_up(behind=1000, applied_a_second=20, sent_a_second=25, step_s=1.0) is None
