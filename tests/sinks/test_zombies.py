"""A worker that lost its partition and goes on writing what it holds: refused, versioned or not, in Redis and in ClickHouse."""

import orjson
import pytest

from stream_app.domain.cells import Group
from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.sinks.redis import RedisSink
from stream_app.sinks.redis_keys import document_key, groups_key
from tests.support.fake_view import MONTH, FakeView, example


def of(version: int) -> FakeView:
    """The example, as an owner of the partition holds it."""
    view = example()
    view.version = version
    return view


async def fill(sink, view):
    await sink.write([(view, await sink.compare(view))])


@pytest.fixture
async def zombie_sink(redis_url):
    """The connection of a worker that was away for a while."""
    sink = RedisSink(redis_url, generation=1, partitions=8)
    yield sink
    await sink.close()


async def _shown(redis) -> tuple[object, object]:
    entry, groups = await redis.hget("crm:operators", "M1"), await redis.get(groups_key("M1"))
    return orjson.loads(entry)["name"], [group["groupId"] for group in orjson.loads(groups)["groups"]]


async def test_entries_and_groups_of_an_older_state_are_refused(redis_sink, zombie_sink, raw_redis):
    """They bear no version: what they are written beside does."""
    zombie, owner = of(7), of(8)
    await fill(zombie_sink, zombie)
    owner.known["M1"].name = "New name"
    owner.named["M1"]["new"] = Group(name="New")
    await fill(redis_sink, owner)
    expected = "New name", [ALL, "named", "new", "vip"]
    assert await _shown(raw_redis) == expected
    await zombie_sink.write([(zombie, zombie.everything())])
    assert await _shown(raw_redis) == expected
    await fill(zombie_sink, zombie)
    assert await _shown(raw_redis) == expected
    owner.version = 9
    owner.known["M1"].name = "Newer name"
    await redis_sink.write([(owner, owner.everything())])
    assert (await _shown(raw_redis))[0] == "Newer name"


@pytest.mark.parametrize("when", ["after the comparison", "with the comparison"])
async def test_a_document_that_was_removed_stays_so(redis_sink, zombie_sink, raw_redis, when):
    """Remembered for as long as the operator is: by a version of the operator, not by tombstones that would add up."""
    zombie, owner = of(7), of(7)
    await fill(zombie_sink, zombie)
    if when == "after the comparison":
        await fill(redis_sink, owner)
        owner.version = 8
        await redis_sink.write([(owner, owner.drop_group("M1", "vip"))])
    else:
        owner.version = 8
        owner.drop_group("M1", "vip")
        await fill(redis_sink, owner)
    names = [document_key(table, "M1", "vip") for table in (MONTHLY, HALF_HOUR)]
    assert not await raw_redis.exists(*names)
    for _ in range(2):
        await zombie_sink.write([(zombie, zombie.everything())])
        assert not await raw_redis.exists(*names)
        await zombie_sink.compare(zombie)
    owner.version = 9
    owner.set_month("M1", "vip", MONTH, 900, [1, 1, 0])
    await redis_sink.write([(owner, owner.everything())])
    assert orjson.loads(await raw_redis.get(names[0]))["version"] == 900


async def test_a_redis_that_was_emptied_is_filled_by_the_owner_alone(redis_sink, zombie_sink, raw_redis):
    """What a zombie puts into it before the owner looks is found by the comparison."""
    zombie, owner = of(7), of(8)
    owner.drop_group("M1", "vip")
    await fill(redis_sink, owner)
    await raw_redis.flushall()
    await zombie_sink.write([(zombie, zombie.everything())])
    assert "vip" in (await _shown(raw_redis))[1]
    await fill(redis_sink, owner)
    await zombie_sink.write([(zombie, zombie.everything())])
    assert (await _shown(raw_redis))[1] == [ALL, "named"]
    assert not await raw_redis.exists(document_key(MONTHLY, "M1", "vip"))


async def test_clickhouse_keeps_groups_and_operators_of_the_newer_state(
    clickhouse_sink, clickhouse_sink_of, clickhouse_reader, raw_clickhouse
):
    """Whichever of both looked first, and whichever wrote last."""
    zombie, owner, zombie_sink = of(7), of(8), clickhouse_sink_of(8)
    await fill(zombie_sink, zombie)
    owner.named["M1"]["new"] = Group(name="New")
    owner.named["M1"]["named"].name = "Another name"
    owner.known["M1"].name = "New name"
    owner.drop_group("M1", "vip")
    await fill(clickhouse_sink, owner)
    expected = {ALL: None, "named": "Another name", "new": "New"}
    assert await clickhouse_reader.groups("M1") == expected
    zombie.named["M1"]["late"] = Group(name="Late")
    zombie.known["M1"].name = "Old name"
    await zombie_sink.write([(zombie, zombie.everything())])
    await fill(zombie_sink, zombie)
    raw_clickhouse.execute("OPTIMIZE TABLE sinks_test.ads_operation_crm_groups FINAL")
    found = await clickhouse_reader.groups("M1")
    assert {group: found.get(group) for group in expected} == expected
    assert "vip" not in found
    assert (await clickhouse_reader.operators())["M1"]["name"] == "New name"
