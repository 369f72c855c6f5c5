"""Letters sent again on a real broker: as they came, once only, whatever interrupts."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
from confluent_kafka import TopicPartition

from config.settings import ROOT
from stream_app.access.kafka import KafkaAccess
from stream_app.domain.errors import Reason, Rejection
from stream_app.formats.limits import VALUE_BYTES_MAX
from stream_app.monitor.dead_letters import DeadLetterCounts
from stream_app.redrive.choice import Choice
from stream_app.redrive.edits import fields, replaced_by
from stream_app.redrive.letters import LetterError, Letters
from stream_app.redrive.redrive import Redrive
from stream_app.sinks.dead_letters import dead_letter
from tests.support.deployment import PROGRAM
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, until

NOW_MS = 1_795_507_200_000
RECORDS = [(b"k", b'{"a":1}'), (None, b"\xff{"), (b"", b""), (b"k", None), (None, None)]


@pytest.fixture
def room(kafka, new_topic, producer, read):
    """A source topic with records, and the letters of all of them."""
    return Room(kafka, new_topic, producer, read)


class Room:
    """`source`: of two partitions; its records lie in the second one. `letters`: the topic of dead letters."""

    def __init__(self, kafka, new_topic, producer, read):
        self.kafka, self.read = kafka, read
        self.source = new_topic(2, max_message_bytes=str(8 << 20))
        self.letters = new_topic(1, cleanup_policy="compact,delete", max_message_bytes="2097152")
        self.id = f"redrive-{self.letters}"
        self.producer = producer(message_max_bytes=8 << 20)

    def fill(self, records):
        for offset, (key, value) in enumerate(records):
            self.producer.produce(self.source, value, key, partition=1)
            rejection = Rejection(Reason.TOMBSTONE if value is None else Reason.NOT_JSON, "detail")
            letter = dead_letter(self.source, 1, offset, key, value, rejection, NOW_MS)
            self.producer.produce(self.letters, letter.value, letter.key, headers=letter.headers, partition=0)
        flush(self.producer)

    def redrive(self, told=lambda *_: None):
        return Redrive(KafkaAccess(self.kafka), self.letters, self.id, told)

    async def standing(self):
        async with Letters(KafkaAccess(self.kafka), self.letters) as letters:
            return await letters.read()

    def sent(self, count):
        """(key, value) of what came to the source's partition behind the first `count` records."""
        assert self.read(self.source, 0) == []
        return [(record.key, record.value) for record in self.read(self.source, 1)[count:]]


async def test_records_are_sent_as_they_came_and_once(room):
    """Key and value, null or empty; to the partition that they came from. The letters say where they are now."""
    room.fill(RECORDS)
    told = []
    await room.redrive(lambda found, what: told.append((found.key, what))).send(Choice().waiting)
    assert room.sent(len(RECORDS)) == RECORDS
    places = [record.offset for record in room.read(room.source, 1)[len(RECORDS) :]]
    assert told == [(f"{room.source}/1/{offset}", f"{room.source}/1/{place}") for offset, place in enumerate(places)]
    letters = [found.letter for found in (await room.standing()).values()]
    assert [letter.redriven_to for letter in letters] == [what for _, what in told]
    assert not any(letter.is_open for letter in letters)
    assert [record.value for record in room.read(room.letters)[len(RECORDS) :]] == [
        value or b"" for _, value in RECORDS
    ]
    await room.redrive().send(Choice().waiting)
    assert len(room.sent(len(RECORDS))) == len(RECORDS), "nothing was left to do"
    with pytest.raises(LetterError, match="was sent again at"):
        await room.redrive().send(Choice([told[0][0]]).waiting)


async def test_an_edited_record_is_sent_with_the_key_that_it_had(room):
    room.fill(RECORDS[:2])
    name = f"{room.source}/1/0"
    await room.redrive().send(Choice([name]).waiting, fields(["a=2", "b=x"], []))
    await room.redrive().send(Choice().waiting, replaced_by(b"{}"))
    assert room.sent(2) == [(b"k", b'{"a":2,"b":"x"}'), (None, b"{}")]
    assert dict(room.read(room.letters)[2].headers)["redriven-as"] == b"edited"


async def test_a_dropped_letter_is_done_and_none_is_counted_as_a_new_one(room):
    """The monitor counts letters when they come, not what becomes of them."""
    room.fill(RECORDS)
    counts = DeadLetterCounts(KafkaAccess(room.kafka), room.letters)

    async def counted():
        return sum(row.seen for row in await counts.look()) == len(RECORDS)

    await until("all letters are counted", counted)
    before = {row.reason: (row.seen, row.since_start) for row in await counts.look()}
    await room.redrive().drop(Choice(reasons=["tombstone"]).waiting)
    await room.redrive().send(Choice().waiting)
    assert room.sent(len(RECORDS)) == RECORDS[:3]
    letters = [found.letter for found in (await room.standing()).values()]
    assert [(letter.reason, letter.dropped_at is not None) for letter in letters] == [
        ("tombstone", True), ("tombstone", True), ("not_json", False), ("not_json", False), ("not_json", False),
    ]  # fmt: skip
    after = {row.reason: (row.seen, row.since_start) for row in await counts.look()}
    assert after == before == {"not_json": (3, 0), "tombstone": (2, 0)}


