"""Schemas by their ids: asked for once, waited for while the registry is away, and unknown only where the registry says so."""

import asyncio
import json
import logging

import pytest

from stream_app.access.errors import AccessError
from stream_app.access.schema_registry import RegistryAccess
from stream_app.local.ports import free_port
from stream_app.schema_registry import schemas as module
from stream_app.schema_registry import waiting
from stream_app.schema_registry.client import RegistryAwayError, RegistryClient
from stream_app.schema_registry.schemas import RegistrySchemas
from tests.support.protobuf_files import field, file, message
from tests.support.schema_registry import SchemaRegistry, avro
from tests.support.secured import Authority
from tests.support.waiting import until

MONEY = {"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "cents", "type": "int"}]}
ORDER = {"type": "record", "name": "Order", "fields": [{"name": "total", "type": "shop.Money"}]}
WHOLE = {"type": "record", "name": "Order", "fields": [{"name": "total", "type": MONEY}]}
MONEY_FILE = file("default", package="shop", messages={"Money": [field("cents", 1, "INT64")]})
ORDER_FILE = file(
    "default", imports={"shop/money.proto": MONEY_FILE}, messages={"Order": [field("total", 1, ".shop.Money")]}
)


@pytest.fixture
def registry():
    made = SchemaRegistry()
    yield made
    made.close()


@pytest.fixture
async def schemas():
    """Makes the schemas of a registry."""
    made = []

    def make(url, *, now_s=lambda: 0.0, **access):
        made.append(RegistrySchemas(RegistryClient(RegistryAccess(url, **access)), now_s))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_a_schema_is_asked_for_once(registry, schemas):
    """However many ask at once, and ever after."""
    number = registry.add('"int"')
    made = schemas(registry.url)
    assert made.lacks({number})
    found = await asyncio.gather(*(made.of({number}) for _ in range(5)))
    assert {each[number].to_json(avro(number, "int", 7)[5:]) for each in found} == {b"7"}
    assert not made.lacks({number})
    assert registry.asked == {f"GET /schemas/ids/{number}": 1}


async def test_an_id_that_the_registry_does_not_have_is_unknown_for_some_seconds(registry, schemas):
    """It may be registered, or copied from another registry, any moment; one beyond all ids is not asked for."""
    now_s = 0.0
    made = schemas(registry.url, now_s=lambda: now_s)
    assert await made.of({7000, 2**32 - 1}) == {7000: None, 2**32 - 1: None}
    registry.add('"int"')
    assert await made.of({7000}) == {7000: None}
    assert registry.asked == {"GET /schemas/ids/7000": 1}
    now_s = 60.0
    assert (await made.of({7000}))[7000] is not None


@pytest.mark.parametrize("kind", ["JSON", "THRIFT"])
async def test_a_schema_has_the_format_that_the_registry_names(registry, schemas, kind):
    number = registry.add("{}", kind=kind)
    found = await schemas(registry.url).of({number})
    assert found[number].format == {"JSON": "json-schema"}.get(kind, kind)


async def test_of_protobuf_descriptors_are_asked_for(registry, schemas):
    """Of the schema, and of those that it imports, by the names of the imports."""
    registry.add("message Money", kind="PROTOBUF", subject="money", serialized=MONEY_FILE.SerializeToString())
    imported = {"name": "shop/money.proto", "subject": "money", "version": 1}
    number = registry.add(
        "message Order", kind="PROTOBUF", references=[imported], serialized=ORDER_FILE.SerializeToString()
    )
    found = await schemas(registry.url).of({number})
    assert found[number].format == "protobuf"
    assert (
        found[number].to_json(b"\0" + message(ORDER_FILE, "Order", total={"cents": 150})) == b'{"total":{"cents":150}}'
    )


async def test_schemas_that_one_refers_to_are_asked_for_as_well(registry, schemas):
    """Also where they refer to others, and where two refer to the same."""
    registry.add(MONEY, subject="money")
    registry.add(ORDER, subject="order", references=[{"name": "shop.Money", "subject": "money", "version": 1}])
    both = [
        {"name": "Order", "subject": "order", "version": 1},
        {"name": "shop.Money", "subject": "money", "version": 1},
    ]
    number = registry.add({"type": "array", "items": ["Order", "shop.Money"]}, references=both)
    found = await schemas(registry.url).of({number})
    value = avro(1, {"type": "array", "items": [WHOLE, "shop.Money"]}, [{"total": {"cents": 150}}, {"cents": 1}])
    assert json.loads(found[number].to_json(value[5:])) == [{"total": {"cents": 150}}, {"cents": 1}]
    assert registry.asked["GET /subjects/money/versions/1"] == 1


async def test_a_schema_that_refers_to_nothing_reads_nothing(registry, schemas):
    number = registry.add(ORDER, references=[{"name": "shop.Money", "subject": "money", "version": 3}])
    found = await schemas(registry.url).of({number})
    with pytest.raises(Exception, match="it refers to version 3 of money, which the registry does not have"):
        found[number].to_json(b"\0")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(waiting, "_FIRST_S", 0.01)
    monkeypatch.setattr(waiting, "_LARGEST_S", 0.02)


@pytest.mark.usefixtures("quick")
async def test_a_registry_that_is_away_is_waited_for(schemas, caplog):
    """With one line when the waiting begins, and one when it ends."""
    caplog.set_level(logging.WARNING)
    port = free_port()
    made = schemas(f"http://127.0.0.1:{port}")
    waiting = [asyncio.ensure_future(made.of({7000})) for _ in range(3)]
    await until("the waiting is told", lambda: "is waited for" in caplog.text)
    registry = SchemaRegistry(port=port)
    try:
        registry.add('"int"')
        assert all([(await each)[7000] for each in waiting])
    finally:
        registry.close()
    said = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert [line.partition(",")[0] for line in said] == [
        "The schema registry is waited for",
        "The schema registry answers again",
    ]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "answer",
    [(500, b""), (503, b"<html>"), (429, {}), (404, b"not here"), (404, {"error_code": 404, "message": "HTTP 404 Not Found"}), (200, b"<html>"), (200, [])],
    ids=str,
)  # fmt: skip
async def test_what_answers_otherwise_than_a_registry_is_waited_for(registry, schemas, caplog, answer):
    """A wrong address, a proxy before a registry that is down: no record is given up for that."""
    number = registry.add('"int"')
    registry.broken = answer
    waiting = asyncio.ensure_future(schemas(registry.url).of({number}))
    await until("it was asked twice", lambda: sum(registry.asked.values()) > 1)
    registry.broken = None
    assert (await waiting)[number] is not None


