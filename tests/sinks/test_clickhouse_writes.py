"""What ClickHouse 18.16 answers is of one state, whenever it is asked: nothing is answered while rows are being written."""

import pytest
from clickhouse_driver.errors import ServerException

from stream_app.domain.events import ALL
from stream_app.domain.local_time import month_add
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.ports.sinks import Dirty
from stream_app.sinks import clickhouse
from stream_app.sinks.clickhouse_writes import WriteUnderWay
from tests.sinks.conftest import DATABASE
from tests.sinks.test_clickhouse import fill
from tests.support.fake_view import MONTH, TODAY, example

MONTHS = [month_add(MONTH, -month) for month in range(6)]
DAYS = list(range(TODAY - 29, TODAY + 1))


async def answers(reader):
    """The default answers about an operator, but for as-of."""
    known = await reader.operator("M1")
    months = await reader.figures(MONTHLY, "M1", known, ALL, MONTHS, known.operator.currency)
    days = await reader.counts(HALF_HOUR, "M1", known, ALL, DAYS)
    return {**months, "asOf": ""}, {**days, "asOf": ""}


def change(view, version):
    """An event of two months, two days and another currency, at a version of the partition; says what is dirty."""
    view.version, dirty = version, Dirty(operators={"M1"})
    view.known["M1"].currency = "USD" if view.known["M1"].currency == "EUR" else "EUR"
    for months, days in ((0, 0), (2, 28)):
        sessions, payments = [version, 1, 0], {"EUR": [version, 0, 0, 1, 1, 0], "USD": [0] * 6, "JPY": [0] * 6}
        dirty.cells[MONTHLY.name].add(view.set_month("M1", ALL, MONTH - months, version, sessions, **payments))
        dirty.cells[HALF_HOUR.name].add(view.set_day("M1", ALL, TODAY - days, version, {months: version}))
    return dirty


@pytest.fixture
async def view(clickhouse_sink):
    """ClickHouse has it."""
    made = example()
    made.version = 700
    await fill(clickhouse_sink, made)
    return made


@pytest.fixture
def between(clickhouse_sink, monkeypatch):
    """Has something done behind each insert of the sink."""

    def do(work):
        insert = clickhouse_sink._insert

        async def insert_and_do(statement, *inserted):
            await insert(statement, *inserted)
            await work(statement)

        monkeypatch.setattr(clickhouse_sink, "_insert", insert_and_do)

    return do


async def test_between_any_two_inserts_there_is_no_answer_or_one_of_one_state(
    clickhouse_sink, clickhouse_reader, view, between
):
    before, seen = await answers(clickhouse_reader), []

    async def read(statement):
        try:
            seen.append(await answers(clickhouse_reader))
        except WriteUnderWay:
            seen.append(None)

    between(read)
    await clickhouse_sink.write([(view, change(view, 800))])
    after = await answers(clickhouse_reader)
    assert [found["version"] for found in (*before, *after)] == [600, 600, 800, 800]
    assert [found for found in seen if found not in (None, before, after)] == []
    assert seen.count(None) >= 5
    assert seen[-1] == after


async def test_a_question_that_began_before_a_write_is_not_answered_of_two_states(
    clickhouse_sink, clickhouse_reader, view
):
    """Though the write has ended when its cells are read."""
    known = await clickhouse_reader.operator("M1")
    await clickhouse_sink.write([(view, change(view, 800))])
    with pytest.raises(WriteUnderWay):
        await clickhouse_reader.figures(MONTHLY, "M1", known, ALL, MONTHS, "EUR")
    with pytest.raises(WriteUnderWay):
        await clickhouse_reader.counts(HALF_HOUR, "M1", known, ALL, DAYS)


async def test_what_changes_during_a_write_goes_with_the_next(clickhouse_sink, clickhouse_reader, view, between):
    """As a whole: rows are those of the moment in which the write was called."""
    dirty, later = change(view, 800), []

    async def go_on(statement):
        if not later:
            later.append(change(view, 900))

    between(go_on)
    await clickhouse_sink.write([(view, dirty)])
    months, days = await answers(clickhouse_reader)
    assert (months["version"], months["currency"], days["version"]) == (800, "USD", 800)
    assert [month["sessionCount"] for month in months["months"]][:3:2] == [800, 800]
    assert [slot["chargeCount"] for slot in days["slots"]][:3:2] == [28 + 800, 800]  # 1 on each other day
    await clickhouse_sink.write([(view, later[0])])
    months, days = await answers(clickhouse_reader)
    assert (months["version"], months["currency"], days["version"]) == (900, "EUR", 900)


async def test_an_operator_of_too_many_cells_is_answered_once_none_of_them_changed_meanwhile(
    clickhouse_sink, clickhouse_reader, view, between, monkeypatch
):
    monkeypatch.setattr(clickhouse, "CELLS_HELD_MAX", 3)
    dirty, later = change(view, 800), []

    async def go_on(statement):
        if not later:
            later.append(change(view, 900))

    between(go_on)
    await clickhouse_sink.write([(view, dirty)])
    with pytest.raises(WriteUnderWay):
        await clickhouse_reader.operator("M1")
    await clickhouse_sink.write([(view, later[0])])
    months, days = await answers(clickhouse_reader)
    assert (months["version"], days["version"]) == (900, 900)


@pytest.mark.parametrize("inserts", range(6))
async def test_a_write_that_was_cut_off_is_finished_behind_the_next_comparison(
    clickhouse_sink, clickhouse_sink_of, clickhouse_reader, view, between, inserts
):
    """Also where its last mark alone was lost, and whoever owns the partition then."""
    left = [inserts]

    async def cut(statement):
        left[0] -= 1
        if left[0] < 0:
            raise ServerException("cut off", 0)

    between(cut)
    dirty = change(view, 800)
    with pytest.raises(ServerException):
        await clickhouse_sink.write([(view, dirty)])
    with pytest.raises(WriteUnderWay):
        await answers(clickhouse_reader)
    await fill(clickhouse_sink_of(8), view)
    months, days = await answers(clickhouse_reader)
    assert (months["version"], days["version"]) == (800, 800)
    assert not await clickhouse_sink.compare(view)


async def test_a_writer_that_lost_its_partition_finishes_no_write_of_the_next_owner(
    clickhouse_sink, clickhouse_sink_of, clickhouse_reader, raw_clickhouse, view, between
):
    behind, owner = example(), clickhouse_sink_of(8)
    behind.version = 750
    await owner.compare(view)
    seen = []

    async def zombie(statement):
        if not seen:
            seen.append("its write begins and ends in the middle")
            await owner.write([(behind, change(behind, 750))])
            with pytest.raises(WriteUnderWay):
                await clickhouse_reader.operator("M1")

    between(zombie)
    await clickhouse_sink.write([(view, change(view, 800))])
    assert seen
    months, _ = await answers(clickhouse_reader)
    assert months["version"] == 800


async def test_a_database_without_marks_is_answered(clickhouse_sink, clickhouse_reader, raw_clickhouse, view):
    """As one that no writer of this version has changed yet."""
    before = await answers(clickhouse_reader)
    raw_clickhouse.execute(f"TRUNCATE TABLE {DATABASE}.ads_operation_crm_writes")
    assert await answers(clickhouse_reader) == before
