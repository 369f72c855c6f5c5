"""`python -m tests.schema_registry FOLDER`: our side of a schema registry against a real Karapace, whose sources (tag 3.16.0) lie in the folder.

Karapace is in no package index, and pins versions of what we use, too: it gets an environment of its own below .run. Prints a line a check, and ends with 1 when
one fails. What is checked here tests check against a stand-in (tests/support/schema_registry.py); here it is the stand-in that is checked, but for what schemas refer to: this version takes no references of Avro, and serializes no Protobuf that imports.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from config.settings import LIB, ROOT, load
from stream_app.access.schema_registry import RegistryAccess
from stream_app.cli.contracts import contracts_of, register_contracts
from stream_app.local.ports import HOST, free_port
from stream_app.schema_registry.client import RegistryClient
from stream_app.schema_registry.schemas import RegistrySchemas
from stream_app.schema_registry.subjects import READ_BY_OTHERS, RefusedError, register
from stream_app.sources import wire
from tests.support import avro_topics
from tests.support.own_server import OwnServer
from tests.support.own_topics import TOPICS
from tests.support.waiting import wait_until

HOME = ROOT / ".run" / "karapace"
PROTO = 'syntax = "proto3"; package shop; message Order { string id = 1; int64 cents = 2; }'


def installed(source: Path) -> Path:
    """The Python of Karapace's environment, with what it pins; of Avro the one of the index is enough, in place of a fork."""
    python = HOME / "bin" / "python"
    if not python.exists():
        uv = os.environ.get("UV", "uv")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, HOME], check=True)
        pins = (source / "requirements" / "requirements.txt").read_text().splitlines()
        wanted = [
            pin.strip() for pin in pins if "==" in pin and not pin.startswith(("exceptiongroup", "pkgutil", "zipp"))
        ]
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *wanted, "avro==1.12.0"], check=True)
    (source / "karapace" / "version.py").write_text('__version__ = "3.16.0"\n')  # as its build does
    return python


@contextmanager
def karapace(python: Path, source: Path, folder: Path, servers: str) -> Iterator[str]:
    """The address of a registry that answers."""
    port = free_port()
    at = {"host": HOST, "port": port, "advertised_hostname": HOST, "advertised_port": port}
    config = {
        **at,
        "bootstrap_uri": servers,
        "karapace_registry": True,
        "karapace_rest": False,
        "replication_factor": 1,
        "log_level": "WARNING",
    }
    (folder / "karapace.json").write_text(json.dumps(config))
    url = f"http://{HOST}:{port}"
    with (folder / "karapace.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "karapace.karapace_all", folder / "karapace.json"], cwd=source, stdout=log, stderr=log
        )

    def answers() -> bool:
        assert process.poll() is None, (folder / "karapace.log").read_text()[-3000:]
        try:
            return httpx.get(f"{url}/subjects", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    try:
        wait_until("Karapace answers", answers)
        yield url
    finally:
        process.terminate()
        process.wait(30)


class Checks:
    """What is checked, by name; each is told when it holds."""

    def __init__(self, url: str) -> None:
        self._access = RegistryAccess(url)
        self._client = RegistryClient(self._access)
        self._schemas = RegistrySchemas(self._client)

    async def run(self) -> None:
        for check in (self.contracts, self.changes, self.unknown, self.avro, self.others):
            await check()
            print(f"holds: {check.__doc__}")
        await self._schemas.close()

    async def add(self, subject: str, schema: str, kind: str = "AVRO", **more: Any) -> int:
        answer = await self._client._http.post(
            f"subjects/{subject}/versions", json={"schema": schema, "schemaType": kind, **more}
        )
        assert answer.is_success, answer.text
        return int(answer.json()["id"])

    async def contracts(self) -> None:
        """our contracts are registered, once, with their modes"""
        for _ in range(2):
            await asyncio.to_thread(register_contracts, load(), self._access, seconds_max=30)
        for contract in contracts_of(load()):
            subject = f"{contract.topic}-value"
            answer = await self._client._http.get(f"subjects/{subject}/versions/latest")
            assert (answer.json()["version"], json.loads(answer.json()["schema"])) == (1, contract.schema)
            assert await self._client.compatibility(subject) == contract.mode

    async def changes(self) -> None:
        """a change that breaks who relies on a contract is refused in words; a field more of a result is not"""
        for contract in contracts_of(load()):
            changed = json.loads(json.dumps(contract.schema))
            changed["properties"][changed["required"][0]] = {"type": "boolean"}
            try:
                await register(self._client, [contract._replace(schema=changed)])
            except RefusedError as error:
                print(f"  {error}"[:200])
            else:
                raise AssertionError(f"{contract.topic}: {changed['required'][0]} may become a boolean")
            if contract.mode == READ_BY_OTHERS:
                more = {**contract.schema, "properties": {**contract.schema["properties"], "new": {"type": "string"}}}
                await register(self._client, [contract._replace(schema=more)])

    async def unknown(self) -> None:
        """an id that nobody has is unknown"""
        assert await self._schemas.of({99_999}) == {99_999: None}

    async def avro(self) -> None:
        """records by two versions of a schema are read"""
        numbers = [await self.add(f"{avro_topics.TOPIC}-value", json.dumps(schema)) for schema in avro_topics.SCHEMAS]
        messages = list(TOPICS["orders-postgresql"][1](1, datetime.now(UTC) - timedelta(days=20)))
        values = [message.value for message in avro_topics.written(messages, (numbers[0], numbers[1]))]
        made, refused = wire.opened("avro", values, await self._schemas.of(set(numbers)))
        assert (len(made), refused) == (len(values), {})

    async def others(self) -> None:
        """JSON Schema and Protobuf are read"""
        number = await self.add("json", '{"type": "object"}', "JSON")
        assert wire.opened("json-schema", [b"\0" + number.to_bytes(4) + b"{}"], await self._schemas.of({number}))[
            0
        ] == [b"{}"]
        number = await self.add("proto", PROTO, "PROTOBUF")
        found = await self._schemas.of({number})
        value = b"\0" + number.to_bytes(4) + b"\0\x0a\x01a\x10\x96\x01"
        assert wire.opened("protobuf", [value], found) == ([b'{"id":"a","cents":150}'], {})


def main() -> None:
    """Start a broker and Karapace, and check."""
    parser = argparse.ArgumentParser(prog="python -m tests.schema_registry", description=__doc__)
    parser.add_argument("source", type=Path, help="the folder of Karapace's sources")
    source = parser.parse_args().source.resolve()
    python = installed(source)
    with tempfile.TemporaryDirectory(prefix="crm-stats-karapace-") as name:
        kafka = OwnServer("kafka", Path(name) / "kafka", LIB)
        try:
            with karapace(python, source, Path(name), kafka.address) as url:
                asyncio.run(Checks(url).run())
        finally:
            kafka.halt()


if __name__ == "__main__":
    main()
