"""The stream on a real Redis, over a real port: what viewers see, and what they cost."""

import asyncio
import contextlib
import json
import re
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest

from stream_app.api.app import create_app, stores
from stream_app.api.live import stream as stream_module
from stream_app.api.live.feed import Feed
from stream_app.api.live.watched import Document, Viewer, WatchedGroup, read_event_id
from stream_app.domain.report import iso_ms
from stream_app.domain.tables import MONTHLY, TABLES
from stream_app.sinks.redis_keys import document_key
from tests.support.api import PREFIX, bearer, settings
from tests.support.fake_view import MONTH, STRANGE, TODAY
from tests.support.serving import BEGIN_MS, NOBODYS, World, serving

URL = f"{PREFIX}/stream"


@pytest.fixture
async def world(redis_url):
    world = World(redis_url)
    await world.redis.flushall()
    await world.fill()
    async with serving(world):
        yield world
    await world.redis.aclose()


class Events:
    """The events of a response, in order."""

    def __init__(self, answer):
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.comments = 0

    async def next(self, *wanted, seconds=60):
        """The next event of these kinds (of any): name, id, data."""
        async with asyncio.timeout(seconds):
            while True:
                fields = {}
                async for line in self._lines:
                    if not line:
                        break
                    name, _, value = line.partition(": ")
                    fields[name] = value
                else:
                    raise EOFError
                if "event" in fields and (not wanted or fields["event"] in wanted):
                    return fields["event"], fields.get("id"), json.loads(fields["data"])

    async def rest(self, seconds=60):
        """All events until the stream ends."""
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(await self.next(seconds=seconds))
        return found


@asynccontextmanager
async def watching(world, query="operatorId=M1", headers=None, client=None):
    async with contextlib.AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(httpx.AsyncClient())
        asked = client.stream("GET", f"{world.base}{URL}?{query}", headers=headers or bearer("*"), timeout=30)
        yield Events(await stack.enter_async_context(asked))


@asynccontextmanager
async def watching_many(world, *watch, headers=None):
    async with httpx.AsyncClient() as client:
        asked = client.stream(
            "POST", f"{world.base}{URL}", json={"watch": watch}, headers=headers or bearer("*"), timeout=30
        )
        async with asked as answer:
            yield Events(answer)


def group(group_id="ALL", operator_id="M1", **more):
    return {"operatorId": operator_id, "groupId": group_id, **more}


async def default(world, name, query="operatorId=M1"):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{world.base}{PREFIX}/{name}?{query}", headers=bearer("*"))).json()["data"]


async def test_both_documents_come_at_once_as_the_questions_give_them_then_as_of(world):
    async with watching(world) as events:
        assert events.answer.status_code == 200
        headers = events.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache, no-transform", "no")
        assert headers["x-request-id"]
        name, _, monthly = await events.next()
        assert (name, monthly) == ("monthly", await default(world, "monthlyIndex"))
        name, identity, distribution = await events.next()
        assert (name, distribution) == ("distribution", await default(world, "chargingDistribute"))
        assert identity == f"{monthly['version']}-{distribution['version']}"
        state = {"operatorId": "M1", "groupId": "ALL", "partition": 3}
        assert await events.next() == ("as-of", None, state | {"asOf": iso_ms(BEGIN_MS)})
        world.as_of_ms += 5000
        await world.fill()
        later = await events.next()
        while later[2]["asOf"] == iso_ms(BEGIN_MS):
            later = await events.next()
        assert later == ("as-of", None, state | {"asOf": iso_ms(BEGIN_MS + 5000)})


async def test_a_change_arrives_and_only_that_document(world):
    async with watching(world) as events:
        await events.next("distribution")
        await events.next("as-of")
        waited = []
        for count in (20, 21, 22):
            arriving = asyncio.create_task(events.next("monthly", "distribution"))
            begun = time.perf_counter()
            version = await world.pay(count=count)
            name, identity, data = await arriving
            waited.append(time.perf_counter() - begun)
            assert (name, data["version"], data["months"][-1]["sessionCount"]) == ("monthly", version, count)
            assert identity.startswith(f"{version}-")
        assert min(waited) < 1