@pytest.mark.parametrize(("user", "password"), [("", ""), ("reader", "wrong"), ("else", "pass:word")])
async def test_a_registry_that_refuses_is_one_sentence(schemas, user, password):
    """It would refuse again, so nobody waits."""
    registry = SchemaRegistry(user=("reader", "pass:word"))
    try:
        made = schemas(registry.url, username=user, password=password)
        with pytest.raises(
            AccessError, match=f"refuses {user or 'a client without a name'}: GET .*7000 is answered by 401$"
        ) as caught:
            await made.of({7000})
    finally:
        registry.close()
    assert "word" not in str(caught.value)


async def test_a_registry_is_asked_by_tls_and_as_whom_the_settings_say(schemas, tmp_path):
    ca = Authority(tmp_path)
    registry = SchemaRegistry(user=("reader", "pass:word"), certificate=ca.issue("registry"))
    try:
        number = registry.add('"int"')
        made = schemas(registry.url, username="reader", password="pass:word", cafile=str(ca.file))
        assert (await made.of({number}))[number] is not None
        untrusted = schemas(registry.url, username="reader", password="pass:word")
        with pytest.raises(AccessError, match=f"^the certificate of the schema registry {registry.url} is refused"):
            await untrusted.of({number})
    finally:
        registry.close()


async def test_where_nobody_listens_is_away():
    client = RegistryClient(RegistryAccess(f"http://127.0.0.1:{free_port()}"))
    try:
        with pytest.raises(RegistryAwayError):
            await client.prove()
    finally:
        await client.close()
