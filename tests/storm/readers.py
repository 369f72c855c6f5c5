"""Those who read all through a storm: Redis, ClickHouse and HTTP, each in a thread of its own.

Each notes versions and as-of that fell, and two contents of one version, whichever outputs they came from. Of some versions, chosen by a hash, the content is
kept, to be held against the oracle afterwards (`prefixes.py`).
"""

import json
import random
import threading
import time
import urllib.error
from collections.abc import Callable
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Self
from zlib import compress, decompress

import clickhouse_driver.errors
import redis
from clickhouse_driver import Client

from tests.oracle_room.differences import MONTHLY_COLUMNS, compare, decoded
from tests.storm.site import Site, impatient_redis
from tests.support.feed import epoch_ms
from tests.support.service import DATABASE

_KEPT_OF: Final = 1 << 16


class Name(NamedTuple):
    """What has a version: a document of a group, or a monthly row. `period` and `currency` are empty for documents."""

    kind: str  # "monthly" or "distribution" for documents, "row" for monthly rows
    operator: str
    group: str
    period: str = ""
    currency: str = ""


class Seen(NamedTuple):
    """A content that was read. `as_of_ms`: what was read before it as up to when it holds; 0 for none."""

    name: Name
    version: int
    content: Any
    as_of_ms: int


class Notes:
    """What the readers saw. `wrong`: a line for each thing that must not be; `kept`: contents to be compared with the oracle."""

    def __init__(self, keep_share: float) -> None:
        self.wrong: list[str] = []
        self.kept: list[Seen] = []
        self.versions = 0  # names times versions
        self.reads = dict.fromkeys(("redis", "clickhouse", "http"), 0)
        self._keep_below = keep_share * _KEPT_OF
        self._first: dict[tuple[Name, int], tuple[bytes, bytes]] = {}  # the digest, and the content compressed
        self._lock = threading.Lock()

    def content(self, where: str, name: Name, version: int, content: Any, as_of_ms: int = 0) -> None:
        """A version of something, as it was read: one version has one content. Version 0: nothing was known yet."""
        if not version:
            return
        text = json.dumps(content, sort_keys=True)
        digest = blake2b(text.encode(), digest_size=12).digest()
        with self._lock:
            before, packed = self._first.setdefault((name, version), (digest, compress(text.encode(), 1)))
            if before is digest:
                self.versions += 1
                chosen = blake2b(repr((name, version)).encode(), digest_size=2).digest()
                if int.from_bytes(chosen, "big") < self._keep_below:
                    self.kept.append(Seen(name, version, content, as_of_ms))
        if before != digest:
            differences = compare(json.loads(decompress(packed)), json.loads(text))
            self.wrong.append(f"{where} {name}: two contents of version {version}: {differences[:3]}")


class Falls:
    """Versions and as-of by what they are of, as one reader sees them, one after the other."""

    def __init__(self) -> None:
        self._last: dict[Any, Any] = {}

    def fell(self, of: Any, found: Any) -> str:
        """How it fell, in words; empty where it did not."""
        before = self._last.get(of, found)
        self._last[of] = found
        return f"{of}: {before}, then {found}" if found < before else ""


class Reader:
    """Reads again and again while the block runs; a server that is away is asked again later."""

    def __init__(self, every_s: float, read: Callable[[], None], away: tuple[type[Exception], ...]) -> None:
        self._every_s, self._read, self._away = every_s, read, away
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._read()
            except self._away:
                pass
            except Exception as exc:  # noqa: BLE001  # told by whoever began the reader
                self.failure = exc
                return


class RedisReader:
    """All documents, with the as-of that was read before."""

    away = (redis.RedisError, OSError)

    def __init__(self, site: Site, notes: Notes) -> None:
        self._redis, self._notes, self._falls = impatient_redis(site.deployment), notes, Falls()

    def read(self) -> None:
        """Read all, once."""
        as_of = {partition: found.decode() for partition, found in self._redis.hgetall("crm:as-of").items()}
        for partition, found in as_of.items():
            if fell := self._falls.fell(f"as-of of {partition!r}", found):
                self._notes.wrong.append(f"Redis {fell}")
        keys = sorted(
            key for kind in ("monthly", "distribution") for key in self._redis.scan_iter(f"crm:{{*}}:{kind}:*", 500)
        )
        for key, document in zip(keys, self._redis.mget(keys) if keys else [], strict=True):
            if document is None:
                continue
            data = json.loads(document)
            if fell := self._falls.fell(key.decode(), data["version"]):
                self._notes.wrong.append(f"Redis {fell}")
            found = as_of.get(str(data["partition"]).encode())
            name = _document_name(key.decode())
            self._notes.content("Redis", name, data["version"], _bare(data), epoch_ms(found) if found else 0)
            self._notes.reads["redis"] += 1


