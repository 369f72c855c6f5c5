"""The seam in real workers: what fails ends the process, and Faust's own monitor still counts."""

import asyncio
import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_app import worker
from stream_app.formats.frames import FramePart, clock_frame, frames
from tests.support.by_hand import session
from tests.support.deployment import ROOT, Deployment
from tests.support.kafka import flush
from tests.support.waiting import wait_until

EVENTS = "crm-stats.events-1"

MONITOR = """
import asyncio, json, os, signal, sys
from pathlib import Path
import faust
from config import settings
from stream_app import worker
from stream_app.kafka import batches

batches.install()
app = worker.create_ingest(settings.load(), Path(sys.argv[1]))

async def watch():
    tps = lambda offsets: {f"{tp.topic}/{tp.partition}": offset for tp, offset in offsets.items()}
    while not all(app.monitor.tp_committed_offsets.get(("charging.payments", p), 0) == 300 for p in range(2)):
        await asyncio.sleep(0.05)
    found = {
        "messages": app.monitor.messages_received_total,
        "by_topic": dict(app.monitor.messages_received_by_topic),
        "events": app.monitor.events_total,
        "ends": tps(app.monitor.tp_end_offsets),
        "committed": tps(app.monitor.tp_committed_offsets),
    }
    Path(sys.argv[2]).write_text(json.dumps(found))
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""

ENDED = """
import asyncio, os, signal, sys
from pathlib import Path
import faust
from config import settings
from stream_app import worker
from stream_app.kafka import batches

batches.install()
app = worker.create_ingest(settings.load(), Path(sys.argv[1]))

