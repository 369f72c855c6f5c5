"""While operators move to another number of partitions, ClickHouse claims no as-of that its rows have not reached."""

import pytest

from stream_app.domain.events import ALL
from stream_app.domain.tables import MONTHLY
from stream_app.formats.murmur2 import partition_for
from stream_app.sinks.clickhouse_moves import Moves
from tests.sinks.conftest import DATABASE
from tests.support.fake_view import MONTH, FakeView

OPERATORS = [f"o{n}" for n in range(12)]
REACHED = 9_000  # seconds: what rows of the new generation hold


def of_layout(count, generation, reached):
    """Views of all partitions; the payments of an operator's month are the second up to which its partition holds."""
    views = [FakeView(partition) for partition in range(count)]
    for view in views:
        view.version = generation << 40
    for operator in OPERATORS:
        view = views[partition_for(operator.encode(), count)]
        view.add_operator(operator)
        payments = [0, 0, 0, reached(view.partition), 0, 0]
        view.set_month(operator, ALL, MONTH, (generation << 40) - 1, [0, 0, 0], EUR=payments)
    return views


async def fill(sink, view, as_of_s):
    await sink.write([(view, await sink.compare(view))])
    return await sink.write_as_of({view.partition: as_of_s * 1000})


@pytest.fixture
def check(raw_clickhouse, clickhouse_reader):
    """Holds the as-of of each operator's partition against its rows, also while they are being written."""

    async def check():
        operators = raw_clickhouse.execute(
            f"SELECT operator_id, partition FROM {DATABASE}.ads_operation_crm_operators FINAL"
        )
        held = dict(
            raw_clickhouse.execute(
                f"SELECT operator_id, payment_count FROM {DATABASE}.{MONTHLY.clickhouse_table}_current"
            )
        )
        assert {operator for operator, _ in operators} == set(OPERATORS) == held.keys()
        as_of_ms = await clickhouse_reader.as_of_ms()
        for operator, partition in operators:
            assert 1_000 <= as_of_ms.get(partition, 0) // 1000 <= held[operator], (operator, partition)

    return check


@pytest.mark.parametrize(("before", "after"), [(2, 5), (5, 2)])
async def test_another_number_of_partitions_claims_nothing_until_all_operators_have_moved(
    clickhouse_sink_of, clickhouse_reader, raw_clickhouse, check, before, after
):
    """Neither between two partitions nor between two inserts of one."""
    for view in of_layout(before, 1, lambda partition: 1_000 * (partition + 1)):
        assert await fill(clickhouse_sink_of(before), view, 1_000 * (view.partition + 1)) == set()
    await check()
    views, sinks = of_layout(after, 2, lambda _: REACHED), {}
    for view in views:
        sink = sinks[view.partition] = clickhouse_sink_of(after, generation=2)  # a worker for each
        insert = sink._insert

        async def insert_and_check(*inserted, insert=insert):
            await insert(*inserted)
            await check()

        sink._insert = insert_and_check
        dirty = await sink.compare(view)
        assert sink.claimed_ms(view.partition) == 1_000_000 * before
        await check()
        await sink.write([(view, dirty)])
        assert await sink.write_as_of({view.partition: REACHED * 1000}) == set()
        await check()
        claimed = await clickhouse_reader.as_of_ms()
        assert max(claimed.values()) == (REACHED if view is views[-1] else 1_000 * before) * 1000
    for partition, sink in sinks.items():
        assert await sink.write_as_of({partition: REACHED * 1000}) == set()
    claimed = await clickhouse_reader.as_of_ms()
    assert {partition: claimed[partition] for partition in range(after)} == dict.fromkeys(range(after), REACHED * 1000)
    assert {(await clickhouse_reader.operator(name)).partition for name in OPERATORS} <= set(range(after))
    found = raw_clickhouse.execute(f"SELECT count() FROM {DATABASE}.{MONTHLY.clickhouse_table}_current")
    assert found == [(len(OPERATORS),)]


async def test_a_writer_of_an_older_generation_claims_nothing_once_a_newer_one_has_begun(clickhouse_sink_of):
    """Whether it learns of it from a comparison, or is in the middle of its work."""
    old, new = clickhouse_sink_of(3), clickhouse_sink_of(2, generation=2)
    views = of_layout(3, 1, lambda _: 1_000)
    for view in views:
        assert await fill(old, view, 1_000) == set()
    await new.compare(FakeView(0))
    assert await old.write_as_of({0: 2_000_000, 1: 2_000_000}) == {0, 1}
    assert not await old.compare(views[1])
    assert old.claimed_ms(1) > 2**53
    assert await clickhouse_sink_of(2, generation=2).compare(FakeView(1)) is not None


async def test_the_next_generation_with_as_many_partitions_waits_for_nothing(clickhouse_sink_of, clickhouse_reader):
    for generation in (1, 2):
        for view in of_layout(3, generation, lambda _, reached=generation: 1_000 * reached):
            assert await fill(clickhouse_sink_of(3, generation=generation), view, 1_000 * generation) == set()
            assert (await clickhouse_reader.as_of_ms())[view.partition] == 1_000_000 * generation


async def test_a_database_of_before_tells_by_its_as_of_how_many_partitions_it_has(
    clickhouse_sink_of, clickhouse_reader, raw_clickhouse
):
    for view in of_layout(3, 1, lambda _: 1_000):
        await fill(clickhouse_sink_of(3), view, 1_000)
    raw_clickhouse.execute(f"DROP TABLE {DATABASE}.ads_operation_crm_moves")
    new, views = clickhouse_sink_of(2, generation=2), of_layout(2, 2, lambda _: 2_000)
    await fill(new, views[0], 2_000)
    assert set((await clickhouse_reader.as_of_ms()).values()) == {1_000_000}
    await fill(new, views[1], 2_000)
    assert await new.write_as_of({0: 2_000_000, 1: 2_000_000}) == set()
    assert (await clickhouse_reader.as_of_ms())[0] == 2_000_000


@pytest.mark.parametrize(
    ("generations", "is_under_way"),
    [
        ({3: (8, set())}, False),  # the first one
        ({1: (8, set()), 3: (8, set())}, False),
        ({1: (8, set()), 3: (5, {0, 1})}, True),
        ({1: (8, set()), 3: (2, {0, 1})}, False),  # all have moved
        ({1: (8, set()), 2: (5, {0, 1}), 3: (8, set())}, True),  # back, in the middle of a move
        ({1: (8, set()), 2: (2, {0, 1}), 3: (8, set())}, True),
        ({1: (8, set()), 2: (2, {0, 1}), 3: (2, set())}, False),
    ],
)
def test_a_move_is_under_way_until_the_newest_generation_is_whole(generations, is_under_way):
    """`generations`: number of partitions, and those that are filled."""
    assert Moves(generations).is_under_way(3) is is_under_way
