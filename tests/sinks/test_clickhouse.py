"""ClickHouse 18.16 holds what the view holds, and as-of never speaks for rows that are gone."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from clickhouse_driver.errors import ServerException

from stream_app.domain.cells import Group, MonthlyKey
from stream_app.domain.events import ALL
from stream_app.domain.local_time import month_add
from stream_app.ports.sinks import Dirty
from tests.sinks.conftest import DATABASE
from tests.support.fake_view import AS_OF, MONTH, STRANGE, TODAY, FakeView, example

MONTHLY = f"{DATABASE}.ads_operation_crm_monthly"
DISTRIBUTION = f"{DATABASE}.ads_operation_crm_charging_distri"


async def fill(sink, view, as_of_ms=1_795_507_200_999):
    dirty = await sink.compare(view)
    await sink.write([(view, dirty)])
    assert await sink.write_as_of({view.partition: as_of_ms}) == set()
    return dirty


async def test_the_rows_are_the_contract_s(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    ((*row,),) = raw_clickhouse.execute(
        f"SELECT * FROM {MONTHLY}_current WHERE operator_id = 'M1' AND group_id = 'ALL' AND currency = 'EUR' AND stat_month = '2026-10-01'"
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
        Decimal("9.99"),
        7,
        3,
        datetime.fromtimestamp((AS_OF + 499) // 1000, UTC),
        499,
    ]
    names = [name for name, *_ in raw_clickhouse.execute(f"DESCRIBE TABLE {MONTHLY}_current")]
    assert names == [
        *(
            "operator_id",
            "group_id",
            "stat_month",
            "currency",
            "received_amount",
            "discount_amount",
            "refunded_amount",
            "payment_count",
        ),
        *(
            "paying_customers",
            "per_capita_payment",
            "session_count",
            "charging_customers",
            "per_capita_frequency",
            "anonymous_amount",
        ),
        *("anonymous_session_count", "partition", "as_of", "version"),
    ]
    assert raw_clickhouse.execute(
        f"SELECT count(), sum(charge_count), uniqExact(stat_date) FROM {DISTRIBUTION}_current"
    ) == [(48 * 95, 92 * 3 + sum(range(92)) + 3 + 1, 92)]
    assert raw_clickhouse.execute(
        f"SELECT * FROM {DISTRIBUTION}_current WHERE operator_id = 'M1' AND group_id = 'vip' AND slot = 12"
    ) == [("M1", "vip", date(2026, 10, 15), 12, 3, 3, datetime.fromtimestamp((AS_OF + 555) // 1000, UTC), 555)]
    assert raw_clickhouse.execute(f"SELECT partition, as_of FROM {DATABASE}.ads_operation_crm_as_of") == [
        (3, datetime(2026, 11, 24, 8, tzinfo=UTC))
    ]


async def test_usage_is_the_same_in_each_currency(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    assert raw_clickhouse.execute(
        f"SELECT currency, received_amount, session_count, per_capita_frequency FROM {MONTHLY}_current "
        "WHERE operator_id = 'M1' AND group_id = 'ALL' AND stat_month = '2026-11-01' ORDER BY currency"
    ) == [
        ("EUR", Decimal("10.01"), 10, Decimal("3.00")),
        ("JPY", Decimal(0), 10, Decimal("3.00")),
        ("USD", Decimal("0.05"), 10, Decimal("3.00")),
    ]


async def test_amounts_are_exact(clickhouse_sink, raw_clickhouse):
    await fill(clickhouse_sink, example())
    found = raw_clickhouse.execute(
        f"SELECT toString(received_amount) FROM {MONTHLY}_current WHERE operator_id = %(o)s AND group_id = 'ALL'",
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
    assert dirty.monthly == {key for key in view.months if key.operator == "M1"}
    assert not dirty.half_hour
    assert not dirty.operators
    await clickhouse_sink.write([(view, dirty)])
    view.set_day(STRANGE, ALL, TODAY - 1, 2**52 + 2, {1: 1})
    view.known["yen"].timezone = "UTC"
    view.named["M1"]["new"] = Group(name="new")
    dirty = await clickhouse_sink.compare(view)
    assert dirty == Dirty(half_hour={key for key in view.days if key.operator == STRANGE}, operators={"yen", "M1"})
    await clickhouse_sink.write([(view, dirty)])
    assert not await clickhouse_sink.compare(view)


async def test_a_change_replaces_its_row_and_a_writer_that_is_behind_does_not(clickhouse_sink, raw_clickhouse):
    behind, view = example(), example()
    await fill(clickhouse_sink, view)
    key = view.set_month("M1", "vip", MONTH, 700, [5, 2, 0], EUR=[200, 0, 0, 1, 1, 0])
    await clickhouse_sink.write([(view, Dirty(monthly={key}))])
    question = f"SELECT session_count, version FROM {MONTHLY}_current WHERE operator_id = 'M1' AND group_id = 'vip'"
    assert raw_clickhouse.execute(question) == [(5, 700)]
    await clickhouse_sink.write([(behind, behind.everything())])
    assert raw_clickhouse.execute(question) == [(5, 700)]
    raw_clickhouse.execute(f"OPTIMIZE TABLE {MONTHLY} FINAL")
    assert raw_clickhouse.execute(question) == [(5, 700)]


async def test_cells_that_left_retention_stay_as_they_were(clickhouse_sink, clickhouse_reader):
    view = example()
    await fill(clickhouse_sink, view)
    known = await clickhouse_reader.operator("M1")
    first = month_add(MONTH, -12)
    before = await clickhouse_reader.monthly("M1", known, ALL, [first], "EUR")
    key = next(key for key in view.months if key == ("M1", ALL, first))
    del view.months[key]
    view.known["M1"].first_month = month_add(first, 1)
    await clickhouse_sink.write([(view, Dirty(monthly={key}, operators={"M1"}))])
    assert not await clickhouse_sink.compare(view)
    known = await clickhouse_reader.operator("M1")
    assert known.operator.first_month == month_add(first, 1)
    after = await clickhouse_reader.monthly("M1", known, ALL, [first], "EUR")
    assert after == before
    assert after["months"][0]["paymentCount"] == 101
    assert after["version"] == 600


async def test_groups_that_are_gone_are_not_shown_any_more(clickhouse_sink, clickhouse_reader):
    view = example()
    view.set_month("M1", "old", month_add(MONTH, -12), 400, [1, 1, 0])
    await fill(clickhouse_sink, view)
    assert await clickhouse_reader.groups("M1") == {ALL: None, "named": "Only a name", "old": None, "vip": None}
    view.known["M1"].first_month = month_add(MONTH, -11)
    del view.months[MonthlyKey("M1", ALL, month_add(MONTH, -12))]
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
        await clickhouse_sink.write([(view, Dirty(monthly={key}))])
        raw_clickhouse.execute(f"OPTIMIZE TABLE {MONTHLY} FINAL")
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
    assert raw_clickhouse.execute(f"SELECT count(), sum(version) FROM {MONTHLY}_current") == [(3900, sum(range(3900)))]
    assert raw_clickhouse.execute(f"SELECT count() FROM {DISTRIBUTION}_current") == [(30 * 92 * 48,)]
