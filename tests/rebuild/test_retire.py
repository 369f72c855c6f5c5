"""The end of a generation, on a real broker: the last position of each partition, marked, and its owners fenced."""

import gc
import logging

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from stream_app.access.kafka import KafkaAccess
from stream_app.formats.rows import POSITION, Ahead, decode_position, encode_position
from stream_app.kafka.log import TransactionLog
from stream_app.partition.positions import new_position
from stream_app.ports.kafka import Fenced, Interrupted
from stream_app.rebuild import retire as retiring
from stream_app.rebuild.retire import last_position, retire
from tests.support.in_memory import conf
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("whole_batches")
AT = new_position(conf().ledger, "the topic", 3, 0)


class Owner:
    """Who owns a partition of a generation, and commits with each tick some rows and the position."""

    def __init__(self, kafka: str, topics: tuple[str, str], group: str, partition: int = 0) -> None:
        changelog, events = topics
        self.log = TransactionLog(
            KafkaAccess(kafka), f"{group}-{partition}", group, (events, partition), (changelog, partition)
        )

    async def tick(self, offset: int, rows: int = 1) -> None:
        position = msgspec.structs.replace(AT, offset=offset)
        changed: dict[bytes, bytes | None] = {b"e%d/%d" % (offset, n): b"row" for n in range(rows)}
        await self.log.commit(changed | {POSITION: encode_position(position)}, {}, offset)


@pytest.fixture
def topics(new_topic) -> tuple[str, str]:
    """A changelog, and an events topic, of two partitions."""
    return new_topic(2), new_topic(2)


@pytest.fixture
async def owner(kafka, topics, caplog):
    made = Owner(kafka, topics, f"group-{topics[0]}")
    await made.log.open()
    yield made
    await made.log.close()
    # aiokafka leaves futures behind when it is fenced: asyncio shall say so now, to nobody, rather than in another test.
    caplog.set_level(logging.CRITICAL, "asyncio")
    del made.log
    gc.collect()


async def readable(kafka, changelog, partition=0, **wanted):
    """The last position, once it is the one that was committed: Kafka writes a transaction's end into the changelog behind its answer."""

    async def found():
        position = await last_position(KafkaAccess(kafka), changelog, partition)
        return position if {name: getattr(position, name) for name in wanted} == wanted else None

    return await until(f"the position has {wanted}", found)


@pytest.mark.parametrize("rows", [0, 1, 40])
async def test_the_last_position_is_found_behind_any_number_of_rows(rows, kafka, topics, owner, monkeypatch):
    """Looked for from the end, further and further back."""
    monkeypatch.setattr(retiring, "_WINDOW", 4)
    for offset in (3, 7, 11):
        await owner.tick(offset, rows)
    if rows:  # a transaction of rows alone, so that the position lies deep
        await owner.log.commit({b"r%d" % n: b"row" for n in range(rows)}, {}, 11)
    assert await readable(kafka, topics[0], offset=11) == msgspec.structs.replace(AT, offset=11)


async def test_a_changelog_without_a_position_has_none(kafka, topics, owner):
    """Whether it is empty or holds rows."""
    assert await last_position(KafkaAccess(kafka), topics[0], 1) is None
    await owner.log.commit({b"e": b"row"}, {}, 1)
    assert await last_position(KafkaAccess(kafka), topics[0], 0) is None


async def test_a_generation_is_retired(kafka, topics, owner):
    """Its owners can't commit any more; each partition's row says by whom, and how far it came; a second time changes nothing."""
    changelog, events = topics
    group = f"group-{changelog}"
    await owner.tick(7)
    for _ in range(2):
        assert await retire(KafkaAccess(kafka), group, changelog, events, range(2), by=4) == {0: (7, 7), 1: (0, 0)}
        for partition, offset in ((0, 7), (1, 0)):
            await readable(kafka, changelog, partition, offset=offset, superseded_by=4)
    with pytest.raises(Fenced):
        await owner.tick(9)
    position = await readable(kafka, changelog, offset=7)
    assert position == decode_position(encode_position(msgspec.structs.replace(AT, offset=7, superseded_by=4)))


async def test_a_generation_with_an_operator_apart_has_come_as_far_as_the_others(kafka, topics, owner):
    """They are shown already, and may not be shown as they were before; what is to be done for the one apart begins at the position."""
    changelog, events = topics
    position = msgspec.structs.replace(AT, offset=7, ahead=Ahead(12, 65537, {"M1": 7}))
    await owner.log.commit({POSITION: encode_position(position)}, {}, 7)
    assert await retire(KafkaAccess(kafka), f"group-{changelog}", changelog, events, range(1), by=4) == {0: (12, 7)}
    found = await readable(kafka, changelog, superseded_by=4)
    assert found == msgspec.structs.replace(position, superseded_by=4)


async def test_a_coordinator_that_goes_away_meanwhile_ends_no_rebuild(kafka, topics, owner, monkeypatch):
    """Nobody serves by then. Whether the mark was committed is not known: it is set again."""
    changelog, events = topics
    await owner.tick(7)
    commit, failures = TransactionLog.commit, [Interrupted("no coordinator"), None, KafkaConnectionError("no broker")]

    async def fail(log, *what):
        found = await commit(log, *what)
        if failure := failures.pop(0):
            raise failure
        return found

    async def position(*where):
        if isinstance(failures[0], KafkaConnectionError):
            raise failures.pop(0)
        return await last_position(*where)

    monkeypatch.setattr(TransactionLog, "commit", fail)
    monkeypatch.setattr(retiring, "last_position", position)
    group = f"group-{changelog}"
    for _ in range(2):
        failures.append(None)
        assert await retire(KafkaAccess(kafka), group, changelog, events, range(1), by=4) == {0: (7, 7)}


async def test_an_owner_that_takes_its_partition_over_again_is_retired_all_the_same(kafka, topics, owner, monkeypatch):
    """What it commits until then counts as its own, and is what the next generation has to reach."""
    changelog, events = topics
    group = f"group-{changelog}"
    again = Owner(kafka, topics, group)
    await owner.tick(7)
    found_before = []

    async def found(access: KafkaAccess, topic: str, partition: int):
        position = await last_position(access, topic, partition)
        found_before.append(position.offset)
        if len(found_before) == 1:
            await again.log.open()
            await again.tick(8)
        return position

    monkeypatch.setattr(retiring, "last_position", found)
    try:
        assert await retire(KafkaAccess(kafka), group, changelog, events, range(1), by=4) == {0: (8, 8)}
        assert found_before == [7, 8]
        with pytest.raises(Fenced):
            await again.tick(9)
    finally:
        await again.log.close()
    await readable(kafka, changelog, offset=8, superseded_by=4)
