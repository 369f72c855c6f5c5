"""Redis holds what the view holds, never goes back, and as-of never speaks for documents that are gone."""

from datetime import datetime

import orjson
import pytest

from stream_app.domain.cells import Group
from stream_app.domain.events import ALL
from stream_app.domain.local_time import month_add
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats.murmur2 import partition_for
from stream_app.ports.sinks import Dirty
from stream_app.sinks.redis import RedisSink
from stream_app.sinks.redis_keys import MOVED, PARTITIONS, document_key, groups_key, updates_channel
from tests.sinks.redis_reader import Document
from tests.support.fake_view import MONTH, STRANGE, TODAY, FakeView, example


def _dirty(key):
    """One monthly cell."""
    dirty = Dirty()
    dirty.cells[MONTHLY.name].add(key)
    return dirty


async def fill(sink, view, as_of_ms=1_795_507_200_000):
    dirty = await sink.compare(view)
    await sink.write([(view, dirty)])
    assert await sink.write_as_of({view.partition: as_of_ms}) == set()
    return dirty


async def dump(redis):
    """All that is there, but for what writers note for each other."""
    found = {}
    for key in await redis.keys("*"):
        kind = await redis.type(key)
        if key.startswith(b"crm:"):
            found[key.decode()] = await (redis.get(key) if kind == b"string" else redis.hgetall(key))
    return found


async def test_the_keys_and_values_are_the_contract_s(redis_sink, raw_redis):
    await fill(redis_sink, example())
    found = await dump(raw_redis)
    monthly = orjson.loads(found["crm:{M1}:monthly:ALL"])
    assert monthly["currencies"] == ["EUR", "USD"]
    assert monthly["version"] == 600
    assert [month["month"] for month in monthly["months"]] == [
        "2026-06",
        "2026-07",
        "2026-08",
        "2026-09",
        "2026-10",
        "2026-11",
    ]
    distribution = orjson.loads(found["crm:{M1}:distribution:vip"])
    assert (distribution["from"], distribution["to"], distribution["total"]) == ("2026-10-26", "2026-11-24", 0)
    assert orjson.loads(found["crm:{M1}:groups"]) == {
        "groups": [
            {"groupId": ALL, "name": None},
            {"groupId": "named", "name": "Only a name"},
            {"groupId": "vip", "name": None},
        ]
    }
    assert orjson.loads(found["crm:operators"][b"M1"]) == {
        "operatorId": "M1",
        "name": "Stadtwerke",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
    }
    assert found["crm:as-of"] == {b"3": b"2026-11-24T08:00:00.000Z"}
    strange = "大客户 a/b:c%7C%7B%7D%25%2B'\"\\é🚗"
    assert set(found) == {
        "crm:as-of",
        "crm:operators",
        *(f"crm:{{{operator}}}:groups" for operator in ("M1", "yen", strange)),
        *(f"crm:{{M1}}:{kind}:{group}" for kind in ("monthly", "distribution") for group in (ALL, "vip", strange)),
        *(f"crm:{{{strange}}}:{kind}:{group}" for kind in ("monthly", "distribution") for group in (ALL, strange)),
        *(f"crm:{{yen}}:{kind}:ALL" for kind in ("monthly", "distribution")),
    }


async def test_a_filled_redis_is_not_dirty_and_a_missing_part_is(redis_sink, raw_redis):
    view = example()
    await fill(redis_sink, view)
    assert not await redis_sink.compare(view)
    await raw_redis.delete(document_key(MONTHLY, "M1", "vip"), groups_key("yen"))
    await raw_redis.hset("crm:operators", STRANGE, "{}")
    await raw_redis.set(document_key(HALF_HOUR, "M1", ALL), "no JSON")
    before = await dump(raw_redis)
    dirty = await redis_sink.compare(view)
    assert [key[:2] for key in dirty.cells[MONTHLY.name]] == [("M1", "vip")]
    assert [key[:2] for key in dirty.cells[HALF_HOUR.name]] == [("M1", ALL)]
    assert dirty.operators == {"yen", STRANGE}
    await redis_sink.write([(view, dirty)])
    assert await dump(raw_redis) != before
    assert not await redis_sink.compare(view)


