"""The row of the position: what a start makes of the rules that rows were counted by."""

import msgspec
import pytest

from stream_app.domain.local_time import ZONE_RULES
from stream_app.domain.tables import VERSION
from stream_app.domain.working import Settings
from stream_app.formats.rows import FORMAT, FormatError, Position
from stream_app.partition import positions
from stream_app.partition.positions import changed_rules, new_position, renewed_position

RULES = Settings(13, 92, "EUR")
TODAY = new_position(RULES, "the topic", 3, 17)
OF_FORMAT_1 = Position(1, "the topic", 1, 17, 17, 1995024, 0)

RULES_BY_HAND = [
    # what the row says, the settings of today, what differs
    ({}, RULES, ""),
    ({"tzdata": "2020a"}, RULES, f"time zones: 2020a, now {ZONE_RULES}"),
    ({"retention_months": 25}, RULES, "retention_months: 25, now 13"),
    ({"distribution_days": 31}, RULES, "distribution_days: 31, now 92"),
    ({}, Settings(14, 92, "EUR"), "retention_months: 13, now 14"),
    ({}, Settings(13, 92, "CHF"), ""),  # the default currency is settled anew with each change
    ({"retention_months": 0, "distribution_days": 0}, Settings(25, 31, "EUR"), ""),  # not known: format 1
    (
        {"tzdata": "2020a", "distribution_days": 31},
        RULES,
        f"time zones: 2020a, now {ZONE_RULES}, distribution_days: 31, now 92",
    ),
]


@pytest.mark.parametrize(("said", "rules", "expected"), RULES_BY_HAND)
def test_rules_that_differ_are_named(said, rules, expected):
    """What was added by other rules can't be taken back by today's."""
    assert changed_rules(msgspec.structs.replace(TODAY, **said), rules) == expected


def test_rows_of_before_energy_are_gone_on_with_since_they_hold_none(monkeypatch):
    """They are filled up with zeros, which nothing is taken back from."""
    monkeypatch.setattr(positions, "VERSION", 2)
    assert changed_rules(msgspec.structs.replace(TODAY, figures=1), RULES) == ""


@pytest.mark.parametrize("figures", [1, 2])
def test_rows_of_before_a_figure_that_counts_what_they_hold_are_not(monkeypatch, figures):
    """A correction would take back what was never added."""
    monkeypatch.setattr(positions, "VERSION", 3)
    assert changed_rules(msgspec.structs.replace(TODAY, figures=figures), RULES) == "figures and tables: 2, now 3"
    assert changed_rules(msgspec.structs.replace(TODAY, figures=3), RULES) == ""


def test_figures_of_a_newer_version_stop_the_worker():
    """It would drop what it does not know."""
    newer = msgspec.structs.replace(TODAY, figures=VERSION + 1)
    with pytest.raises(FormatError, match=f"figures of version {VERSION + 1}: this version knows up to {VERSION}"):
        changed_rules(newer, RULES)


def test_a_position_is_renewed_to_what_this_version_writes():
    """Where it stands, and what is published, stay."""
    found = renewed_position(OF_FORMAT_1, RULES)
    assert (found.format, found.figures, found.tzdata) == (FORMAT, VERSION, ZONE_RULES)
    assert (found.retention_months, found.distribution_days) == (13, 92)
    assert (found.topic_id, found.generation, found.offset, found.published, found.now) == (
        "the topic",
        1,
        17,
        17,
        1995024,
    )
    assert (OF_FORMAT_1.format, OF_FORMAT_1.figures) == (1, 1)


def test_a_partition_without_rows_begins_at_its_first_offset():
    """Nothing is published, now is unknown."""
    assert (TODAY.offset, TODAY.published, TODAY.now, TODAY.as_of, TODAY.superseded_by) == (17, -1, 0, 0, 0)
