"""By which rules a partition's rows may have been counted to be gone on with."""

import msgspec
import pytest

from stream_app.domain.tables import VERSION
from stream_app.domain.working import Settings
from stream_app.formats.rows import FormatError
from stream_app.partition import positions
from stream_app.partition.positions import changed_rules, new_position, renewed_position

RULES = Settings(13, 92, "EUR")


def position(**fields):
    return msgspec.structs.replace(new_position(RULES, "topic", 1, 0), **fields)


def test_rows_that_todays_rules_counted_are_gone_on_with():
    assert changed_rules(position(), RULES) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tzdata": "1999a"}, "time zones: 1999a, now "),
        ({"retention_months": 12}, "retention_months: 12, now 13"),
        ({"distribution_days": 31}, "distribution_days: 31, now 92"),
    ],
)
def test_rows_of_other_rules_are_not(fields, why):
    assert why in changed_rules(position(**fields), RULES)


def test_rows_of_before_energy_are_since_they_hold_none(monkeypatch):
    monkeypatch.setattr(positions, "VERSION", 2)
    assert changed_rules(position(figures=1), RULES) == ""
    assert renewed_position(position(figures=1), RULES).figures == 2


@pytest.mark.parametrize("figures", [1, 2])
def test_rows_of_before_a_figure_that_counts_what_they_hold_are_not(monkeypatch, figures):
    """A correction would take back what was never added."""
    monkeypatch.setattr(positions, "VERSION", 3)
    assert changed_rules(position(figures=figures), RULES) == "figures and tables: 2, now 3"
    assert changed_rules(position(figures=3), RULES) == ""


def test_rows_of_a_newer_version_are_refused():
    with pytest.raises(FormatError, match="run the version of crm-stats that wrote them"):
        changed_rules(position(figures=VERSION + 1), RULES)