async def test_a_change_writes_and_publishes_what_changed_only(redis_sink, raw_redis):
    view = example()
    await fill(redis_sink, view)
    async with raw_redis.pubsub() as channel:
        await channel.subscribe(updates_channel("M1"))
        assert (await channel.get_message(timeout=5))["type"] == "subscribe"
        await redis_sink.write([(view, view.everything())])  # nothing changed
        key = view.set_month("M1", "vip", MONTH, 700, [5, 1, 0])
        before = await dump(raw_redis)
        await redis_sink.write([(view, _dirty(key))])
        after = await dump(raw_redis)
        assert {key for key in after if after[key] != before[key]} == {"crm:{M1}:monthly:vip"}
        assert (await channel.get_message(timeout=5))["data"] == b"crm:{M1}:monthly:vip"
        assert await channel.get_message(timeout=0.2) is None


@pytest.mark.parametrize("theirs", ['{"version":9007199254740992}', '{ "months": [], "version" : 7e2 }'])
async def test_a_higher_version_is_never_replaced(redis_sink, raw_redis, theirs):
    view = example()
    await raw_redis.set(document_key(MONTHLY, "M1", ALL), theirs)
    dirty = await fill(redis_sink, view)
    assert ("M1", ALL) not in {key[:2] for key in dirty.cells[MONTHLY.name]}
    await redis_sink.write([(view, view.everything())])
    assert await raw_redis.get(document_key(MONTHLY, "M1", ALL)) == theirs.encode()


@pytest.mark.parametrize(
    "theirs", ['{"version":599}', '{"version":null}', '{"version":"x"}', "[1]", "3", "{", '{"version":{}}']
)
async def test_a_lower_version_and_what_has_none_is_replaced(redis_sink, raw_redis, theirs):
    await raw_redis.set(document_key(MONTHLY, "M1", ALL), theirs)
    await raw_redis.lpush(document_key(HALF_HOUR, "M1", ALL), "not even a string")
    await fill(redis_sink, example())
    assert orjson.loads(await raw_redis.get(document_key(MONTHLY, "M1", ALL)))["version"] == 600
    assert orjson.loads(await raw_redis.get(document_key(HALF_HOUR, "M1", ALL)))["version"] == 600


async def test_a_writer_that_is_behind_changes_nothing(redis_sink, raw_redis):
    behind, ahead = example(), example()
    ahead.set_month("M1", ALL, MONTH, 900, [11, 3, 1])
    ahead.set_day("M1", ALL, TODAY, 900, {0: 2})
    await fill(redis_sink, ahead)
    before = await dump(raw_redis)
    await redis_sink.write([(behind, behind.everything())])
    assert await dump(raw_redis) == before


async def test_documents_of_a_group_without_retained_data_go(redis_sink, raw_redis):
    view = example()
    await fill(redis_sink, view)
    async with raw_redis.pubsub() as channel:
        await channel.subscribe(updates_channel("M1"))
        await channel.get_message(timeout=5)
        await redis_sink.write([(view, view.drop_group("M1", "vip"))])
        told = {(await channel.get_message(timeout=5))["data"] for _ in range(3)}
    assert told == {b"crm:{M1}:monthly:vip", b"crm:{M1}:distribution:vip", b"crm:{M1}:groups"}
    assert not await raw_redis.exists(document_key(MONTHLY, "M1", "vip"), document_key(HALF_HOUR, "M1", "vip"))
    assert not await redis_sink.compare(view)


async def test_documents_that_a_writer_before_us_left_behind_go(redis_sink, raw_redis):
    view = example()
    await fill(redis_sink, view)
    view.drop_group("M1", "vip")
    await fill(redis_sink, view)
    assert not await raw_redis.exists(document_key(MONTHLY, "M1", "vip"), document_key(HALF_HOUR, "M1", "vip"))
    view.named["M1"]["vip"] = Group(name="VIP")
    await raw_redis.set(document_key(MONTHLY, "M1", "vip"), '{"version":1}')
    await fill(redis_sink, view)
    assert not await raw_redis.exists(document_key(MONTHLY, "M1", "vip"))


async def test_as_of_only_rises(redis_sink, raw_redis):
    await fill(redis_sink, example(), 1_795_507_200_000)
    assert await redis_sink.write_as_of({3: 1_795_507_100_000}) == set()
    assert await raw_redis.hget("crm:as-of", "3") == b"2026-11-24T08:00:00.000Z"
    assert await redis_sink.write_as_of({3: 1_795_507_200_001}) == set()
    assert await raw_redis.hget("crm:as-of", "3") == b"2026-11-24T08:00:00.001Z"


