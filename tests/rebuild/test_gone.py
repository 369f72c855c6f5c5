"""What is gone with a generation: tombstones in results topics, and cells of zeros for ClickHouse."""

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.events import ALL
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats.murmur2 import partition_for
from stream_app.rebuild.gone import GoneCells, tombstones
from stream_app.sinks.topics import ResultRecords
from tests.support.fake_view import MONTH, TODAY, FakeView

MONTH_TEXT, DAY_TEXT = MONTHLY.period.text(MONTH), HALF_HOUR.period.text(TODAY)
EUR, CHF = (("monthly", f"M1|ALL|{MONTH_TEXT}|{currency}".encode()) for currency in ("EUR", "CHF"))
VIP = ("monthly", f"M1|vip|{MONTH_TEXT}|EUR".encode())
HALF_HOURS = ("half_hour", f"M1|vip|{DAY_TEXT}".encode())
ALL_KEY, VIP_KEY, DAY_KEY = CellKey("M1", ALL, MONTH), CellKey("M1", "vip", MONTH), CellKey("M1", "vip", TODAY)
SESSIONS = [3, 2, 1, 700, 100]


@pytest.fixture
def view() -> FakeView:
    """The new generation's: ALL has its month, vip has nothing."""
    view = FakeView()
    view.add_operator("M1")
    view.set_month("M1", ALL, MONTH, 500, SESSIONS, EUR=[100, 0, 0, 1, 1, 0])
    return view


@pytest.mark.parametrize("currencies", [{"EUR"}, {"EUR", "CHF"}])
def test_figures_that_are_gone_are_zeros(currencies, view):
    """In each currency that they were shown in."""
    names = [("monthly", VIP[1].replace(b"EUR", currency.encode())) for currency in sorted(currencies)]
    gone = GoneCells(view, names, 900, 1000)
    (cell,) = gone.cells(MONTHLY, [VIP_KEY])
    assert (cell.version, cell.as_of) == (900, 1000)
    assert cell.payments == dict.fromkeys(currencies, PAYMENT_SUMS.zeros())
    assert cell.sessions == SESSION_SUMS.zeros()
    assert gone.dirty.cells == {"monthly": {VIP_KEY}, "half_hour": set()}


def test_counts_that_are_gone_are_zeros(view):
    """In each slot."""
    gone = GoneCells(view, [HALF_HOURS, VIP], 900, 1000)
    (cell,) = gone.cells(HALF_HOUR, [DAY_KEY])
    assert (cell.version, cell.as_of, cell.slots) == (900, 1000, [0] * 48)
    assert gone.dirty.cells == {"monthly": {VIP_KEY}, "half_hour": {DAY_KEY}}


def test_the_rest_of_the_view_is_the_new_generations(view):
    """But for a scan, which would compare cells that are only to be written."""
    gone = GoneCells(view, [VIP], 900, 1000)
    assert list(gone.operators()) == ["M1"]
    assert gone.operator("M1") is view.operator("M1")
    assert gone.groups("M1") == view.groups("M1")
    assert gone.partition == view.partition
    assert list(gone.scan_cells(MONTHLY, "M1")) == []


def test_documents_of_groups_that_are_gone_are_removed_and_no_others(view):
    """vip is not known to the new generation; ALL always has documents."""
    gone = GoneCells(view, [VIP, HALF_HOURS, CHF], 900, 1000)
    assert gone.without_documents().cells == {"monthly": {VIP_KEY}, "half_hour": {DAY_KEY}}


def test_records_that_are_gone_get_a_tombstone_where_they_stood():
    """In their topic and partition, above their last version."""
    found = tombstones(
        [EUR, CHF, HALF_HOURS],
        {"monthly": ("months", 7), "half_hour": ("days", 3)},
        ResultRecords("t", "/t"),
        900,
        1000,
    )
    places = {(topic, partition, record.key) for (topic, partition), some in found.items() for record in some}
    assert places == {
        *(("months", partition_for(key, 7), key) for _, key in (EUR, CHF)),
        ("days", partition_for(HALF_HOURS[1], 3), HALF_HOURS[1]),
    }
    for some in found.values():
        for record in some:
            assert record.value is None
            assert dict(record.headers)["ce_id"] == record.key + b"@900"
