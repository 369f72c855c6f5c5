"""A changelog read into stores."""

import asyncio

import pytest

from stream_app.access.kafka import KafkaAccess
from stream_app.kafka.log import TransactionLog
from stream_app.kafka.replay import replay
from stream_app.partition.store import Store, new_cache
from stream_app.ports.kafka import ChangelogLost
from tests.support.kafka import flush

pytestmark = pytest.mark.usefixtures("whole_batches")
CACHE = new_cache(8)


@pytest.fixture
def new_store(tmp_path):
    made = []

    def make(name="0"):
        made.append(Store(tmp_path / name, CACHE))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
async def new_log(kafka):
    made = []

    async def make(source, changelog, partition=0):
        log = TransactionLog(
            KafkaAccess(kafka), f"{source}-{partition}", f"group-{source}", (source, 0), (changelog, partition)
        )
        await log.open()
        made.append(log)
        return log

    yield make
    for log in made:
        await log.close()


def rows(store):
    return {key: value for key, value in store.scan(b"") if key != b"l"}


async def test_a_store_is_brought_up_to_the_last_stable_offset(kafka, new_topic, new_log, new_store, producer):
    """Rows, deletions, aborted transactions, control records; an open transaction at the tail is not waited for."""
    source, changelog = new_topic(), new_topic()
    log = await new_log(source, changelog)
    await log.commit({b"a": b"1", b"b": b"1", b"c": b"1"}, {}, 1)
    killed = producer(transactional_id=f"killed-{changelog}")
    killed.begin_transaction()
    killed.produce(changelog, b"aborted", b"a")
    flush(killed)
    killed.abort_transaction(20)
    position = await log.commit({b"b": b"2", b"c": b""}, {}, 2)
    killed.begin_transaction()
    killed.produce(changelog, b"open", b"a")
    flush(killed)

    store = new_store()
    async with asyncio.timeout(10):
        assert await replay(KafkaAccess(kafka), changelog, {0: store}) == 5
    assert rows(store) == {b"a": b"1", b"b": b"2"}
    assert store.log == position
    killed.abort_transaction(20)

    position = await log.commit({b"d": b"3"}, {}, 3)
    store.write({b"d": b"3"}, position)  # as the lane does: the control record is not in its position
    assert await replay(KafkaAccess(kafka), changelog, {0: store}) == 0
    assert rows(store) == {b"a": b"1", b"b": b"2", b"d": b"3"}


async def test_each_partition_goes_on_from_where_its_store_stands(kafka, new_topic, new_log, new_store):
    """One is new, one is up to date, one of an empty changelog; a second replay reads nothing."""
    source, changelog = new_topic(), new_topic(3)
    for partition in (0, 1):
        log = await new_log(source, changelog, partition)
        await log.commit({b"p": b"%d" % partition}, {}, 1)
        position = await log.commit({b"q": b"%d" % partition}, {}, 2)
    stores = {p: new_store(str(p)) for p in range(3)}
    stores[1].write({b"own": b"row", b"q": b"1"}, position)
    assert await replay(KafkaAccess(kafka), changelog, stores) == 2
    assert rows(stores[0]) == {b"p": b"0", b"q": b"0"}
    assert rows(stores[1]) == {b"own": b"row", b"q": b"1"}
    assert (rows(stores[2]), stores[2].log) == ({}, 0)
    assert await replay(KafkaAccess(kafka), changelog, stores) == 0


async def test_a_store_ahead_of_the_changelog_is_refused(kafka, new_topic, new_log, new_store):
    """Another changelog behind the name, or one that lost data: nothing of it is taken."""
    source, changelog = new_topic(), new_topic()
    await (await new_log(source, changelog)).commit({b"a": b"1"}, {}, 1)
    store = new_store()
    store.write({b"x": b"y"}, 3)
    with pytest.raises(ChangelogLost, match="ends at 2, the store stands for 3"):
        await replay(KafkaAccess(kafka), changelog, {0: store})
    assert (rows(store), store.log) == ({b"x": b"y"}, 3)


TAKEN = [
    # what the store took last, of a changelog whose second record is b=2, or the deletion of b; is it the same history?
    (b"2", {b"a": b"1", b"b": b"2"}, True),
    (b"2", {b"a": b"1", b"b": b"3"}, False),
    (b"2", {b"a": b"1"}, False),
    (None, {b"a": b"1"}, True),
    (None, {b"b": b"1"}, False),
]


@pytest.mark.parametrize(("value", "taken", "is_same"), TAKEN)
async def test_a_changelog_that_lost_what_a_store_took_is_refused(
    value, taken, is_same, kafka, new_topic, new_log, new_store
):
    """Others have the offsets of the lost records by now: the last record that the store took is read again and compared."""
    source, changelog = new_topic(), new_topic()
    log = await new_log(source, changelog)
    position = await log.commit({b"a": b"1", b"b": value}, {}, 1)
    await log.commit({b"d": b"4"}, {}, 2)
    store = new_store()
    store.write(taken, position)
    if is_same:
        assert await replay(KafkaAccess(kafka), changelog, {0: store}) == 1
        assert rows(store) == {**taken, b"d": b"4"}
    else:
        with pytest.raises(ChangelogLost, match=r"at offset 1 of .* stands another record"):
            await replay(KafkaAccess(kafka), changelog, {0: store})
        assert (rows(store), store.log) == (taken, position)
