"""ClickHouse 18.16 gets only dates that its Date has, and no more months at once than it takes."""

from datetime import date, timedelta

from stream_app.domain.cells import CellKey
from stream_app.domain.events import ALL
from stream_app.domain.local_time import EPOCH, day_of, month_add
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from tests.sinks.conftest import DATABASE
from tests.support.fake_view import MONTH, TODAY, FakeView

MONTHS = f"{DATABASE}.{MONTHLY.clickhouse_table}"
DAYS = f"{DATABASE}.{HALF_HOUR.clickhouse_table}"


async def fill(sink, view):
    await sink.write([(view, await sink.compare(view))])


async def test_dates_that_a_date_cannot_hold_stay_away(clickhouse_sink, raw_clickhouse):
    """Before 1970, as the first hours of a stream clock are in the west, and after 2105: no row, no other date, and no lasting difference."""
    view = FakeView()
    view.add_operator("M1")
    view.known["M1"].today, view.known["M1"].first_day, view.known["M1"].first_month = -1, -92, 196812
    kept = [CellKey("M1", ALL, 197001), CellKey("M1", ALL, 202611), CellKey("M1", ALL, 210512)]
    for month in (196912, *(key.period for key in kept), 210601, 999912):
        view.set_month("M1", ALL, month, 7, [1, 0], EUR=[5, 0, 0, 1])
    days = [0, TODAY, day_of(date(2105, 12, 31))]
    for day in (-1, *days, day_of(date(2106, 1, 1)), day_of(date(9999, 12, 31))):
        view.set_day("M1", ALL, day, 7, {3: 1})
    await fill(clickhouse_sink, view)
    assert raw_clickhouse.execute(f"SELECT stat_month, version FROM {MONTHS} ORDER BY stat_month") == [
        (date(1970, 1, 1), 7),
        (date(2026, 11, 1), 7),
        (date(2105, 12, 1), 7),
    ]
    assert raw_clickhouse.execute(f"SELECT DISTINCT stat_date FROM {DAYS} ORDER BY stat_date") == [
        (EPOCH + timedelta(days=day),) for day in days
    ]
    assert raw_clickhouse.execute(
        f"SELECT today, first_month, first_day FROM {DATABASE}.ads_operation_crm_operators"
    ) == [(EPOCH, EPOCH, EPOCH)]
    assert not await clickhouse_sink.compare(view)


async def test_cells_of_any_number_of_months_are_inserted(clickhouse_sink, raw_clickhouse):
    """ClickHouse refuses an insert into more than 100 of its partitions; until a clock record comes, all months are kept."""
    view = FakeView()
    view.add_operator("M1")
    view.known["M1"].first_month = 0
    for number in range(250):
        view.set_month("M1", ALL, month_add(MONTH, -number), 7, [1, 0], EUR=[5, 0, 0, 1])
        view.set_day("M1", ALL, TODAY - 31 * number, 7, {3: 1})
    await fill(clickhouse_sink, view)
    assert raw_clickhouse.execute(f"SELECT count() FROM {MONTHS}") == [(250,)]
    assert raw_clickhouse.execute(f"SELECT count(DISTINCT stat_date) FROM {DAYS}") == [(250,)]