async def watch():
    while app.monitor.events_total < 1 or any(message.refcount for message in app.consumer.unacked):
        await asyncio.sleep(0.05)
    thread = app.consumer._thread
    end = thread._gather_remaining_tasks

    async def end_late():
        await asyncio.sleep(3)
        await end()

    thread._gather_remaining_tasks = end_late
    thread._crash(RuntimeError("of another part"))
    await thread._shutdown.wait()
    print("the thread takes no calls", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""

JOINED = """
import asyncio, os, signal, sys
from pathlib import Path
import faust
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from config import settings
from stream_app import worker
from stream_app.faust_seam import transport

worker.prepare()
app = worker.create_ingest(settings.load(), Path(sys.argv[1]))
app.full = lambda: app.consumer.assignment()  # nothing is fetched
app.conf.broker_max_poll_interval = 2.0
transport._ACTIVE_S = 0.2
beat, assign = GroupCoordinator._do_heartbeat, GroupCoordinator._perform_assignment
fails, beats = ["a heartbeat", "an assignment"], []

async def beat_once_not(coordinator):
    if app.running.is_set() and "a heartbeat" in fails:
        fails.remove("a heartbeat")
        raise KafkaError("an answer that aiokafka does not know")
    beats.append(coordinator.generation)
    return await beat(coordinator)

async def assign_once_not(coordinator, response):
    if app.running.is_set() and "an assignment" in fails:
        fails.remove("an assignment")
        raise ValueError("the cluster has changed meanwhile")
    return await assign(coordinator, response)

GroupCoordinator._do_heartbeat, GroupCoordinator._perform_assignment = beat_once_not, assign_once_not

async def watch():
    await app.running.wait()
    before = app.consumer_generation_id
    while fails or app.consumer_generation_id == before or not app.consumer.flow_active:
        await asyncio.sleep(0.05)
    app.consumer._thread.time_started -= 600
    print("joined again", flush=True)
    beats.clear()
    while len(beats) < 5:  # each second; Faust looks at partitions more often
        await asyncio.sleep(0.05)
    print("stays:", set(beats) == {app.consumer_generation_id}, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""

SETTLED = """
import asyncio, os, signal, sys
from pathlib import Path
import faust
from confluent_kafka import Consumer, Producer, TopicPartition
from config import settings
from stream_app import worker
from stream_app.faust_seam.transport import Consumer as Ours

worker.prepare()
found = settings.load()
app = worker.create_ingest(found, Path(sys.argv[1]))
looks, refused, look, commit = [], [], Ours.force_commit, Ours._commit

async def counted(consumer, *args, **kwargs):
    looks.append(consumer)
    return await look(consumer, *args, **kwargs)

async def first_three_not(consumer, offsets):
    if len(refused) < 3:
        refused.append(offsets)
        return False
    return await commit(consumer, offsets)

Ours.force_commit, Ours._commit = counted, first_three_not
kafka = {"bootstrap.servers": found.kafka_bootstrap_servers}
at = [TopicPartition("charging.payments", 0)]

def committed():
    asked = Consumer(kafka | {"group.id": app.conf.id})
    try:
        return asked.committed(at, 30)[0].offset
    finally:
        asked.close()

async def idle():
    while len(app.consumer._settled or ()) < len(app.consumer.assignment()):
        await asyncio.sleep(0.05)
    looks.clear()
    await asyncio.sleep(8 * app.consumer.commit_interval)
    print("looks where nothing comes:", len(looks), flush=True)

async def watch():
    await app.running.wait()
    await idle()
    refused.clear()
    producer = Producer(kafka)
    for n in range(300):
        producer.produce("charging.payments", b'{"n": %d}' % n, partition=0)
    assert producer.flush(60) == 0
    while not (len(refused) == 3 and app.consumer._settled and app.consumer._read_up_to.get(("charging.payments", 0)) == 300):
        await asyncio.sleep(0.05)
    print("committed:", await asyncio.to_thread(committed), flush=True)
    await idle()
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""

STUCK = """
import asyncio, os, signal, sys, time
from pathlib import Path
from config import settings
from stream_app import worker
from stream_app.kafka.log import TransactionLog

worker.prepare()
app, lanes = worker.create_ledger(settings.load(), Path(sys.argv[1]))
commit, signalled = TransactionLog.commit, []

async def hang_for_one(log, rows, records, offset):
    if log._source.partition == 0:
        await asyncio.Event().wait()
    return await commit(log, rows, records, offset)

TransactionLog.commit = hang_for_one

async def watch():
    while lanes.full() != {0}:
        await asyncio.sleep(0.05)
    print("full", flush=True)
    while lanes.lanes[1].committed < 5:
        await asyncio.sleep(0.05)
    print("queued in megabytes:", lanes.lanes[0].queued_bytes // 1_000_000, flush=True)
    signalled.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
try:
    worker.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
finally:
    print("ended in seconds:", int(time.monotonic() - signalled[0]), flush=True)
"""

HANGING = """
import asyncio, os, signal, sys, time
from pathlib import Path
from config import settings
from stream_app import worker

worker._STOP_S, worker._SAID_S = 4.0, 2.0
worker.prepare()
app = worker.create_ingest(settings.load(), Path(sys.argv[1]))

async def wait_for_nothing():
    password = "nobody reads this"
    await asyncio.Event().wait()

async def block_the_loop():
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(60)

async def watch():
    await app.running.wait()
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
app.stops.append({"a task": wait_for_nothing, "the loop": block_the_loop}[sys.argv[2]])
worker.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""


@pytest.fixture
def deployment(tmp_path):
    made = Deployment(tmp_path / "run")
    yield made
    made.close()


def test_a_frame_that_cannot_be_read_ends_the_worker_and_is_not_skipped(deployment):
    """With an exit code and a traceback, each time it is started; what came before is committed, nothing behind it is read."""
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    delivered = []
    producer = deployment.producer()
    producer.produce(EVENTS, b"\x92\x07\xc0", partition=2, on_delivery=lambda _, message: delivered.append(message))
    producer.produce(EVENTS, b"\x92\x01\xc0", partition=2)
    flush(producer)
    (broken,) = delivered
    for _ in range(2):
        process = deployment.process("worker-1")
        wait_until("the worker has ended", lambda process=process: process.poll() is not None)
        assert process.returncode > 0
        log = deployment.log("worker-1")
        assert "Traceback (most recent call last)" in log
        assert "FrameError: a frame of format 7: this version reads up to" in log
        asked = [TopicPartition(EVENTS, 2)]
        consumer = Consumer({"bootstrap.servers": deployment.kafka, "group.id": "crm-stats-ledger-1"})
        assert consumer.committed(asked, 10)[0].offset <= broken.offset()
        consumer.close()
        deployment.run.log_file("worker-1").unlink()
        deployment.start_worker(1)


def test_a_worker_ends_though_the_thread_that_would_commit_takes_no_calls_any_more(deployment, tmp_path):
    """A failure of any part ends it, while offsets to be committed are left: it is asked once more, and nobody may wait for its answer."""
    producer = deployment.producer()
    for n in range(300):
        producer.produce("charging.payments", b'{"n": %d}' % n)
    flush(producer)
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", ENDED, str(tmp_path / "state")]
    env = {**deployment.env, "STREAM_APP_INGEST_COMMIT_MS": "600000"}
    done = subprocess.run(arguments, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "the thread takes no calls" in done.stdout


def test_a_worker_stays_in_its_group_whatever_fails_and_though_it_fetches_nothing(deployment, tmp_path):
    """An error of a heartbeat, and of an assignment, while no record is read: aiokafka stands still after each until it is asked. So it does without a fetch for long.

    Nor is a partition that came lately called one that stands still since the start, in a line for each.
    """
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", JOINED, str(tmp_path / "state")]
    done = subprocess.run(
        arguments, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["joined again", "stays: True"]
    assert "fetch request" not in done.stderr


def test_a_worker_looks_for_offsets_to_commit_only_where_something_has_come(deployment, tmp_path):
    """A commit that Kafka refuses is tried again; once all is committed nobody looks, though each fetch tells positions."""
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", SETTLED, str(tmp_path / "state")]
    done = subprocess.run(
        arguments, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    quiet = "looks where nothing comes: 0"
    assert done.stdout.splitlines() == [quiet, "committed: 300", quiet]


def test_fausts_monitor_counts_messages_end_offsets_and_commits(deployment, tmp_path):
    """A message is a fetch of a partition; ends and commits are offsets of Kafka."""
    producer = deployment.producer()
    for partition in range(2):
        for n in range(300):
            producer.produce("charging.payments", b'{"n": %d}' % n, partition=partition)
    flush(producer)
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", MONITOR, str(tmp_path / "state"), str(tmp_path / "found.json")]
    done = subprocess.run(
        arguments, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    ours = {"charging.payments/0": 300, "charging.payments/1": 300}
    assert found["committed"].items() >= ours.items()
    assert found["ends"] == ours
    assert 2 <= found["messages"] <= 600
    assert found["by_topic"] == {"charging.payments": found["messages"]}
    assert found["events"] == found["messages"]


def test_a_partition_whose_commit_hangs_holds_up_nobody_else(deployment, tmp_path):
    """Not the others' frames, which come behind 60 MB of its own; nor the end of the worker."""
    producer = deployment.producer()
    event = session("s1", "2026-11-03 12:00")
    raws = {0: [b"key", bytes(200_000)]}
    (big,) = frames([FramePart("M1", event.kind, [b"s1"], [event.row], raws)])
    for _ in range(300):
        producer.produce(EVENTS, big, partition=0)
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", STUCK, str(tmp_path / "state")]
    with subprocess.Popen(
        arguments, env=deployment.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "full\n"
        for _ in range(5):
            producer.produce(EVENTS, clock_frame(1992992), partition=1)
        flush(producer)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err[-3000:]
    found = dict(line.rsplit(": ", 1) for line in out.splitlines())
    assert int(found["queued in megabytes"]) < 30
    assert int(found["ended in seconds"]) < 30


async def test_a_task_that_has_no_stack_hides_none_of_the_others(monkeypatch):
    """Those of other threads go on while they are looked at."""
    told = []

    def print_task_stack(task, file):
        told.append(task.get_name())
        raise RuntimeError("cannot find stack of coroutine")

    monkeypatch.setattr(worker, "print_task_stack", print_task_stack)
    tasks = [asyncio.create_task(asyncio.sleep(60), name=name) for name in ("one", "another")]
    stderr = io.StringIO()
    worker.Worker._on_sigusr1(SimpleNamespace(loop=asyncio.get_running_loop(), stderr=stderr))
    assert {"one", "another"} <= set(told)
    assert stderr.getvalue() == "  cannot find stack of coroutine\n" * len(told)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("what", "where", "times"), [("a task", "in wait_for_nothing", 1), ("the loop", "in block_the_loop", 2)]
)
def test_a_worker_that_does_not_stop_ends_as_if_killed_and_says_where_it_stood(
    deployment, tmp_path, what, where, times
):
    """As it does at SIGUSR1, the loop running or not. It tells no value of a variable."""
    (tmp_path / "state").mkdir()
    arguments = [sys.executable, "-c", HANGING, str(tmp_path / "state"), what]
    done = subprocess.run(
        arguments, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Timeout (0:00:04)!" in done.stderr
    assert done.stderr.count(where) == times
    assert ("the worker does not stop: it ends in 2 s as it stands" in done.stderr) is (what == "a task")
    assert "nobody reads this" not in done.stderr
