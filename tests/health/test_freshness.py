"""Which stage is to blame, and whether a source has fallen silent: tables, each row with its why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.health.advice import STAGES
from stream_app.health.freshness import SINKS, Stage, Upstream, guilty, is_push_guilty, oldest
from stream_app.health.silence import judge_silence
from stream_app.health.status import Status

WELL = Upstream(Status.OK, 0.5)
BEHIND = Upstream(Status.OK, 90.0)
DEAD = Upstream(Status.STOP, 0.0)
UNKNOWN = Upstream(Status.OK, None)


def ages(topics, redis, clickhouse):
    return dict(zip(SINKS, (topics, redis, clickhouse), strict=True))


@pytest.mark.parametrize(
    ("why", "ages_s", "ingest", "ledger", "stage"),
    [
        ("all is fresh", ages(1, 0.5, 2), WELL, WELL, None),
        ("fresh, while ingest is behind by what nobody waits for yet", ages(1, 0.5, 2), BEHIND, WELL, None),
        ("only Redis is old", ages(1, 60, 2), WELL, WELL, Stage.REDIS),
        ("only ClickHouse is old", ages(1, 0.5, 60), WELL, WELL, Stage.CLICKHOUSE),
        ("only the topics are old", ages(60, 0.5, 2), WELL, WELL, Stage.TOPICS),
        ("ClickHouse does not answer", ages(1, 0.5, None), WELL, WELL, Stage.CLICKHOUSE),
        ("Redis is old and ClickHouse silent: the worse one", ages(1, 60, None), WELL, WELL, Stage.CLICKHOUSE),
        ("both are old: the older one", ages(1, 60, 70), WELL, WELL, Stage.CLICKHOUSE),
        (
            "a sink is old and ingest not well: as the topics are fresh, it is the sink",
            ages(1, 60, 2),
            DEAD,
            WELL,
            Stage.REDIS,
        ),
        (
            "the ledger stands still, and ClickHouse is the first to be old",
            ages(9, 9.5, 12),
            WELL,
            BEHIND,
            Stage.LEDGER,
        ),
        ("ingest stands still, and the topics are the first to be old", ages(11, 9.5, 9), DEAD, WELL, Stage.INGEST),
        (
            "a sink is hardly older than the others, and the flow is well",
            ages(9, 9.5, 12),
            WELL,
            WELL,
            Stage.CLICKHOUSE,
        ),
        ("all are old, and ingest is behind", ages(60, 60, 61), BEHIND, WELL, Stage.INGEST),
        ("all are old, and ingest is not there, although it has no lag", ages(60, 60, 61), DEAD, WELL, Stage.INGEST),
        ("all are old, and nothing is known of ingest's age", ages(60, 60, 61), UNKNOWN, WELL, Stage.INGEST),
        ("both are down: the earlier one", ages(60, 60, 61), DEAD, DEAD, Stage.INGEST),
        ("the ledger at this partition is behind", ages(60, 60, 61), WELL, BEHIND, Stage.LEDGER),
        ("nobody owns the partition", ages(60, 60, 61), WELL, DEAD, Stage.LEDGER),
        ("both read all, and as-of stands still: it is held", ages(60, 60, 61), WELL, WELL, Stage.AS_OF),
        ("nothing was ever shown, and nobody runs", ages(None, None, None), DEAD, DEAD, Stage.INGEST),
        ("no sink answers, and the flow is well: the first of them", ages(None, None, None), WELL, WELL, Stage.TOPICS),
    ],
)
def test_the_guilty_stage(why, ages_s, ingest, ledger, stage):
    assert guilty(ages_s, ingest, ledger) == stage, why


@given(st.lists(st.none() | st.floats(0, 1000), min_size=3, max_size=3), st.sampled_from([WELL, BEHIND, DEAD]))
def test_somebody_is_to_blame_when_and_only_when_something_is_old(found, upstream):
    ages_s = ages(*found)
    assert (guilty(ages_s, upstream, WELL) is None) == all(age is not None and age <= 10 for age in found)
    assert (oldest(ages_s) is None) == (None in found)
    if None not in found:
        assert oldest(ages_s) == max(found)


@pytest.mark.parametrize(
    ("why", "redis_s", "push_s", "is_guilty"),
    [
        ("both came", 0.3, 0.4, False),
        ("it did not even reach Redis: that is somebody else's fault", None, None, False),
        ("in Redis, and never pushed", 0.3, None, True),
        ("pushed long after", 0.3, 40, True),
        ("late in Redis, and pushed at once", 40, 40.2, False),
    ],
)
def test_push(why, redis_s, push_s, is_guilty):
    assert is_push_guilty(redis_s, push_s) == is_guilty, why


WEEK = [3600] * 7


@pytest.mark.parametrize(
    ("why", "age_s", "counts", "per_hour", "is_silent"),
    [
        ("one a second, the last a second ago", 1, WEEK, 3600, False),
        ("one a second, nothing for four minutes: a deployment takes that long", 240, WEEK, 3600, False),
        ("one a second, nothing for six minutes", 360, WEEK, 3600, True),
        ("nothing is left, but came on days before", None, WEEK, 3600, True),
        ("six an hour, nothing for half an hour: chance", 1800, [6] * 7, 6, False),
        ("six an hour, nothing for three hours: an hour alone can't tell", 10_800, [6] * 7, 6, False),
        ("six an hour, nothing for a day", 86_400, [6] * 7, 6, True),
        ("nothing for a day, of a source that never has anything at this hour", 86_400, [0] * 7, 0, True),
        ("nothing for most of a day: nights are long", 80_000, [0] * 7, 0, False),
        ("sixty an hour, nothing for 9 min", 540, [60] * 7, 60, False),
        ("sixty an hour, nothing for 11 min", 660, [60] * 7, 60, True),
        ("nothing since the evening, and at this hour nothing ever comes", 30_000, [0] * 7, 0, False),
        ("the weekend is empty: five other days count", 660, [60, 60, 0, 0, 60, 60, 60], 60, True),
        ("a single day with much", 660, [0, 0, 9000, 0, 0, 0, 0], 0, False),
        ("the topic is two days old", 99_999, [3600, 3600, None, None, None, None, None], None, False),
        ("it keeps three days", 360, [3600, 3600, 3600, None, None, None, None], 3600, True),
        ("nothing is known", 99_999, [], None, False),
    ],
)
def test_silence(why, age_s, counts, per_hour, is_silent):
    days = [None if count is None else max(144, count * 12) for count in counts]
    found = judge_silence(age_s, counts, days)
    assert (found.per_hour, found.is_silent) == (per_hour, is_silent), why


@given(st.floats(0, 100_000), st.floats(0, 100_000), st.lists(st.none() | st.integers(0, 10**6), max_size=7))
def test_a_longer_silence_is_never_less_of_one(one, other, counts):
    shorter, longer = sorted((one, other))
    soon, later = (judge_silence(age, counts, counts) for age in (shorter, longer))
    assert soon.missed <= later.missed
    assert soon.is_silent <= later.is_silent


def test_every_stage_has_words_and_advice():
    assert set(STAGES) == set(Stage)
    assert all(words.means and words.todo for words in STAGES.values())