async def test_as_of_waits_for_an_emptied_redis_to_be_filled(redis_sink, raw_redis):
    view = example()
    other = FakeView(4)
    other.add_operator("other")
    await fill(redis_sink, view)
    await fill(redis_sink, other)
    before = await dump(raw_redis)
    await raw_redis.flushall()
    assert await redis_sink.write_as_of({3: 1_795_507_300_000, 4: 1_795_507_300_000}) == {3, 4}
    assert await dump(raw_redis) == {}
    await fill(redis_sink, view)
    assert await redis_sink.write_as_of({3: 1_795_507_300_000, 4: 1_795_507_300_000, 5: 1}) == {4, 5}
    await fill(redis_sink, other)
    after = await dump(raw_redis)
    assert after.pop("crm:as-of") == {b"3": b"2026-11-24T08:01:40.000Z", b"4": b"2026-11-24T08:00:00.000Z"}
    before.pop("crm:as-of")
    assert after == before


async def test_emptied_between_comparison_and_as_of_is_seen(redis_sink, raw_redis):
    view = example()
    dirty = await redis_sink.compare(view)
    await raw_redis.flushall()
    await redis_sink.write([(view, dirty)])
    assert await redis_sink.write_as_of({3: 1}) == {3}


async def test_a_partition_filled_by_another_writer_is_compared_again(redis_sink, redis_url):
    view = example()
    await fill(redis_sink, view)
    taker = RedisSink(redis_url, generation=1, partitions=8)
    await fill(taker, view)
    await taker.close()
    assert await redis_sink.write_as_of({3: 1_795_507_300_000}) == {3}


async def test_scripts_that_redis_forgot_are_loaded_again(redis_sink, raw_redis):
    view = example()
    await fill(redis_sink, view)
    await raw_redis.script_flush()
    key = view.set_month("M1", ALL, MONTH, 800, [1, 1, 0])
    await redis_sink.write([(view, _dirty(key))])
    assert orjson.loads(await raw_redis.get(document_key(MONTHLY, "M1", ALL)))["version"] == 800
    await raw_redis.script_flush()
    assert await redis_sink.write_as_of({3: 1_795_507_300_000}) == set()


async def test_before_the_first_clock_record_nothing_has_a_window(redis_sink, raw_redis):
    view = FakeView()
    view.add_operator("new")
    view.known["new"].today = 0
    await fill(redis_sink, view)
    assert sorted(await dump(raw_redis)) == ["crm:as-of", "crm:operators", "crm:{new}:groups"]


async def test_an_operator_without_a_cell_shows_zeros(redis_sink, redis_reader):
    view = FakeView()
    view.add_operator("new")
    await fill(redis_sink, view)
    document, _ = await redis_reader.document(MONTHLY, "new", ALL)
    assert {month["paymentCount"] for month in orjson.loads(document.body)["months"]} == {0}


async def test_many_operators_and_groups(redis_sink, raw_redis):
    view = FakeView()
    for operator in range(450):
        view.add_operator(f"o{operator}")
        view.set_month(f"o{operator}", ALL, MONTH, operator, [1, 1, 0])
    for group in range(450):
        view.set_month("o7", f"g{group}", month_add(MONTH, -1), 500, [1, 1, 0])
    await fill(redis_sink, view)
    assert not await redis_sink.compare(view)
    await raw_redis.delete(document_key(MONTHLY, "o7", "g449"), document_key(MONTHLY, "o449", ALL))
    dirty = await redis_sink.compare(view)
    assert {key[:2] for key in dirty.cells[MONTHLY.name]} == {("o7", "g449"), ("o449", ALL)}
    assert not dirty.cells[HALF_HOUR.name]
    assert not dirty.operators


async def test_the_reader_gives_the_documents_and_as_of(redis_sink, redis_reader):
    view = example()
    await fill(redis_sink, view)
    document, as_of = await redis_reader.document(MONTHLY, STRANGE, STRANGE)
    assert (document.partition, document.version) == (3, 2**52 + 1)
    assert as_of == {3: "2026-11-24T08:00:00.000Z"} == await redis_reader.as_of()
    shown = orjson.loads(document.with_as_of("2030-01-01T00:00:00.000Z"))
    assert shown == orjson.loads(document.body) | {"asOf": "2030-01-01T00:00:00.000Z"}
    assert (await redis_reader.document(HALF_HOUR, "M1", "nobody"))[0] is None
    assert orjson.loads((await redis_reader.groups("M1"))[0])["groups"][0]["groupId"] == ALL
    entries, _ = await redis_reader.operators()
    assert set(entries) == {"M1", "yen", STRANGE}
    assert (await redis_reader.operator("yen"))["timezone"] == "Asia/Tokyo"
    assert await redis_reader.operator("nobody") is None


