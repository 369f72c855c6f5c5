"""Frames that come much faster than a worker commits them wait in Kafka: its queues and its memory are bounded."""

import json
import subprocess
import sys

from stream_app.formats.frames import FramePart, frames
from tests.support.by_hand import session
from tests.support.deployment import ROOT, Deployment
from tests.support.kafka import flush

EVENTS = "crm-stats.events-1"
PARTITIONS, FRAMES = 2, 400
FRAME_BYTES = 200_000

SLOW = """
import asyncio, json, os, signal, sys
from pathlib import Path
import faust, psutil
from config import settings
from stream_app import worker
from stream_app.kafka.log import TransactionLog

worker.prepare()
app, lanes = worker.create_ledger(settings.load(), Path(sys.argv[1]))
commit, process = TransactionLog.commit, psutil.Process()

async def commit_slowly(log, rows, records, offset):
    await asyncio.sleep(0.1)
    return await commit(log, rows, records, offset)

TransactionLog.commit = commit_slowly

async def watch():
    partitions, frames = int(sys.argv[2]), int(sys.argv[3])
    while len(lanes.full()) < partitions:
        await asyncio.sleep(0.01)
    own = [lanes.lanes[partition] for partition in range(partitions)]
    began, found = process.memory_info().rss, {"queued": 0, "memory": 0, "pauses": 0}
    was_full = lanes.full()
    while any(lane.committed < frames for lane in own):
        found["queued"] = max(found["queued"], *(lane.queued_bytes for lane in own))
        found["memory"] = max(found["memory"], process.memory_info().rss - began)
        found["pauses"] += len(lanes.full() - was_full)
        was_full = lanes.full()
        await asyncio.sleep(0.01)
    print(json.dumps(found), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

async def start():
    app.add_future(watch())

app.starts.append(start)
faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""


def test_a_worker_holds_little_of_what_comes_faster_than_it_commits(tmp_path):
    """160 MB go through; it pauses fetches of what is full, again and again, and keeps no frame that is applied."""
    deployment = Deployment(tmp_path / "run")
    try:
        producer = deployment.producer()
        event = session("s1", "2026-11-03 12:00")
        raws = {0: [b"key", bytes(FRAME_BYTES)]}
        (big,) = frames([FramePart("M1", event.kind, [b"s1"], [event.row], raws)])
        for partition in range(PARTITIONS):
            for _ in range(FRAMES):
                producer.produce(EVENTS, big, partition=partition)
        flush(producer)
        (tmp_path / "state").mkdir()
        arguments = [sys.executable, "-c", SLOW, str(tmp_path / "state"), str(PARTITIONS), str(FRAMES)]
        done = subprocess.run(
            arguments, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
        )
    finally:
        deployment.close()
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["queued"] < 10_000_000
    assert found["memory"] < 60_000_000
    assert found["pauses"] > 5