def test_a_version_that_another_process_has_sent_is_the_newest_while_redis_can_not_say():
    """The viewer names it by the id of its last event; documents that stand in are sent once they have come so far."""
    watched, wake = WatchedGroup("M1", "ALL", ["monthly"]), asyncio.Event()
    watched.as_of["monthly"] = b"2026-11-24T00:00:00.000Z"

    def sent(version, *, stands_in):
        watched.latest["monthly"] = Document(b"{}", b"%d" % version, version, stands_in)
        if not watched.viewers:
            watched.viewers.add(Viewer(watched, read_event_id("700", ["monthly"]), wake))
        (viewer,) = watched.viewers
        viewer.notify("monthly")
        return b"id: %d\n" % version in viewer.due_events(live=False)

    assert [sent(version, stands_in=True) for version in (600, 650, 700, 650, 800)] == [False, False, True, False, True]
    assert sent(650, stands_in=False), "Redis can say: it is of another history"


async def test_ids_of_any_characters_are_watched(world):
    for query, operator, group in (
        (httpx.QueryParams({"operatorId": STRANGE, "groupId": STRANGE}), STRANGE, STRANGE),
        (httpx.QueryParams({"operatorId": "M1", "groupId": "vip"}), "M1", "vip"),
    ):
        async with watching(world, str(query)) as events:
            data = (await events.next("monthly"))[2]
            assert (data["operatorId"], data["groupId"]) == (operator, group)
            await events.next("as-of")
            world.version += 1
            currency = "KWD" if operator == STRANGE else "EUR"
            world.view.set_month(operator, group, MONTH, world.version, [5, 1, 0], **{currency: [7, 1, 2, 7, 3, 0]})
            await world.fill()
            assert (await events.next("monthly"))[2]["version"] == world.version


async def test_an_operator_without_documents_shows_zeros_until_its_first_comes(world):
    world.view.add_operator("new")
    await world.redis.hset("crm:as-of", mapping={str(number): iso_ms(BEGIN_MS) for number in range(64)})
    async with watching(world, "operatorId=new&groupId=g") as events:
        assert events.answer.status_code == 200
        monthly = (await events.next("monthly"))[2]
        assert ({month["sessionCount"] for month in monthly["months"]}, monthly["version"]) == ({0}, 0)
        assert (await events.next("distribution"))[2]["total"] == 0
        await events.next("as-of")
        world.view.set_month("new", "g", MONTH, 1, [4, 1, 0], EUR=[100, 0, 0, 1, 1, 0])
        world.view.set_day("new", "g", TODAY, 1, {3: 4})
        await world.fill()
        seen = {event[0]: event[2] for event in [await events.next("monthly", "distribution") for _ in range(2)]}
        assert seen["monthly"]["months"][-1]["sessionCount"] == 4
        assert seen["distribution"]["total"] == 4


async def test_the_last_event_id_keeps_what_is_unchanged_from_being_sent_again(world):
    async with watching(world) as events:
        await events.next("monthly")
        identity = (await events.next("distribution"))[1]
    async with watching(world, headers=bearer("M1") | {"Last-Event-ID": identity}) as events:
        assert (await events.next())[0] == "as-of"
    version = await world.pay(count=30)
    async with watching(world, headers=bearer("M1") | {"Last-Event-ID": identity}) as events:
        name, identity, data = await events.next()
        assert (name, data["version"]) == ("monthly", version)
        assert identity.startswith(f"{version}-")
        assert (await events.next())[0] == "as-of"
    for other in ("1234", "x-y", "", "9" * 40 + "-1"):
        async with watching(world, headers=bearer("M1") | {"Last-Event-ID": other}) as events:
            assert (await events.next())[0] == "monthly"


async def test_many_groups_are_watched_over_one_stream(world):
    async with watching_many(world, group(), group("vip"), group(STRANGE, STRANGE)) as events:
        assert events.answer.status_code == 200
        seen, identity = {}, {}
        while len(seen) < 9:
            name, last, data = await events.next("monthly", "distribution", "as-of")
            key = data["operatorId"], data["groupId"]
            seen[*key, name] = data
            identity[key] = last or identity[key]
        assert seen["M1", "ALL", "monthly"] == await default(world, "monthlyIndex")
        assert seen["M1", "vip", "distribution"] == await default(
            world, "chargingDistribute", "operatorId=M1&groupId=vip"
        )
        assert seen["M1", "vip", "as-of"] == group("vip", partition=3, asOf=iso_ms(BEGIN_MS))
        version = await world.pay(group="vip")
        _, identity["M1", "vip"], data = await events.next("monthly", "distribution")
        assert (data["groupId"], data["version"]) == ("vip", version)
    wanted = [group(id_, operator, lastEventId=identity[operator, id_]) for operator, id_ in identity]
    async with watching_many(world, *wanted) as events:
        assert sorted([(await events.next())[0] for _ in range(3)]) == ["as-of"] * 3