def test_an_id_that_looks_like_a_field_is_none():
    body = orjson.dumps(
        {"operatorId": '"asOf":"x","version":1,"partition":9', "partition": 3, "asOf": "a", "version": 7}
    )
    document = Document.of(body)
    assert (document.partition, document.version) == (3, 7)
    assert orjson.loads(document.with_as_of("\\1"[:1] + "\\1")) == orjson.loads(body) | {"asOf": "\\1"}
    assert Document.of(b'{"a":1}') is None


def of_layout(operators, count):
    """Views of all partitions, with these operators where they belong."""
    views = [FakeView(partition) for partition in range(count)]
    for operator in operators:
        view = views[partition_for(operator.encode(), count)]
        view.add_operator(operator)
        view.set_month(operator, ALL, MONTH, 500, [1, 1, 0])
    return views


async def claimed(redis):
    return {int(partition): round(epoch_ms(as_of)) for partition, as_of in (await redis.hgetall("crm:as-of")).items()}


def epoch_ms(as_of):
    return datetime.fromisoformat(as_of.decode()).timestamp() * 1000


async def shown_partitions(redis):
    return {orjson.loads(await redis.get(key))["partition"] for key in await redis.keys("crm:{*}:monthly:*")}


@pytest.mark.parametrize(("before", "after"), [(2, 5), (5, 2)])
async def test_another_number_of_partitions_claims_nothing_until_all_operators_have_moved(
    redis_sink_of, raw_redis, before, after
):
    """A document that was not moved yet names a partition that is filled already: as-of of that one must not rise before."""
    operators, old, new = [f"o{n}" for n in range(40)], redis_sink_of(1, before), redis_sink_of(2, after)
    for view in of_layout(operators, before):
        await fill(old, view, 1000 * (view.partition + 1))
    then = await claimed(raw_redis)
    views = of_layout(operators, after)
    for view in views:
        for operator in view.operators():
            view.set_month(operator, ALL, MONTH, 2**40, [1, 1, 0])
    for view in views[:-1]:
        await fill(new, view, 9000)
        assert new.claimed_ms(view.partition) == 1000 * before
        now = await claimed(raw_redis)
        assert then.items() <= now.items()
        assert set(now.values()) <= set(then.values()), (
            "a partition that was not there before claims no more than all did"
        )
    await fill(new, views[-1], 9000)
    then = {partition: then.get(partition, 1000) for partition in range(after)}
    assert await claimed(raw_redis) == then | {after - 1: 9000}
    assert await new.write_as_of(dict.fromkeys(range(after), 9000)) == set()
    assert await claimed(raw_redis) == dict.fromkeys(range(after), 9000)
    assert await shown_partitions(raw_redis) == set(range(after))
    assert int(await raw_redis.get(PARTITIONS)) == after
    assert not await raw_redis.exists(MOVED)


async def test_a_writer_of_an_older_generation_is_refused_where_a_newer_one_began(redis_sink_of, raw_redis):
    """It raises nothing any more, of partitions that are no more either, and writes nothing."""
    old, new, views = redis_sink_of(1, 3), redis_sink_of(2, 2), of_layout(["M1", "M2", "M3"], 3)
    for view in views:
        await fill(old, view, 1000)
    await new.compare(FakeView(0))
    assert await old.write_as_of({0: 2000, 1: 2000, 2: 2000}) == {0, 2}
    assert await claimed(raw_redis) == {0: 1000, 1: 2000, 2: 1000}, (
        "partition 1 is as it was until the newer one begins it"
    )
    for view in (views[0], views[2]):
        assert not await old.compare(view)
        assert old.claimed_ms(view.partition) > 2**53
        assert await old.write_as_of({view.partition: 3000}) == {view.partition}


async def test_the_next_generation_with_as_many_partitions_waits_for_nothing(redis_sink_of, raw_redis):
    old, new, view = redis_sink_of(1, 8), redis_sink_of(2, 8), example()
    await fill(old, view, 5000)
    await fill(new, view, 6000)
    assert new.claimed_ms(view.partition) == 0
    assert await claimed(raw_redis) == {3: 6000}


async def test_a_document_of_another_partition_is_written_again_at_the_same_version(redis_sink_of, raw_redis):
    """An operator without cells has version 0 in each generation."""
    for generation, partition in ((1, 3), (2, 1)):
        view = FakeView(partition)
        view.add_operator("new")
        await fill(redis_sink_of(generation, 4), view)
        assert await shown_partitions(raw_redis) == {partition}
