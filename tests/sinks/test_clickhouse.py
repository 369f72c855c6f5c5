"""ClickHouse 18.16 holds what the view holds, and as-of never speaks for rows that are gone."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from clickhouse_driver.errors import ServerException

from stream_app.domain.cells import CellKey, Group
from stream_app.domain.events import ALL
from stream_app.domain.figures import FIGURES
from stream_app.domain.local_time import month_add
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.ports.sinks import Dirty
from tests.sinks.conftest import DATABASE
from tests.support.fake_view import AS_OF, MONTH, STRANGE, TODAY, FakeView, example
from tests.support.waiting import until

MONTHS = f"{DATABASE}.{MONTHLY.clickhouse_table}"
DAYS = f"{DATABASE}.{HALF_HOUR.clickhouse_table}"


async def fill(sink, view, as_of_ms=1_795_507_200_999):
    dirty = await sink.compare(view)
    await sink.write([(view, dirty)])
    assert await sink.write_as_of({view.partition: as_of_ms}) == set()
    return dirty


def only(table, keys, operators=()):
    """These cells of one table are dirty, and these operators."""
    return Dirty({each.name: set(keys) if each is table else set() for each in TABLES}, set(operators))


async def test_the_rows_are_the_contract_s(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    ((*row,),) = raw_clickhouse.execute(
        f"SELECT * FROM {MONTHS}_current WHERE operator_id = 'M1' AND group_id = 'ALL' AND currency = 'EUR' AND stat_month = '2026-10-01'"
    )
    assert row == [
        "M1",
        ALL,
        date(2026, 10, 1),
        "EUR",
        Decimal("1230.00"),
        Decimal("12.00"),
        Decimal("4.50"),
        101,
        40,
        Decimal("30.50"),  # (1230.00 - 9.99) / 40
        120,
        44,
        Decimal("2.57"),
        Decimal("2345.678"),
        Decimal("52.273"),  # (2345.678 - 45.678) / 44
        Decimal("9.99"),
        7,
        Decimal("45.678"),
        3,
        datetime.fromtimestamp((AS_OF + 499) // 1000, UTC),
        499,
    ]
    names = [name for name, *_ in raw_clickhouse.execute(f"DESCRIBE TABLE {MONTHS}_current")]
    place, origin = ["operator_id", "group_id", "stat_month", "currency"], ["partition", "as_of", "version"]
    assert names == [*place, *(figure.column for figure in FIGURES), *origin]
    assert names == [name for name, *_ in raw_clickhouse.execute(f"DESCRIBE TABLE {MONTHS}")]
    assert raw_clickhouse.execute(f"SELECT count(), sum(charge_count), uniqExact(stat_date) FROM {DAYS}_current") == [
        (48 * 95, 92 * 3 + sum(range(92)) + 3 + 1, 92)
    ]
    assert raw_clickhouse.execute(
        f"SELECT * FROM {DAYS}_current WHERE operator_id = 'M1' AND group_id = 'vip' AND slot = 12"
    ) == [("M1", "vip", date(2026, 10, 15), 12, 3, 3, datetime.fromtimestamp((AS_OF + 555) // 1000, UTC), 555)]
    assert raw_clickhouse.execute(f"SELECT partition, as_of FROM {DATABASE}.ads_operation_crm_as_of") == [
        (3, datetime(2026, 11, 24, 8, tzinfo=UTC))
    ]


async def test_usage_is_the_same_in_each_currency(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    assert raw_clickhouse.execute(
        f"SELECT currency, received_amount, session_count, per_capita_frequency FROM {MONTHS}_current "
        "WHERE operator_id = 'M1' AND group_id = 'ALL' AND stat_month = '2026-11-01' ORDER BY currency"
    ) == [
        ("EUR", Decimal("10.01"), 10, Decimal("3.00")),
        ("JPY", Decimal(0), 10, Decimal("3.00")),
        ("USD", Decimal("0.05"), 10, Decimal("3.00")),
    ]


async def test_amounts_are_exact(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    found = raw_clickhouse.execute(
        f"SELECT toString(received_amount) FROM {MONTHS}_current WHERE operator_id = %(o)s AND group_id = 'ALL'",
        {"o": STRANGE},
    )
    assert Decimal(found[0][0]) == Decimal(2**62 - 1) / 1000


async def test_a_filled_clickhouse_is_not_dirty_and_a_difference_is(clickhouse_sink, raw_clickhouse):
    view = example()
    dirty = await fill(clickhouse_sink, view)
    assert dirty == view.everything()
    assert not await clickhouse_sink.compare(view)
    view.set_month("M1", ALL, MONTH, 601, [11, 3, 1], EUR=[1] * 6, USD=[0] * 6, JPY=[0] * 6)
    dirty = await clickhouse_sink.compare(view)
    assert dirty == only(MONTHLY, {key for key in view.months if key.operator == "M1"})
    await clickhouse_sink.write([(view, dirty)])
    view.set_day(STRANGE, ALL, TODAY - 1, 2**52 + 2, {1: 1})
    view.known["yen"].timezone = "UTC"
    view.named["M1"]["new"] = Group(name="new")
    dirty = await clickhouse_sink.compare(view)
    assert dirty == only(HALF_HOUR, {key for key in view.days if key.operator == STRANGE}, {"yen", "M1"})
    await clickhouse_sink.write([(view, dirty)])
    assert not await clickhouse_sink.compare(view)


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        (MONTHLY, "energy_kwh = toDecimal128(0, 3)", "1"),
        (MONTHLY, "per_capita_energy = toDecimal128(0, 3)", "group_id = 'ALL'"),
        (MONTHLY, "payment_count = payment_count + 1", "stat_month = '2026-08-01'"),
        (HALF_HOUR, "charge_count = 0", "slot = 47"),
    ],
)
async def test_a_column_that_holds_something_else_is_seen_and_written(
    clickhouse_sink, raw_clickhouse, table, column, where
):
    """Though rows and versions are all there: equal versions are replaced by what is inserted last."""
    view = example()
    await fill(clickhouse_sink, view)
    name = f"{DATABASE}.{table.clickhouse_table}"
    raw_clickhouse.execute(f"ALTER TABLE {name} UPDATE {column} WHERE operator_id = 'M1' AND {where}")
    while raw_clickhouse.execute(f"SELECT count() FROM system.mutations WHERE NOT is_done AND database = '{DATABASE}'")[
        0
    ] != (0,):
        raw_clickhouse.execute("SELECT sleep(0.05)")
    dirty = await clickhouse_sink.compare(view)
    assert dirty == only(table, {key for key in view.stored[table.name] if key.operator == "M1"})
    await clickhouse_sink.write([(view, dirty)])
    assert not await clickhouse_sink.compare(view)
    raw_clickhouse.execute(f"OPTIMIZE TABLE {name} FINAL")
    assert not await clickhouse_sink.compare(view)


async def test_operators_that_keep_different_months_are_compared_by_theirs(clickhouse_sink, clickhouse_reader):
    """Where a month begins earlier, one less is kept for some hours; what ClickHouse has of it does not count."""
    view = example()
    for operator in ("early", "late"):
        view.add_operator(operator)
        for month in range(13):
            view.set_month(operator, ALL, month_add(MONTH, -month), 100 + month, [1, 1, 0], EUR=[1, 0, 0, 1, 1, 0])
    await fill(clickhouse_sink, view)
    gone = CellKey("early", ALL, month_add(MONTH, -12))
    del view.months[gone]
    view.known["early"].first_month = month_add(MONTH, -11)
    assert await clickhouse_sink.compare(view) == Dirty(operators={"early"})
    view.months[gone._replace(operator="late")].payments["EUR"][0] += 1
    dirty = await clickhouse_sink.compare(view)
    assert dirty == only(MONTHLY, {key for key in view.months if key.operator == "late"}, {"early"})


async def test_an_operator_whose_month_begins_during_the_comparison_is_dirty(clickhouse_sink):
    view = example()
    await fill(clickhouse_sink, view)
    comparison = asyncio.create_task(clickhouse_sink.compare(view))
    await asyncio.sleep(0)  # it waits for ClickHouse now
    view.known["yen"].first_month = month_add(MONTH, -11)
    assert await comparison == only(MONTHLY, {key for key in view.months if key.operator == "yen"}, {"yen"})


async def test_a_change_replaces_its_row_and_a_writer_that_is_behind_does_not(clickhouse_sink, raw_clickhouse):
    behind, view = example(), example()
    await fill(clickhouse_sink, view)
    key = view.set_month("M1", "vip", MONTH, 700, [5, 2, 0], EUR=[200, 0, 0, 1, 1, 0])
    await clickhouse_sink.write([(view, only(MONTHLY, {key}))])
    question = f"SELECT session_count, version FROM {MONTHS}_current WHERE operator_id = 'M1' AND group_id = 'vip'"
    assert raw_clickhouse.execute(question) == [(5, 700)]
    await clickhouse_sink.write([(behind, behind.everything())])
    assert raw_clickhouse.execute(question) == [(5, 700)]
    raw_clickhouse.execute(f"OPTIMIZE TABLE {MONTHS} FINAL")
    assert raw_clickhouse.execute(question) == [(5, 700)]


async def test_cells_that_left_retention_stay_as_they_were(clickhouse_sink, clickhouse_reader):
    view = example()
    await fill(clickhouse_sink, view)
    known = await clickhouse_reader.operator("M1")
    first = month_add(MONTH, -12)
    before = await clickhouse_reader.figures(MONTHLY, "M1", known, ALL, [first], "EUR")
    key = next(key for key in view.months if key == ("M1", ALL, first))
    del view.months[key]
    view.known["M1"].first_month = month_add(first, 1)
    await clickhouse_sink.write([(view, only(MONTHLY, {key}, {"M1"}))])
    assert not await clickhouse_sink.compare(view)
    known = await clickhouse_reader.operator("M1")
    assert known.operator.first_month == month_add(first, 1)
    after = await clickhouse_reader.figures(MONTHLY, "M1", known, ALL, [first], "EUR")
    assert after == before
    assert after["months"][0]["paymentCount"] == 101
    assert after["version"] == 600


async def test_groups_that_are_gone_are_not_shown_any_more(clickhouse_sink, clickhouse_reader):
    view = example()
    view.set_month("M1", "old", month_add(MONTH, -12), 400, [1, 1, 0])
    await fill(clickhouse_sink, view)
    assert await clickhouse_reader.groups("M1") == {ALL: None, "named": "Only a name", "old": None, "vip": None}
    view.known["M1"].first_month = month_add(MONTH, -11)
    del view.months[CellKey("M1", ALL, month_add(MONTH, -12))]
    await clickhouse_sink.write([(view, view.drop_group("M1", "old"))])
    assert await clickhouse_reader.groups("M1") == {ALL: None, "named": "Only a name", "vip": None}
    assert not await clickhouse_sink.compare(view)


@pytest.mark.parametrize("lost", ["monthly", "charging_distri", "operators", "groups"])
@pytest.mark.parametrize("how", ["DROP TABLE", "TRUNCATE TABLE", "again"])
async def test_as_of_waits_for_lost_rows(clickhouse_sink, raw_clickhouse, lost, how):
    view, other = example(), FakeView(4)
    other.add_operator("other")
    await fill(clickhouse_sink, view)
    await fill(clickhouse_sink, other)
    table = f"{DATABASE}.ads_operation_crm_{lost}"
    if how == "again":  # by another worker, which also filled it with rows of its own
        raw_clickhouse.execute("SELECT sleep(1.1)")  # the time of making a table is known to the second
        raw_clickhouse.execute(f"DROP TABLE {table}")
        other.add_operator("new")
        other.set_month("new", ALL, MONTH, 1, [1, 1, 0])
        other.set_day("new", ALL, TODAY, 1, {1: 1})
        await fill(clickhouse_sink, other)
        assert await clickhouse_sink.write_as_of({3: 1_795_507_300_000, 4: 1_795_507_300_000}) == {3}
    else:
        raw_clickhouse.execute(f"{how} {table}")
        assert await clickhouse_sink.write_as_of({3: 1_795_507_300_000, 5: 1}) == {3, 5}
    assert raw_clickhouse.execute(f"SELECT max(as_of) FROM {DATABASE}.ads_operation_crm_as_of WHERE partition = 3") == [
        (datetime(2026, 11, 24, 8, tzinfo=UTC),)
    ]
    assert await fill(clickhouse_sink, view)
    assert not await clickhouse_sink.compare(view)


async def test_merges_and_inserts_are_no_loss(clickhouse_sink, raw_clickhouse):
    view = example()
    await fill(clickhouse_sink, view)
    for version in range(700, 705):
        key = view.set_month("M1", ALL, MONTH, version, [1, 1, 0], EUR=[1] * 6)
        await clickhouse_sink.write([(view, only(MONTHLY, {key}))])
        raw_clickhouse.execute(f"OPTIMIZE TABLE {MONTHS} FINAL")
        assert await clickhouse_sink.write_as_of({3: 1_795_507_200_000 + version * 1000}) == set()


async def test_a_dropped_database_is_an_error_until_it_is_compared(clickhouse_sink, raw_clickhouse):
    view = example()
    await fill(clickhouse_sink, view)
    raw_clickhouse.execute(f"DROP DATABASE {DATABASE}")
    with pytest.raises(ServerException) as refused:
        await clickhouse_sink.write([(view, view.everything())])
    assert DATABASE in str(refused.value)
    assert "Stack trace" not in str(refused.value)
    assert await clickhouse_sink.write_as_of({3: 1}) == {3}
    assert await fill(clickhouse_sink, view) == view.everything()
    assert not await clickhouse_sink.compare(view)


async def test_many_cells_go_in_chunks(clickhouse_sink, raw_clickhouse):
    view = FakeView()
    view.add_operator("big")
    for group in range(300):
        for month in range(13):
            view.set_month(
                "big", f"g{group:03}", month_add(MONTH, -month), group * 13 + month, [1, 1, 0], EUR=[group] * 6
            )
    for group in range(30):
        for day in range(92):
            view.set_day("big", f"g{group:03}", TODAY - day, 1 + group, {group: day})
    await fill(clickhouse_sink, view)
    assert not await clickhouse_sink.compare(view)
    assert raw_clickhouse.execute(f"SELECT count(), sum(version) FROM {MONTHS}_current") == [(3900, sum(range(3900)))]
    assert raw_clickhouse.execute(f"SELECT count() FROM {DAYS}_current") == [(30 * 92 * 48,)]


async def test_as_of_of_partitions_that_are_no_more_is_dropped(clickhouse_sink, clickhouse_sink_of, raw_clickhouse):
    """Of a generation with more partitions: else the least as-of would stand still for ever."""
    await fill(clickhouse_sink, example())
    newer = clickhouse_sink_of(2, generation=2)
    for partition in (0, 1):
        await fill(newer, FakeView(partition), 1_795_507_300_000)
    assert await newer.write_as_of({0: 1_795_507_300_000, 1: 1_795_507_300_000}) == set()

    def partitions():
        return raw_clickhouse.execute(f"SELECT DISTINCT partition FROM {DATABASE}.ads_operation_crm_as_of")

    await until("as-of of partition 3 is gone", lambda: sorted(partitions()) == [(0,), (1,)])
