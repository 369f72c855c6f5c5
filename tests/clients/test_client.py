"""The client of aiokafka's producers and consumers, with a broker that takes connections and stands still, as a paused one does."""

import asyncio
import socket
import struct

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer import consumer
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError
from aiokafka.producer import producer
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import BrokerMetadata

from stream_app.cli.generation import prepare_client
from stream_app.clients import client as module
from stream_app.clients.client import Client
from stream_app.clients.waiting import passes
from stream_app.local.ports import HOST
from tests.support.waiting import until

STILL = 99  # the id of the broker that stands still
LONG_MS = 10_000_000


@pytest.fixture
def still_port():
    """A port whose connections the machine takes, for a program that never looks at them."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
async def new_client():
    """Makes clients that ask for metadata only when they need some."""
    made = []

    def make(*servers: str) -> Client:
        made.append(Client(bootstrap_servers=",".join(servers), metadata_max_age_ms=LONG_MS))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def client(new_client, kafka, still_port):
    """A client that has started, and knows a broker that stands still."""
    made = new_client(kafka)
    await made.bootstrap()
    made.cluster._brokers[STILL] = BrokerMetadata(STILL, HOST, still_port, None)
    return made


def answering(client: Client) -> int:
    (node,) = {broker.nodeId for broker in client.cluster.brokers()} - {STILL}
    return node


async def test_it_starts_though_most_bootstrap_servers_stand_still(kafka, new_client, still_port, monkeypatch):
    """Each is asked for some seconds at most, whatever the time limit of requests."""
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    made = new_client(kafka, *[f"{HOST}:{still_port}"] * 7)
    async with asyncio.timeout(30):
        await made.bootstrap()
    assert [f"{HOST}:{broker.port}" for broker in made.cluster.brokers()] == [kafka]


async def test_connections_to_other_brokers_do_not_wait_for_it(client, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_S", 300.0)
    waiting = asyncio.create_task(client.send(STILL, MetadataRequest([])))
    for _ in range(9):  # it connects
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        assert (await client.send(answering(client), MetadataRequest([]))).brokers
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_another_leader_is_looked_for_when_it_does_not_take_a_connection(client, monkeypatch):
    """Who sends to a leader would try the same broker again, until its metadata are some minutes old."""
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    with pytest.raises(NodeNotReadyError):
        await client.send(STILL, MetadataRequest([]))
    await until("metadata are asked for", lambda: client.cluster.broker_metadata(STILL) is None, 60)


async def test_one_attempt_is_for_all_who_wait_for_it(client, still_port, monkeypatch):
    """So each of them can turn to another broker when the first one can."""
    monkeypatch.setattr(module, "CONNECT_S", 1.0)
    tried = []

    async def connect(_, port, **__):
        tried.append(port)
        await asyncio.Event().wait()

    monkeypatch.setattr("aiokafka.client.create_conn", connect)
    sent = [client.send(STILL, MetadataRequest([])) for _ in range(5)]
    found = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(each) for each in found] == [NodeNotReadyError] * 5
    assert tried.count(still_port) == 1


async def test_a_connection_that_others_have_let_go_of_is_no_error_of_its_own(client, monkeypatch):
    """As behind a pause, when several requests are late at once: aiokafka closes what it does not have any more."""
    node = answering(client)
    conn = await client._get_conn(node)

    async def late():
        client._conns.pop((node, ConnectionGroup.DEFAULT)).close()
        raise TimeoutError

    monkeypatch.setattr(conn, "send", lambda *_, **__: late())
    with pytest.raises(RequestTimedOutError):
        await client.send(node, MetadataRequest([]))


async def test_its_end_does_not_wait_for_what_a_broker_does_not_take(kafka, new_client, monkeypatch):
    """A request larger than what the machine keeps for a connection, to a broker that stands still from then on."""
    still = asyncio.Event()

    async def carry(source, sink):
        while not still.is_set() and (data := await source.read(65_536)):
            sink.write(data)
        await asyncio.Event().wait()

    async def serve(near, back):
        far, there = await asyncio.open_connection(HOST, int(kafka.rpartition(":")[2]))
        try:
            await asyncio.gather(carry(near, there), carry(far, back))
        finally:
            for writer in (there, back):
                writer.transport.abort()

    server = await asyncio.start_server(serve, HOST, 0)
    relay = "bootstrap-0"
    made = new_client(f"{HOST}:{server.sockets[0].getsockname()[1]}")
    await made.send(relay, MetadataRequest([]))
    still.set()
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    monkeypatch.setitem(module._HELD_S, ProduceRequest, 0.5)
    with pytest.raises(RequestTimedOutError):
        await made.send(
            relay,
            ProduceRequest(
                transactional_id=None, required_acks=-1, timeout=1000, topics=[("t", [(0, bytes(1 << 24))])]
            ),
        )
    async with asyncio.timeout(60):
        await made.close()
    server.close()


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_connection_that_ends_before_the_answer_comes_is_waited_for(kafka, new_client, how):
    """A broker that ends closes its connections, one that is killed may have them reset."""
    ending = False

    async def serve(near, back):
        far, there = await asyncio.open_connection(HOST, int(kafka.rpartition(":")[2]))
        while data := await near.read(65_536):
            if ending:
                break
            there.write(data)
            back.write(await far.read(65_536))
        there.close()
        if how == "reset":
            back.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        back.close()

    server = await asyncio.start_server(serve, HOST, 0)
    relay = "bootstrap-0"
    made = new_client(f"{HOST}:{server.sockets[0].getsockname()[1]}")
    await made.send(relay, MetadataRequest([]))
    ending = True
    with pytest.raises(KafkaConnectionError) as caught:
        await made.send(relay, MetadataRequest([]))
    assert passes(caught.value)
    server.close()


async def test_producers_and_consumers_of_commands_use_it(monkeypatch):
    """Imports, redrives and simulations, too: a broker that stands still holds them up no longer than a worker."""
    for user in (consumer, producer):
        monkeypatch.setattr(user, "AIOKafkaClient", AIOKafkaClient)
    prepare_client()
    for made in (AIOKafkaProducer(bootstrap_servers="no:1"), AIOKafkaConsumer(bootstrap_servers="no:1")):
        client = made.client if isinstance(made, AIOKafkaProducer) else made._client
        assert isinstance(client, Client)
        await made.stop()
