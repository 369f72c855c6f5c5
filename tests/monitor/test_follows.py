"""The monitor while another generation is built, and when that one serves: as a process, on a real broker."""

import asyncio
import json

import pytest

from stream_app.access.kafka import KafkaAccess
from stream_app.formats.generations import Generation
from stream_app.kafka import generations
from stream_app.local.ports import free_port
from tests.support.kafka import flush
from tests.support.waiting import wait_until

BUILDING = Generation(2, 2, 3, "building")


class World:
    """Names of one test's topics and groups, and what the topic of generations says."""

    def __init__(self, kafka, new_topic):
        self.kafka, self.app = kafka, f"app-{free_port()}"
        self.generations = new_topic(1, f"{self.app}.generations", cleanup_policy="compact")
        self.events = [new_topic(partitions, f"{self.app}.events-{n}") for n, partitions in ((1, 2), (2, 3))]
        self.settings = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "STREAM_APP_APP_ID": self.app,
            "STREAM_APP_TOPIC_EVENTS": f"{self.app}.events",
            "STREAM_APP_TOPIC_GENERATIONS": self.generations,
            "STREAM_APP_EVENTS_PARTITIONS": "2",
            "STREAM_APP_MONITOR_GROUPS": '[".*"]',
            "STREAM_APP_MONITOR_INTERVAL_MS": "200",
        }

    def tell(self, generation):
        asyncio.run(generations.write(KafkaAccess(self.kafka), self.generations, generation))


@pytest.fixture
def world(kafka, new_topic):
    return World(kafka, new_topic)


def groups(one):
    return {row["group"] for row in one.status()["groups"]}


def test_it_tells_how_far_a_rebuild_is_and_begins_anew_when_it_serves(world, monitor, producer, commit, member):
    """The same process watches the other groups and partitions then; groups of the one before are nobody's trouble."""
    sender = producer()
    for topic, partition, records in ((world.events[0], 0, 10), (world.events[1], 2, 20)):
        for n in range(records):
            sender.produce(topic, b"%d" % n, partition=partition)
    flush(sender)
    commit(f"{world.app}-ledger-1", world.events[0], 10)
    commit(f"{world.app}-ingest", world.events[0], 10)
    one = monitor(**world.settings)
    shown = wait_until("it looked", lambda: (s := one.status()) and s["groups"] and s)
    assert (shown["generation"], shown["rebuild"]) == (1, None)
    assert shown["ours"] == {"ingest": f"{world.app}-ingest", "ledger": f"{world.app}-ledger-1"}

    world.tell(BUILDING)
    owner = member(f"{world.app}-ledger-2", world.events[1])
    commit(f"{world.app}-copy-2", world.events[0], 7)
    found = wait_until("the rebuild is told", lambda: (r := one.status()["rebuild"]) and r["lag_records"] < 30 and r)
    assert found == {
        "generation": 2,
        "group": f"{world.app}-ledger-2",
        "events_partitions": 3,
        "members": 1,
        "lag_records": 20 + 3,
        "records": 20 + 10,
        "rate": found["rate"],
        "catch_up_seconds": pytest.approx(23 / found["rate"]) if found["rate"] else None,
    }
    assert groups(one).isdisjoint({f"{world.app}-ledger-2", f"{world.app}-copy-2"}), "they are no group of others"
    table = one.command().stdout
    assert "Generation 2 is being built beside 1" in table
    assert "23% of the events topic is read, 23 records are left" in " ".join(table.split())
    owner.close()
    wait_until("it is told that nobody builds it", lambda: one.status()["rebuild"]["members"] == 0)
    assert "start stream-app rebuild again" in " ".join(one.command().stdout.split())

    member(f"{world.app}-ledger-2", world.events[1])
    pid = one.process.pid
    world.tell(BUILDING.serving())

    def follows():
        assert one.process.poll() is None
        try:
            return (s := one.status()) and s["generation"] == 2 and s["groups"] and s
        except (OSError, json.JSONDecodeError):  # in the moment between two programs
            return None

    shown = wait_until("it watches the one that serves", follows)
    assert one.process.pid == pid
    assert shown["rebuild"] is None
    assert shown["ours"] == {"ingest": f"{world.app}-ingest-2", "ledger": f"{world.app}-ledger-2"}
    seen = wait_until(
        "the results' partitions are shown", lambda: (s := one.status()) and s["results"] and s["groups"] and s
    )
    assert [row["partition"] for row in seen["results"]] == [0, 1, 2]
    assert {name for name in groups(one) if name.startswith(world.app)} == set(shown["ours"].values())
    ledger = next(row for row in seen["groups"] if row["group"] == f"{world.app}-ledger-2")
    assert {row["topic"] for row in ledger["partitions"]} == {world.events[1]}
    labels = [sample.labels for sample in one.metrics()["crm_group_members"].samples]
    assert {"group": f"{world.app}-ledger-2"} in labels
    assert {"group": f"{world.app}-ledger-1"} not in labels


def test_groups_of_a_generation_that_has_just_begun_to_serve_are_not_missed(world, monitor, new_topic, commit):
    """Its workers are about to join: without members, and with all read, it is well; one that never was rebuilt is missed at once."""
    source = new_topic(1)
    settings = world.settings | {"STREAM_APP_TOPIC_SESSIONS": source}
    for group in (f"{world.app}-ingest", f"{world.app}-ingest-2"):
        commit(group, source, 0)

    def status(one, group):
        row = wait_until(f"{group} is told", lambda: one.status() and (row := one.group(group)) and row)
        return row["status"], row["reason"]

    assert status(monitor(**settings), f"{world.app}-ingest") == ("ERR", "no_members")
    world.tell(BUILDING.serving())
    assert status(monitor(**settings), f"{world.app}-ingest-2") == ("OK", "idle")


def test_it_starts_with_the_generation_that_serves(world, monitor):
    world.tell(Generation(7, 1, 2, "serving"))
    one = monitor(**world.settings)
    shown = wait_until("it looked", lambda: (s := one.status()) and s["groups"] and s)
    assert (shown["generation"], shown["ours"]["ledger"]) == (7, f"{world.app}-ledger-7")
    assert one.end() == 0
