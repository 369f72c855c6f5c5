"""Which store answers a question, and with what: Redis first, ClickHouse when Redis has nothing or is down.

Place: between the checked question and HTTP. Invariants: an as-of never speaks for more than the store that answered
holds; an operator or group without data is zeros, but only when a store says so that can know: a document missing in
Redis may have been evicted there. The default answers of Redis are handed on as bytes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from stream_app.api.asking.documents import loaded, spliced
from stream_app.api.asking.given import Answer, Given
from stream_app.api.asking.parameters import PeriodsQuery
from stream_app.api.asking.windows import Retention, WindowedQuestion, question_of
from stream_app.api.errors import NO_STORE, ApiError, bad_parameter
from stream_app.api.stores.circuit import CircuitBreaker, StoreUnavailable
from stream_app.api.stores.ports import AsOf, CellStore, DocumentStore, ReadResult
from stream_app.domain.events import ALL
from stream_app.domain.local_time import zone
from stream_app.domain.report import Json, groups_data, iso_ms
from stream_app.domain.tables import TABLES, Table
from stream_app.formats.murmur2 import partition_for
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.clickhouse_writes import WriteUnderWay
from stream_app.sinks.redis_keys import PARTITIONS, groups_key

REDIS: Final = "redis"
CLICKHOUSE: Final = "clickhouse"
SETTLE_S: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5)  # pauses while rows are being written
_IMPLIED_MAX: Final = 10_000
_NEVER: Final = iso_ms(0).encode()  # of a store that has said nothing of a partition yet


class _AbsentDocument(NamedTuple):
    """What Redis says of a group without a document. None: not known."""

    as_of: bytes | None  # up to when the document is known to be absent
    version: int | None  # of the operator's document for ALL


class Answers:
    """The answers: one for each table, groups, operators.

    `now_quarter` gives the wall clock in quarter hours since 1970; `default_currency` is that of an operator no store
    knows; `events_partitions` is the number of partitions until Redis has said it: a rebuild may change it meanwhile.
    """

    def __init__(
        self,
        documents: tuple[DocumentStore, CircuitBreaker],
        cells: tuple[CellStore, CircuitBreaker],
        *,
        retention: Retention,
        events_partitions: int,
        default_currency: str,
        now_quarter: Callable[[], int],
        tables: Sequence[Table[Any]] = TABLES,
    ) -> None:
        self._documents, self._redis = documents
        self._cells, self._clickhouse = cells
        self._retention = retention
        self._events_partitions = events_partitions  # as Redis said it last
        self._default_currency = default_currency
        self._now_quarter = now_quarter
        self._given = Given(lambda: int(time.time() * 1000))
        self._implied: set[str] = set()  # operators that were implied and known
        self.tables = tables
        self._questions = {table.name: question_of(table, retention) for table in tables}
        self._default_lengths = {table.name: min(table.shown, retention.asked_max(table)) for table in tables}

    async def default(self, table: Table[Any], operator_id: str, group_id: str) -> Answer:
        """The answer of a table, to a question that names nothing but operator and group. `Raises` ApiError."""
        return await self.of_table(
            table, operator_id, PeriodsQuery(operator_id, group_id, self._default_lengths[table.name])
        )

    async def of_table(self, table: Table[Any], operator_id: str, asked: PeriodsQuery) -> Answer:
        """The answer of a table, to a question that may ask for any window. `Raises` ApiError."""
        question, group = self._questions[table.name], asked.group_id
        key = question.key(operator_id, group)
        seen = await self._read([key])
        own = seen.documents[0] if seen else None
        if own is not None and question.is_plain(asked) and (default := _default(own, seen)):
            return self._given.newest(key, default)
        # The operator as Redis shows it: in the document of the group, else in that of ALL.
        document = own
        if seen and own is None and group != ALL:
            document = (await self._read([question.key(operator_id, ALL)]) or seen).documents[0]
        base = loaded(document) if document is not None else {}
        known = question.known(base)
        if known and own is not None and question.is_default(known.operator, question.window(known.operator, asked)):
            default = _default(own, seen)
            if default:
                return self._given.newest(key, default)
        absent = None
        if seen and own is None:
            as_of = seen.as_of.get(b"%d" % known.partition) if known else await self._least(seen.as_of)
            absent = _AbsentDocument(as_of, base.get("version", 0) if known else None)
        try:
            return await self._settled(lambda: self._from_cells(question, operator_id, group, asked, known, absent))
        except StoreUnavailable:
            return self._without_cells(question, operator_id, group, asked, known, absent)

    async def _settled(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """An answer out of rows of one state: asked for again while they are being written. `Raises` ApiError in the end."""
        for pause_s in SETTLE_S:
            with suppress(WriteUnderWay):
                return await ask()
            await asyncio.sleep(pause_s)
        raise ApiError(NO_STORE, "results of the operator are being written: ask again", {"Retry-After": "1"})

    async def _from_cells(
        self,
        question: WindowedQuestion[Any],
        operator_id: str,
        group: str,
        asked: PeriodsQuery,
        known: KnownOperator | None,
        absent: "_AbsentDocument | None",
    ) -> Answer:
        """From ClickHouse, with what Redis said when neither has data of the group."""
        found = known or await self._clickhouse.call(lambda: self._cells.operator(operator_id))
        if found is None and absent and asked.operator_id is None:  # neither store knows what the token implies
            raise _unknown(operator_id)
        subject = self._with_today(found) if found else self._unknown_operator(operator_id)
        window = question.window(subject.operator, asked)

        async def composed(of: str) -> Json:
            return await self._clickhouse.call(lambda: question.compose(self._cells, operator_id, subject, of, window))

        data = await composed(group)
        if found and not known and group != ALL and question.nothing_counts(data):
            has = await self._clickhouse.call(lambda: self._cells.has_documents(operator_id, subject, group))
            if not has:  # with Redis, the version of the operator's document would be shown
                data["version"] = max(data["version"], (await composed(ALL))["version"])
        if absent and question.nothing_counts(data):
            # Rows of a group that lost everything outlive its document: the operator's document is the newer one.
            data["version"] = max(data["version"], absent.version or 0)
            data["asOf"] = max(data["asOf"], (absent.as_of or _NEVER).decode())
        answer = _composed(data, CLICKHOUSE)
        if not question.is_default(subject.operator, window):
            return answer
        can_say = absent is not None and absent.as_of is not None
        return self._given.newest(question.key(operator_id, group), answer)._replace(stands_in=not can_say)

    def _without_cells(
        self,
        question: WindowedQuestion[Any],
        operator_id: str,
        group: str,
        asked: PeriodsQuery,
        known: KnownOperator | None,
        absent: "_AbsentDocument | None",
    ) -> Answer:
        """Zeros, if Redis alone can know that nothing counts: its as-of comes after all documents of the partition."""
        subject = known or self._unknown_operator(operator_id)
        window = question.window(subject.operator, asked)
        if absent is None or absent.as_of is None or not question.is_kept(subject.operator, window):
            raise _no_store()
        data = question.zeros(operator_id, subject, group, window)
        return _composed(data | {"asOf": absent.as_of.decode(), "version": absent.version or 0}, REDIS)

    async def check_implied(self, operator_id: str) -> None:
        """Check an operator that a token names and a question does not: of a misspelt one, nothing would be taken for its results.

        `Raises` ApiError for one that both stores say they do not know. Questions about tables need no check before.
        """
        if operator_id in self._implied:
            return
        with suppress(StoreUnavailable, WriteUnderWay):
            entries, _ = await self._redis.call(lambda: self._documents.operators(frozenset((operator_id,))))
            if not entries and await self._clickhouse.call(lambda: self._cells.operator(operator_id)) is None:
                raise _unknown(operator_id)
            if len(self._implied) >= _IMPLIED_MAX:
                self._implied.clear()
            self._implied.add(operator_id)

    async def groups(self, operator_id: str) -> Answer:
        """The answer of `groups`. `Raises` ApiError."""
        seen = await self._read([groups_key(operator_id), PARTITIONS])
        live = self._least_of(seen.as_of, seen.documents[1]) if seen else None
        if seen and seen.documents[0] is not None:
            return _listed(seen.documents[0], live or _NEVER, REDIS)
        try:
            as_of = await self._clickhouse.call(self._cells.as_of_ms)
            names = await self._clickhouse.call(lambda: self._cells.groups(operator_id))
        except StoreUnavailable:
            if live is None:
                raise _no_store() from None
            return _listed(orjson.dumps(groups_data({})), live, REDIS)
        held = self._held(as_of)
        return _listed(orjson.dumps(groups_data(names)), held if names else max(held, live or held), CLICKHOUSE)

    async def operators(self, ids: frozenset[str] | None) -> Answer:
        """The answer of `operators`: those of these ids, all for None. `Raises` ApiError."""
        try:
            entries, as_of = await self._redis.call(lambda: self._documents.operators(ids))
        except StoreUnavailable:
            entries, live = {}, None
        else:
            live = await self._least(as_of)
        if not entries or live is None:
            try:
                held = self._held(await self._clickhouse.call(self._cells.as_of_ms))
                stored = await self._clickhouse.call(self._cells.operators)
            except StoreUnavailable:
                if not entries and live is None:
                    raise _no_store() from None
            else:
                known = {name: entry for name, entry in stored.items() if ids is None or name in ids}
                if known or not entries:
                    data = {"operators": [known[name] for name in sorted(known)]}
                    return _listed(orjson.dumps(data), held, CLICKHOUSE)
        listed = b",".join(entries[name] for name in sorted(entries))
        return _listed(b'{"operators":[' + listed + b"]}", live or _NEVER, REDIS)

    # -- as-of of what names no partition: the least of all partitions, which is true of each

    async def _least(self, as_of: AsOf) -> bytes | None:
        """In Redis, of an as-of that was read before; None while it lacks a partition."""
        seen = await self._read([PARTITIONS])
        return self._least_of(as_of, seen.documents[0] if seen else None)

    def _least_of(self, as_of: AsOf, partitions: bytes | None) -> bytes | None:
        """The same, with the number of partitions as Redis says it."""
        if partitions is not None:
            self._events_partitions = int(partitions)
        if not all(b"%d" % partition in as_of for partition in range(self._events_partitions)):
            return None
        return min(as_of.values())

    def _held(self, as_of: Mapping[int, int]) -> bytes:
        """In ClickHouse, which keeps as-of of partitions that are no more."""
        return iso_ms(min(as_of.get(partition, 0) for partition in range(self._events_partitions))).encode()

    async def _read(self, keys: list[str]) -> ReadResult | None:
        """Documents of Redis by key; None while it is down."""
        try:
            return await self._redis.call(lambda: self._documents.read(keys))
        except StoreUnavailable:
            return None

    def _unknown_operator(self, operator_id: str) -> KnownOperator:
        """An operator that no store knows."""
        today = self._now_quarter() // 96
        operator = self._retention.operator("UTC", self._default_currency, today)
        return KnownOperator(operator, partition_for(operator_id.encode(), self._events_partitions))

    def _with_today(self, found: KnownOperator) -> KnownOperator:
        """An operator has no day before the ledger's first clock record: the wall clock's, then."""
        operator = found.operator
        if operator.today:
            return found
        today = zone(operator.timezone).day(self._now_quarter())
        return found._replace(operator=self._retention.operator(operator.timezone, operator.currency, today))


def _default(document: bytes, seen: ReadResult | None) -> Answer | None:
    found = spliced(document, seen.as_of if seen else {})
    return Answer(found.data, found.as_of, found.version, REDIS) if found else None


def _composed(data: Json, store: str) -> Answer:
    return Answer(orjson.dumps(data), data["asOf"].encode(), b"%d" % data["version"], store)


def _listed(data: bytes, as_of: bytes, store: str) -> Answer:
    return Answer(data, as_of, blake2b(data, digest_size=10).hexdigest().encode(), store)


def _unknown(operator_id: str) -> ApiError:
    why = (
        f"missing, and the token's operator {operator_id!r} is not known; each operator is an entry of the claim's list"
    )
    return bad_parameter("operatorId", why)


def _no_store() -> ApiError:
    return ApiError(NO_STORE, "neither Redis nor ClickHouse can answer now", {"Retry-After": "1"})
