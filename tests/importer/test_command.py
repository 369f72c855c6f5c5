"""`stream-app import` as a user sees it, with a real Kafka."""

import asyncio
import base64
import json
import random
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner

from config import settings
from stream_app.access.kafka import KafkaAccess
from stream_app.cli import import_, load
from stream_app.importer import run as importer_run
from stream_app.importer.mapping import MAPPED, SourceRecord
from stream_app.importer.send import KafkaSender, SendError
from stream_app.local.topics import TopicSpec, create_missing
from stream_app.sources import registry
from tests.importer.maps import MAP, ROW, csv_text

NAMES = tuple(topic.name for topic in MAPPED)
OPERATOR = '[[operators]]\noperator_id = "M1"\ntimezone = "Europe/Zurich"\ncurrency = "CHF"\n'


@pytest.fixture
def files(tmp_path):
    """A file of four rows, one of which is refused, and its map."""
    rows = [ROW, ROW | {"id": "s-2", "who": "-"}, ROW | {"id": "s-3", "when": "soon"}, ROW | {"id": "s-4", "paid": ""}]
    (tmp_path / "rows.csv").write_text(csv_text(rows))
    (tmp_path / "map.toml").write_text(MAP + OPERATOR)
    return [str(tmp_path / "rows.csv"), "--map", str(tmp_path / "map.toml")]


@pytest.fixture
def topics(kafka, monkeypatch):
    """Source topics of this test alone; the command finds them by its settings."""
    prefix = uuid.uuid4().hex
    names = {name: f"{prefix}.{name}" for name in NAMES}
    create_missing(KafkaAccess(kafka), [TopicSpec(name, 2) for name in names.values()])
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    for name, topic in names.items():
        monkeypatch.setenv(f"STREAM_APP_TOPIC_{name.upper()}", topic)
    return names