async def test_of_many_groups_one_that_is_refused_leaves_the_others_alone(world):
    asked = [group(), group(operator_id="M2"), {"groupId": "vip", "operatorId": None}]
    async with watching_many(world, *asked, headers=bearer("M1")) as events:
        said = {"code": 40302, "message": "the token does not cover this operator"}
        assert await events.next() == ("refused", None, group(operator_id="M2", **said))
        assert {(await events.next("monthly"))[2]["groupId"] for _ in range(2)} == {"ALL", "vip"}


WRONG_GROUP = '{"watch":[{"groupId":"vip"},{"groupId":""}]}'
WRONG_ID = '{"watch":[{"groupId":"vip","lastEventId":5}]}'


async def test_a_list_of_groups_that_cannot_be_read_is_an_error(world):
    async with httpx.AsyncClient(base_url=world.base) as client:
        for body in (
            "",
            "{}",
            "[]",
            '{"watch":[]}',
            '{"watch":["M1"]}',
            '{"watch":[' + "{}," * 64 + "{}]}",
            "x",
            WRONG_GROUP,
            WRONG_ID,
        ):
            answer = await client.post(URL, content=body, headers=bearer("M1"))
            assert (answer.status_code, answer.json()["code"]) == (400, 40001), body
        assert (await client.post(URL, content='{"watch":[{}]}')).status_code == 401


async def test_many_viewers_share_a_connection_and_a_read(world):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits) as client, contextlib.AsyncExitStack() as stack:
        headers = bearer("M1")

        async def view(number):
            query = "operatorId=M1" if number % 2 else "operatorId=M1&groupId=vip"
            events = await stack.enter_async_context(watching(world, query, headers, client))
            assert events.answer.status_code == 200
            return events

        viewers = [await view(0), await view(1)]
        for events in viewers:
            await events.next("as-of")
        few = len(await world.clients())
        viewers += await asyncio.gather(*(view(number) for number in range(2, 250)))
        await asyncio.gather(*(events.next("as-of") for events in viewers))
        assert len(await world.clients()) <= few + 2
        metrics = (await client.get(f"{world.base}/metrics")).text
        assert "crm_api_viewers 250.0" in metrics
        before = (await world.redis.info("commandstats"))["cmdstat_mget"]["calls"]
        version = await world.pay(count=40)
        seen = await asyncio.gather(*(events.next("monthly") for events in viewers[1::2]))
        after = (await world.redis.info("commandstats"))["cmdstat_mget"]["calls"]
        assert {event[2]["version"] for event in seen} == {version}
        assert after - before <= 4  # one or two for each document that was written
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            left = (await client.get(f"{world.base}/metrics")).text
            if "crm_api_viewers 0.0" in left:
                break
        assert "crm_api_viewers 0.0" in left


async def call(app, query=b"operatorId=M1", *, method="GET", headers=None, send):
    """Ask the application as a server would."""
    leaves = asyncio.Event()

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    sent = [(name.lower().encode(), value.encode()) for name, value in (headers or bearer("M1")).items()]
    scope = {"type": "http", "method": method, "path": URL, "query_string": query, "headers": sent}
    await app(scope, receive, send)


@asynccontextmanager
async def application(world):
    chosen = settings(redis_url=world.redis_url, clickhouse_url=NOBODYS)
    app = create_app(chosen, stores(chosen))
    inbox, outbox = asyncio.Queue(), asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))
    await outbox.get()
    yield app
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await running


async def test_a_slow_client_gets_only_the_latest_and_one_that_takes_nothing_is_dropped(world, monkeypatch):
    monkeypatch.setattr(stream_module, "_SEND_SECONDS_MAX", 4.0)
    gate, bodies = asyncio.Event(), []

    async def slow(message):
        if message["type"] == "http.response.body":
            bodies.append(message["body"])
            if b"event: as-of" in message["body"] or b"distribution" in message["body"]:
                gate.set()
                await asyncio.sleep(2 if len(bodies) < 4 else 3600)

    async with application(world) as app:
        asked = asyncio.create_task(call(app, send=slow))
        await gate.wait()
        for count in range(50, 58):
            version = await world.pay(count=count)
        async with asyncio.timeout(30):
            await asked
    whole = b"".join(bodies)
    versions = [int(found) for found in re.findall(rb"event: monthly\nid: (\d+)-", whole)]
    assert versions[-1] == version
    assert len(versions) < 6
    assert len(bodies) < 8