class ClickHouseReader:
    """All monthly rows."""

    away = (clickhouse_driver.errors.Error, OSError, EOFError)

    def __init__(self, site: Site, notes: Notes) -> None:
        self._address, self._notes, self._falls = site.deployment.address("CLICKHOUSE_URL"), notes, Falls()

    def read(self) -> None:
        """Read all, once."""
        client = Client.from_url(f"{self._address}?connect_timeout=2&send_receive_timeout=5")
        try:
            rows = client.execute(
                f"SELECT operator_id, group_id, stat_month, currency, version, {', '.join(MONTHLY_COLUMNS)} "
                f"FROM {DATABASE}.ads_operation_crm_monthly_current"
            )
        finally:
            client.disconnect()
        for operator, group, month, currency, version, *values in rows:
            name = Name("row", operator, group, month.strftime("%Y-%m"), currency)
            if fell := self._falls.fell(name, version):
                self._notes.wrong.append(f"ClickHouse {fell}")
            plain = [str(value) if isinstance(value, Decimal) else value for value in values]
            self._notes.content("ClickHouse", name, version, plain)
            self._notes.reads["clickhouse"] += 1


class HttpReader:
    """Default answers of groups, chosen at random, by the API.

    While Redis is away the API composes answers from ClickHouse, which follows within seconds: their as-of, which is of whole seconds, tells, and may be
    older than what was said before; their version may not. All of them are kept (`composed`).
    """

    away = (OSError, urllib.error.URLError)

    def __init__(self, site: Site, notes: Notes, names: Callable[[], list[tuple[str, str]]], seed: int) -> None:
        self._deployment, self._notes, self._names, self._rng = site.deployment, notes, names, random.Random(seed)
        self._token = site.deployment.token("--operator", "*")
        self._falls = Falls()
        self.composed: list[Seen] = []

    def read(self) -> None:
        """Ask for one document."""
        names = self._names()
        if not names:
            return
        operator, group = self._rng.choice(names)
        path, kind = self._rng.choice((("monthlyIndex", "monthly"), ("chargingDistribute", "distribution")))
        data = self._deployment.post(path, {"operatorId": operator, "groupId": group}, self._token)
        self._notes.reads["http"] += 1
        name, as_of_ms = Name(kind, operator, group), epoch_ms(data["asOf"])
        fell = self._falls.fell(name, data["version"])
        if as_of_ms % 1000 == 0:
            self.composed.append(Seen(name, data["version"], _bare(data), as_of_ms))
        else:
            fell = fell or self._falls.fell((name, "as-of"), data["asOf"])
        if fell:
            self._notes.wrong.append(f"HTTP {fell}")
        self._notes.content("HTTP", name, data["version"], _bare(data), as_of_ms)


def _document_name(key: str) -> Name:
    """Of crm:{operator}:kind:group."""
    operator, rest = key.removeprefix("crm:{").split("}:", 1)
    kind, group = rest.split(":", 1)
    return Name(kind, decoded(operator), decoded(group))


def _bare(data: dict[str, Any]) -> dict[str, Any]:
    """Without as-of and version, which are not content."""
    return {name: value for name, value in data.items() if name not in ("asOf", "version")}


class Freshness:
    """How old the oldest result of a sink is, as it was looked at. `seen`: (when, as-of or None), both in epoch milliseconds."""

    def __init__(self, as_of_ms: Callable[[], int | None]) -> None:
        self._as_of_ms = as_of_ms
        self.seen: list[tuple[int, int | None]] = []

    def read(self) -> None:
        """Look once."""
        found = self._as_of_ms()
        self.seen.append((int(time.time() * 1000), found))

    def reached(self, time_ms: int) -> bool:
        """Do results hold everything taken before this time?"""
        return bool(self.seen) and (self.seen[-1][1] or 0) >= time_ms

    def oldest_s(self, since_ms: int, until_ms: int) -> float:
        """The oldest that results were; while nobody says their age, as old as what was said last, and older by the time since."""
        worst, last = 0, None
        for at, as_of in list(self.seen):
            last = as_of if as_of is not None else last
            if last is not None and since_ms <= at <= until_ms:
                worst = max(worst, at - last)
        return worst / 1000
