"""Redis alone and ClickHouse alone give the same answers, versions included."""

from random import Random

import orjson
import pytest

from stream_app.domain.events import ALL
from stream_app.domain.figures import MONEY
from stream_app.domain.report import groups_data
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES, FigureTable
from tests.support.fake_view import STRANGE, FakeView, example


@pytest.fixture
async def view(redis_sink, clickhouse_sink):
    view = example()
    for sink in (redis_sink, clickhouse_sink):
        await sink.write([(view, await sink.compare(view))])
        assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
    return view


async def assert_same(view, redis_reader, clickhouse_reader) -> int:
    """The default answers of all tables and groups of a view; returns how many there are."""
    compared = 0
    for operator_id in view.operators():
        known = await clickhouse_reader.operator(operator_id)
        assert known.partition == view.partition
        for group in view.groups(operator_id):
            for table in TABLES:
                stored, as_of = await redis_reader.document(table, operator_id, group)
                if stored is None:
                    assert not await clickhouse_reader.has_documents(operator_id, known, group)
                    continue
                periods = table.default_periods(known.operator)
                if isinstance(table, FigureTable):
                    own = known.operator.currency
                    asked = await clickhouse_reader.figures(table, operator_id, known, group, periods, own)
                else:
                    asked = await clickhouse_reader.counts(table, operator_id, known, group, periods)
                assert orjson.dumps(asked) == stored.with_as_of(as_of[view.partition])
                compared += 1
    return compared


async def test_default_answers(view, redis_reader, clickhouse_reader):
    assert await assert_same(view, redis_reader, clickhouse_reader) == 6 * len(TABLES)


@pytest.mark.parametrize("seed", range(5))
async def test_default_answers_of_any_view(seed, redis_sink, clickhouse_sink, redis_reader, clickhouse_reader):
    dice, view = Random(seed), FakeView(7)
    for operator_id in ("a", "b|", "c'"):
        view.add_operator(operator_id, currency=dice.choice(["EUR", "JPY", "KWD"]))
        for group in (ALL, "g{1}", "g\\2"):
            for month in MONTHLY.default_periods(view.known[operator_id]):
                if dice.random() < 0.7:
                    money = {
                        currency: [
                            dice.randrange(2**90 if figure.unit is MONEY else 10**9) for figure in PAYMENT_SUMS.figures
                        ]
                        for currency in ("EUR", "USD", "JPY", "KWD")
                        if dice.random() < 0.5
                    }
                    sessions = [dice.randrange(10**6) for _ in range(SESSION_SUMS.size)]
                    view.set_month(operator_id, group, month, dice.randrange(2**53), sessions, **money)
            for day in HALF_HOUR.default_periods(view.known[operator_id]):
                if dice.random() < 0.3:
                    view.set_day(
                        operator_id, group, day, dice.randrange(2**53), {dice.randrange(48): dice.randrange(99)}
                    )
    for sink in (redis_sink, clickhouse_sink):
        await sink.write([(view, await sink.compare(view))])
        assert await sink.write_as_of({7: 1_795_507_200_000}) == set()
        assert not await sink.compare(view)
    assert await assert_same(view, redis_reader, clickhouse_reader)


async def test_groups_and_operators(view, redis_reader, clickhouse_reader):
    for operator_id in view.operators():
        document, _ = await redis_reader.groups(operator_id)
        assert orjson.dumps(groups_data(await clickhouse_reader.groups(operator_id))) == document
    entries, as_of = await redis_reader.operators()
    asked = await clickhouse_reader.operators()
    assert {name: orjson.dumps(entry) for name, entry in asked.items()} == entries
    assert await clickhouse_reader.as_of_ms() == {3: 1_795_507_200_000}
    assert as_of == {3: "2026-11-24T08:00:00.000Z"}


async def test_what_nobody_knows(view, redis_reader, clickhouse_reader):
    assert await clickhouse_reader.operator("nobody") is None
    assert await clickhouse_reader.groups("nobody") == {}
    known = await clickhouse_reader.operator("M1")
    found = await clickhouse_reader.figures(MONTHLY, "M1", known, "nobody", [202611], "EUR")
    assert (found["version"], found["months"][0]["receivedAmount"]) == (0, "0.00")


async def test_other_questions(view, clickhouse_reader):
    known = await clickhouse_reader.operator("M1")
    found = await clickhouse_reader.figures(MONTHLY, "M1", known, ALL, [202611, 202512], "USD")
    assert [month["month"] for month in found["months"]] == ["2026-11", "2025-12"]
    assert [month["receivedAmount"] for month in found["months"]] == ["0.05", "0.00"]
    assert found["currencies"] == ["EUR", "USD"]
    assert found["version"] == 600
    today = known.operator.today
    found = await clickhouse_reader.counts(HALF_HOUR, "M1", known, "vip", range(today - 40, today - 38))
    assert (found["from"], found["to"], found["total"], found["version"]) == ("2026-10-15", "2026-10-16", 3, 555)
    assert found["slots"][12]["chargeCount"] == 3


async def test_ids_of_any_characters(view, clickhouse_reader):
    known = await clickhouse_reader.operator(STRANGE)
    assert known.operator.name == STRANGE
    found = await clickhouse_reader.figures(MONTHLY, STRANGE, known, STRANGE, [202611], "KWD")
    assert found["months"][0]["receivedAmount"] == f"{(2**62 - 1) // 1000}.{(2**62 - 1) % 1000:03d}"