async def test_the_stream_ends_when_the_token_does(world):
    ends = time.time() + 5
    async with watching(world, headers=bearer("M1", exp=ends)) as events:
        seen = await events.rest()
        assert -0.1 < time.time() - ends < 2
        assert {"monthly", "distribution", "as-of"} == {event[0] for event in seen}
    async with watching(world, headers=bearer("M1", exp=time.time() - 1)) as events:
        assert events.answer.status_code == 401


async def test_permissions_parameters_and_methods_are_those_of_the_questions(world):
    async with httpx.AsyncClient(base_url=world.base) as client:

        async def ask(query="", headers=None, method="GET"):
            answer = await client.request(method, f"{URL}?{query}", headers=headers)
            return answer.status_code, answer.json()["code"]

        assert await ask() == (401, 40101)
        assert await ask(headers=bearer("M1", scope="other")) == (403, 40301)
        assert await ask("operatorId=M2", bearer("M1")) == (403, 40302)
        assert await ask("", bearer(["M1", "M2"])) == (400, 40001)
        assert await ask("operatorId=M1&groupId=", bearer("M1")) == (400, 40001)
        assert await ask("", bearer("M1"), "PUT") == (405, 40501)
        head = await client.head(URL, headers=bearer("M1"))
        assert (head.status_code, head.content) == (200, b"")
        limited = bearer("M1", rate=1)
        codes = [(await client.head(URL, headers=limited)).status_code for _ in range(3)]
        assert codes[0] == 200
        assert 429 in codes
        assert "crm_api_request_seconds_count" in (await client.get("/metrics")).text


async def test_a_server_that_stops_ends_its_streams(redis_url):
    world = World(redis_url)
    await world.redis.flushall()
    await world.fill()
    async with contextlib.AsyncExitStack() as stack:
        async with serving(world):
            viewers = [await stack.enter_async_context(watching(world)) for _ in range(5)]
            viewers.append(await stack.enter_async_context(watching_many(world, group(), group("vip"))))
            for events in viewers:
                await events.next("distribution")
            begun = time.monotonic()
        assert time.monotonic() - begun < 2
        for events in viewers:
            await events.rest()
    await world.redis.aclose()


async def test_without_any_store_it_is_50301():
    world = World("redis://127.0.0.1:1/0")
    async with serving(world), watching(world) as events:
        assert events.answer.status_code == 503
        assert json.loads(await events.answer.aread())["code"] == 50301
    await world.redis.aclose()


async def test_while_redis_is_away_the_stream_says_so_and_goes_on_afterwards(own_redis):
    world = World(own_redis.address)
    await world.fill()
    async with serving(world), watching(world) as events:
        await events.next("distribution")
        await events.next("as-of")
        await asyncio.to_thread(own_redis.halt)
        assert (await events.next("stale"))[2]["asOf"] == iso_ms(BEGIN_MS)
        async with watching(world) as late:
            assert [(await late.next())[0] for _ in range(3)] == ["monthly", "distribution", "stale"]  # as it was
        async with watching(world, "operatorId=M1&groupId=vip") as late:
            assert late.answer.status_code == 503
        await asyncio.to_thread(own_redis.begin)
        # Written before the stream is back on it: nobody hears of that, so it must be read.
        version = await world.pay(count=60)
        name, _, data = await events.next("monthly", "distribution")
        assert (name, data["version"]) == ("monthly", version)
        assert (await events.next("as-of", "stale"))[0] == "as-of"
        version = await world.pay(count=61)
        assert (await events.next("monthly"))[2]["version"] == version
    await world.redis.aclose()


async def test_a_connection_for_updates_that_is_cut_is_made_again_and_documents_are_read(world):
    async with watching(world) as events:
        await events.next("as-of")
        (link,) = await world.redis.client_list(_type="pubsub")
        assert await world.redis.client_kill_filter(_id=link["id"]) == 1
        key = document_key(MONTHLY, "M1", "ALL")
        body = re.sub(rb'"version":\d+', b'"version":%d' % (2**52 + 77), await world.redis.get(key))
        await world.redis.set(key, body)  # without a word on the channel
        assert (await events.next("monthly"))[2]["version"] == 2**52 + 77
        assert await world.pay(count=70) < 2**52 + 77
        world.version = 2**52 + 80
        version = await world.pay(count=71)
        assert (await events.next("monthly"))[2]["version"] == version


async def test_the_feed_ends_a_task_that_missed_its_first_cancellation():
    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    feed = Feed(SimpleNamespace(tables=TABLES), (None, None), None)
    task = feed._start(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await feed.close()
    assert task.cancelled()