async def test_of_a_cut_letter_the_record_is_fetched_from_its_topic_while_it_is_there(room, admin):
    """Gone, the letter stays as it is, and says so; with the whole value given it is sent."""
    large = b"x" * (VALUE_BYTES_MAX + 5)
    room.fill([(b"k" * 70_000, large), (None, large), (b"k", large)])
    await room.redrive().send(Choice([f"{room.source}/1/0"]).waiting)
    assert room.sent(3) == [(b"k" * 70_000, large)]
    admin.delete_records([TopicPartition(room.source, 1, 4)])[TopicPartition(room.source, 1, 4)].result(SECONDS_MAX)
    name = f"{room.source}/1/1"
    with pytest.raises(
        LetterError, match=f"{name} holds the beginning of its record only, and the record is no longer"
    ):
        await room.redrive().send(Choice().waiting)
    assert (await room.standing())[name].letter.is_open
    await room.redrive().send(Choice([name]).waiting, replaced_by(b"{}"))
    assert room.sent(0) == [(None, b"{}")]


async def test_a_record_of_another_topic_of_the_name_is_not_taken_for_the_original(room):
    """A topic that was made anew has other records at the same offsets."""
    room.fill([(None, b"x" * (VALUE_BYTES_MAX + 5))])
    letter = dead_letter(room.source, 1, 0, None, b"y" * (VALUE_BYTES_MAX + 5), Rejection(Reason.NOT_JSON, ""), NOW_MS)
    room.producer.produce(room.letters, letter.value, letter.key, headers=letter.headers, partition=0)
    flush(room.producer)
    with pytest.raises(LetterError, match="no longer in its topic"):
        await room.redrive().send(Choice().waiting)


async def test_who_was_overtaken_is_refused_and_nothing_is_sent_twice(room):
    """The second one reads what stands, and sends it; the first has read the same, and can't commit."""
    room.fill(RECORDS[:3])

    def choose_slowly(letters):
        second = threading.Thread(target=lambda: asyncio.run(room.redrive().send(Choice().waiting)))
        second.start()
        second.join(60)
        return Choice().waiting(letters)

    with pytest.raises(LetterError, match="somebody else"):
        await room.redrive().send(choose_slowly)
    assert room.sent(3) == RECORDS[:3]


async def test_a_note_behind_somebody_else_s_open_transaction_is_not_missed(room, producer):
    """A partition of the ledger writes letters, too: until its transaction ends nothing behind it can be read."""
    room.fill(RECORDS[:1])
    ledger = producer(transactional_id=f"ledger-{room.letters}")
    ledger.begin_transaction()
    ledger.produce(room.letters, b"{", b"other/0/0", partition=0)
    flush(ledger)
    chosen = []

    def choose(letters):
        chosen.extend(letters)
        return Choice().waiting(letters)

    redrive = asyncio.create_task(room.redrive().send(choose))
    await asyncio.wait([redrive], timeout=3)
    assert not chosen, "what lies behind the open transaction is waited for"
    ledger.commit_transaction(20)
    await redrive
    assert chosen == [f"{room.source}/1/0"]
    await room.redrive().send(Choice().waiting)
    assert room.sent(1) == RECORDS[:1]


KILLED = """
import os, sys
from aiokafka import AIOKafkaProducer
from stream_app.redrive import redrive
step, at, seen = sys.argv[1], int(sys.argv[2]), 0
append, commit = redrive._append, AIOKafkaProducer.commit_transaction

async def dying_append(*args):
    global seen
    seen += 1
    if step == "append" and seen == at:
        os._exit(9)
    return await append(*args)

async def dying_commit(self):
    if step == "before commit":
        os._exit(9)
    await commit(self)
    if step == "after commit":
        os._exit(9)

redrive._append, AIOKafkaProducer.commit_transaction = dying_append, dying_commit
sys.argv[:] = ["stream-app", "dead-letters", "redrive", "--all", "--yes"]
from stream_app.cli import main
main()
"""


@pytest.mark.parametrize(
    ("step", "at"),
    [("append", 1), ("append", 3), ("append", 4), ("append", 6), ("before commit", 0), ("after commit", 0)],
    ids=[
        "before the first record",
        "between records",
        "before the first note",
        "before the last note",
        "before the commit",
        "after it",
    ],
)
def test_killed_at_any_step_each_record_is_there_once_after_the_next_run(room, step, at):
    """kill -9, and the command again: of three records three are there, and three letters say where."""
    room.fill(RECORDS[:3])
    env = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": room.kafka,
        "STREAM_APP_TOPIC_DEAD_LETTERS": room.letters,
        "STREAM_APP_APP_ID": room.id,
    }
    killed = subprocess.run([sys.executable, "-c", KILLED, step, str(at)], env=env, cwd=ROOT, check=False)
    assert killed.returncode == 9
    again = [PROGRAM, "dead-letters", "redrive", "--all", "--yes"]
    done = subprocess.run(again, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert room.sent(3) == RECORDS[:3]
    notes = [found.letter.redriven_to for found in asyncio.run(room.standing()).values()]
    assert notes == [f"{room.source}/1/{record.offset}" for record in room.read(room.source, 1)[3:]]
    assert done.stderr == f"{0 if step == 'after commit' else 3} letters were sent again\n"
