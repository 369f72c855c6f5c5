"""As-of of a partition against a model that keeps every sample and looks through all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.partition.frontiers import _SAMPLES_MAX, Frontiers

STEPS = st.lists(st.tuples(st.integers(-2, 5), st.integers(0, 3), st.integers(0, 4)), max_size=60)


class Naive:
    """Everything that was ever added, in order of time."""

    def __init__(self, as_of_ms):
        self.samples = [(as_of_ms, 0)]

    def add(self, time_ms, end):
        if time_ms > self.samples[-1][0]:
            self.samples.append((time_ms, end))

    def as_of(self, offset):
        return max(time_ms for time_ms, end in self.samples if end <= offset)


@given(st.integers(0, 3), STEPS)
def test_as_of_is_that_of_the_newest_sample_that_an_offset_holds(start, steps):
    """Ends grow with time, as offsets do; samples that are older than the last say nothing new; forgetting changes no later answer."""
    frontiers, naive = Frontiers(start, 0), Naive(start)
    time_ms, end, forgotten = start, 0, 0
    for by_ms, by, forget in steps:
        end += by
        frontiers.add(time_ms + by_ms, end)
        naive.add(time_ms + by_ms, end)
        time_ms = max(time_ms, time_ms + by_ms)
        if forget == 0:
            forgotten = max(forgotten, end - 2)
            frontiers.forget(forgotten)
        for offset in range(forgotten, end + 3):
            assert frontiers.as_of(offset) == naive.as_of(offset)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(_SAMPLES_MAX, 3 * _SAMPLES_MAX))
def test_far_behind_as_of_takes_larger_steps_and_is_never_ahead(rng, count):
    """Samples are thinned: what is told was true, grows with the offset, and is the newest once everything is held."""
    frontiers, naive, end = Frontiers(0, 0), Naive(0), 0
    for time_ms in range(1, count + 1):
        end += rng.randrange(1, 4) if time_ms == 1 else rng.randrange(4)
        frontiers.add(time_ms, end)
        naive.add(time_ms, end)
    offsets = [0, *sorted(rng.randrange(end) for _ in range(50)), end]
    told = [frontiers.as_of(offset) for offset in offsets]
    assert told == sorted(told)
    assert all(time_ms <= naive.as_of(offset) for offset, time_ms in zip(offsets, told, strict=True))
    assert told[-1] == naive.as_of(end) == count
    assert len(frontiers._samples) <= _SAMPLES_MAX


def test_samples_are_as_many_as_their_ends_while_nobody_forgets():
    """A partition without events commits nothing: its samples would grow for as long as it has none, and every look at as-of goes through them."""
    frontiers = Frontiers(0, 0)
    for time_ms, end in enumerate([7] * 500 + [9] * 500, 1):
        frontiers.add(time_ms, end)
    assert (frontiers.as_of(6), frontiers.as_of(7), frontiers.as_of(9)) == (0, 500, 1000)
    assert len(frontiers._samples) == 2


def test_what_was_known_before_is_told_until_a_sample_is_reached():
    """A new owner begins with the as-of of the row of the position, 0 if there is none."""
    assert Frontiers(0, 0).as_of(10**9) == 0
    frontiers = Frontiers(500, 3)
    frontiers.add(400, 0)  # of before
    assert frontiers.as_of(10**9) == 500
    frontiers.add(600, 7)
    assert [frontiers.as_of(offset) for offset in (6, 7)] == [500, 600]


def test_nothing_is_known_of_what_holds_less_than_the_row_of_the_position():
    """Results topics to which a new owner has not sent what the last one left: its as-of is not theirs."""
    frontiers = Frontiers(500, 3)
    frontiers.add(600, 7)
    assert [frontiers.as_of(offset) for offset in (0, 2, 3)] == [0, 0, 500]
    frontiers.forget(0)
    assert frontiers.as_of(2) == 0