def command(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(load("import"), arguments)


async def arrived(kafka, topics):
    """All records of the topics: name -> [(key, JSON)] in the order of the partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        found = {}
        for name, topic in topics.items():
            found[name] = []
            for partition in [TopicPartition(topic, number) for number in (0, 1)]:
                consumer.assign([partition])
                end = (await consumer.end_offsets([partition]))[partition]
                consumer.seek(partition, 0)
                while await consumer.position(partition) < end:
                    record = await consumer.getone(partition)
                    found[name].append((record.key, json.loads(record.value)))
        return found
    finally:
        await consumer.stop()


def in_thread(function, *arguments):
    """The command has an event loop of its own."""
    return asyncio.to_thread(function, *arguments)


async def test_records_arrive_and_a_repeat_says_the_same(kafka, topics, files):
    result = await in_thread(command, *files)
    assert result.exit_code == 0, result.output
    assert "4 rows read, 3 taken, 1 refused" in result.stdout
    first = await arrived(kafka, topics)
    assert {name: len(records) for name, records in first.items()} == {
        "operators": 1,
        "customer_groups": 2,
        "sessions": 3,
        "payments": 2,
    }
    assert [value["session_id"] for _, value in first["sessions"]] == ["s-1", "s-2", "s-4"]
    assert {key for records in first.values() for key, _ in records} == {b"M1"}

    assert (await in_thread(command, *files)).exit_code == 0
    again = await arrived(kafka, topics)
    assert again == {name: records * 2 for name, records in first.items()}


async def test_a_dry_run_sends_nothing_and_shows_what_it_would(kafka, topics, files):
    result = await in_thread(command, *files, "--dry-run")
    assert result.exit_code == 0, result.output
    shown = [line.split(" ", 1) for line in result.stdout.splitlines() if line.startswith(topics["sessions"] + " ")]
    assert [json.loads(value)["session_id"] for _, value in shown] == ["s-1", "s-2"]
    assert "4 rows read, 3 taken, 1 refused" in result.stdout
    assert "would be sent" in result.stdout
    assert all(not records for records in (await arrived(kafka, topics)).values())


async def test_cdrs_need_no_map(kafka, tmp_path, monkeypatch):
    topic = f"{uuid.uuid4().hex}.cdrs"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("STREAM_APP_TOPIC_CDRS", topic)
    await in_thread(create_missing, KafkaAccess(kafka), [TopicSpec(topic, 2)])
    file = tmp_path / "cdrs.json"
    file.write_text('{"data": [{"country_code": "NL", "party_id": "ALF", "id": "c-1"}, {"id": "c-2"}]}')
    result = await in_thread(command, str(file))
    assert result.exit_code == 0, result.output
    assert "2 rows read, 1 taken, 1 refused" in result.stdout
    found = await arrived(kafka, {"cdrs": topic})
    assert found == {"cdrs": [(b"NL-ALF", {"country_code": "NL", "party_id": "ALF", "id": "c-1"})]}


async def test_an_interrupted_import_goes_on_unless_it_is_told_to_restart(kafka, topics, files, tmp_path, monkeypatch):
    class Stopped(KafkaSender):
        """Takes the announcements and one batch."""

        calls = 0

        async def send(self, records):
            self.calls += 1
            if self.calls > 2:
                raise SendError("stopped")
            await super().send(records)

    monkeypatch.setattr(settings, "RUN", tmp_path)
    monkeypatch.setattr(importer_run, "BATCH_ROWS", 2)
    for arguments, before, records in ([], 2, 3), (["--restart"], 0, 5):
        with monkeypatch.context() as patch:
            patch.setattr(import_, "KafkaSender", Stopped)
            stopped = await in_thread(command, *files)
        assert (stopped.exit_code, stopped.stderr) == (1, "stream-app import: stopped\n")
        result = await in_thread(command, *files, *arguments)
        assert result.exit_code == 0, result.output
        assert (f"{before} rows that an interrupted import had done" in result.stdout) == (before > 0)
        sent = [value["session_id"] for _, value in (await arrived(kafka, topics))["sessions"]]
        assert sent[-records:] == ["s-1", "s-2", *(["s-1", "s-2"] if arguments else []), "s-4"]
    assert list((tmp_path / "state" / "imports").iterdir()) == []


def test_without_what_reads_parquet_a_file_of_it_is_one_sentence_and_csv_is_imported(files, tmp_path):
    """As in the image, which does not hold polars."""
    parquet = tmp_path / "rows.parquet"
    parquet.write_bytes(b"PAR1")
    (tmp_path / "parquet.toml").write_text(MAP + OPERATOR + '[file]\nformat = "parquet"\n')
    program = "import sys; sys.modules['polars'] = None; from stream_app.cli import main; main()"

    def run(*words):
        command = [sys.executable, "-c", program, "import", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for words in [[parquet, "--new-map"], [parquet, "--map", tmp_path / "parquet.toml", "--dry-run"]]:
        done = run(*words)
        assert done.returncode == 1
        assert re.fullmatch(
            r"stream-app import: .*rows\.parquet can't be read here: polars, which reads Parquet, is not installed: .*\n",
            done.stderr,
        )
    assert run(*files, "--dry-run").returncode == 0


def test_a_dry_run_needs_no_kafka(monkeypatch, files):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert command(*files, "--dry-run").exit_code == 0


def test_refused_rows_are_shown_with_reason_key_and_line_and_fail_a_strict_import(files):
    lax = command(*files, "--dry-run")
    (line,) = [line for line in lax.stdout.splitlines() if "not a time" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "1",
        "not a time",
        "session.started_at",
        "4",
        "'soon' fits none of %d.%m.%Y %H:%M, iso8601",
    ]
    strict = command(*files, "--dry-run", "--strict")
    assert (strict.exit_code, strict.stderr) == (1, "stream-app import: 1 of 4 rows were refused\n")


def test_a_value_that_is_left_out_is_shown(files):
    path = Path(files[0])
    path.write_text(csv_text([ROW, ROW | {"kwh": "NA"}]))
    result = command(*files, "--dry-run", "--strict")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if "session.energy_kwh" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "1",
        "not a number",
        "session.energy_kwh",
        "3",
        "'NA'",
    ]


def test_a_file_of_which_nothing_was_taken_is_an_error(files):
    Path(files[0]).write_text(csv_text([ROW | {"when": "soon"}] * 2))
    result = command(*files, "--dry-run")
    assert result.exit_code == 1
    assert "2 rows read, 0 taken, 2 refused" in result.stdout
    assert result.stderr == f"stream-app import: nothing was taken of {files[0]}: each of its 2 rows was refused\n"
    Path(files[0]).write_text(csv_text([]))
    result = command(*files, "--dry-run")
    assert result.exit_code == 1
    assert result.stderr == f"stream-app import: nothing was taken of {files[0]}: it has no rows\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("map.toml", None, "the map {map} can't be used: no such file or directory"),
        ("map.toml", "x = 1", "the map {map} can't be used: Object contains unknown field `x`"),
        ("rows.csv", None, "{file} can't be read: no such file or directory"),
        ("rows.csv", "", "{file} has no header line"),
        (
            "rows.csv",
            "id\n",
            "the map {map} can't be used: `row.customer_id` names the column 'who', which the file does not have; it has id",
        ),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, files, name, content, sentence):
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    result = command(*files)
    expected = sentence.format(map=tmp_path / "map.toml", file=tmp_path / "rows.csv")
    assert (result.exit_code, result.stderr, result.stdout) == (1, f"stream-app import: {expected}\n", "")


def test_kafka_that_does_not_answer_is_one_sentence(monkeypatch, files):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    result = command(*files)
    assert result.exit_code == 1
    assert result.stderr == "stream-app import: Kafka does not answer at 127.0.0.1:1\n"


async def test_missing_topics_are_named_and_not_made(kafka):
    missing = f"missing-{uuid.uuid4().hex}"
    for _ in range(2):
        with pytest.raises(SendError, match=f"lacks {missing}, which `make up` creates"):
            async with KafkaSender(KafkaAccess(kafka), {registry.SESSIONS: missing}):
                pass


async def test_how_large_a_record_may_be_is_the_topic_s_to_say(kafka):
    """Not the client's: a CDR with its signed meter values has more than a mebibyte."""
    value = json.dumps(base64.b64encode(random.Random(7).randbytes(3 << 20)).decode()).encode()
    large, usual = f"large-{uuid.uuid4().hex}", f"usual-{uuid.uuid4().hex}"
    specs = [TopicSpec(large, 2, config={"max.message.bytes": str(8 << 20)}), TopicSpec(usual, 1)]
    await in_thread(create_missing, KafkaAccess(kafka), specs)
    async with KafkaSender(KafkaAccess(kafka), {registry.CDRS: large}) as sender:
        await sender.send([SourceRecord(registry.CDRS, b"M1", value)])
    assert (await arrived(kafka, {"large": large}))["large"]
    with pytest.raises(SendError, match="MessageSizeTooLarge"):
        async with KafkaSender(KafkaAccess(kafka), {registry.CDRS: usual}) as sender:
            await sender.send([SourceRecord(registry.CDRS, b"M1", value)])


async def test_kafka_that_dies_ends_the_import_in_time(own_kafka):
    record = SourceRecord(registry.SESSIONS, b"M1", b"{}")

    async def import_while_it_dies():
        async with KafkaSender(
            KafkaAccess(own_kafka.address), {registry.SESSIONS: "sessions"}, ack_seconds_max=2
        ) as sender:
            await sender.send([record])
            await in_thread(own_kafka.halt)
            async with asyncio.timeout(10):
                await sender.send([record] * 1000)

    await in_thread(create_missing, KafkaAccess(own_kafka.address), [TopicSpec("sessions", 1)])
    async with asyncio.timeout(40):
        with pytest.raises(SendError, match="stopped answering"):
            await import_while_it_dies()
