"""The peer in Bytewax, one worker: recovery on (SQLite, epochs of 10 s). By customer, ids and groups' months the customer counts in; then by month and by day, sums.

Sums are sent at most once a second, by a timer; msgspec parses whole batches.
"""

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

servers, sessions_topic, payments_topic, output, state_dir = sys.argv[1:6]
SECOND = timedelta(seconds=1)


class Event(msgspec.Struct, gc=False):
    """What is read of an event of either kind."""

    operator_id: str
    customer_id: str
    group_ids: tuple[str, ...] = ()
    payment_id: str = ""
    session_id: str = ""
    amount_received: int = 0
    discount_amount: int = 0
    paid_at: int = 0
    started_at: int = 0


@lru_cache(1000)
def date(day: int) -> str:
    """A day number of 1970 as text."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


class Quiet(StatefulBatchLogic):
    """What all states have in common: nothing at an end of input, no timer."""

    def notify_at(self) -> datetime | None:
        """No timer."""
        return None

    def on_notify(self) -> tuple[Iterable[Any], bool]:
        """Nothing."""
        return (), False

    def on_eof(self) -> tuple[Iterable[Any], bool]:
        """As by the timer."""
        return self.on_notify()


class Customer(Quiet):
    """Ids seen, and groups' months that the customer counts in: (key of the month, date, slot, what is added, new or not)."""

    def __init__(self, state: Any, kind: str) -> None:
        self._ids, self._months = state or (set(), set())
        self._is_payment = kind == "payments"

    def on_batch(self, events: list[Event]) -> tuple[Iterable[Any], bool]:
        """What events that are new add."""
        out = []
        for event in events:
            name, at = (event.payment_id, event.paid_at) if self._is_payment else (event.session_id, event.started_at)
            if name in self._ids:
                continue
            self._ids.add(name)
            day = date(at // 86_400_000)
            adds = (event.amount_received, event.discount_amount, 1) if self._is_payment else (1,)
            for group in dict.fromkeys((*event.group_ids, "ALL")):
                head = f"{event.operator_id}|{group}|"
                key = head + day[:7]
                is_new = key not in self._months
                if is_new:
                    self._months.add(key)
                out.append((key, head + day, at % 86_400_000 // 1_800_000, (*adds, int(is_new))))
        return out, False

    def snapshot(self) -> Any:
        """For recovery."""
        return set(self._ids), set(self._months)


class Sums(Quiet):
    """Sums by field, sent a second after the first change."""

    def __init__(self, state: Any) -> None:
        self._sums, is_due = state or ({}, False)
        self._changed = set(self._sums) if is_due else set()
        self._due = datetime.now(UTC) if is_due else None

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        """Add (field, amounts)."""
        for field, adds in values:
            before = self._sums.get(field)
            self._sums[field] = adds if before is None else tuple(map(sum, zip(before, adds, strict=True)))
            self._changed.add(field)
        if self._due is None:
            self._due = datetime.now(UTC) + SECOND
        return (), False

    def on_notify(self) -> tuple[Iterable[Any], bool]:
        """What has changed."""
        changed, self._changed, self._due = self._changed, set(), None
        return [(field, self._sums[field]) for field in changed], False

    def notify_at(self) -> datetime | None:
        """A second after the first change."""
        return self._due

    def snapshot(self) -> Any:
        """For recovery."""
        return dict(self._sums), self._due is not None


flow = Dataflow("peer")


def customers(topic: str, kind: str) -> Any:
    """What each event of a topic adds."""
    decode = msgspec.json.Decoder(Event).decode

    def keyed(messages: list[Any]) -> list[tuple[str, Event]]:
        return [(event.customer_id, event) for event in (decode(message.value) for message in messages)]

    read = op.input(f"{kind}-in", flow, KafkaSource([servers], [topic], batch_size=10_000))
    events = op.flat_map_batch(f"{kind}-parse", read, keyed)
    return op.stateful_batch(f"{kind}-customer", events, lambda state: Customer(state, kind))


def summed(adds: Any, kind: str, rekey: Callable[[Any], tuple[str, Any]], fields: tuple[str, ...]) -> None:
    """Sums of a kind to its topic."""
    form = "{" + ",".join(f'"{field}":%d' for field in fields) + "}"

    def messages(values: list[Any]) -> list[Any]:
        return [
            KafkaSinkMessage(f"{key}|{field}".encode() if field else key.encode(), (form % sums).encode())
            for key, (field, sums) in values
        ]

    keyed = op.flat_map_batch(f"{kind}-rekey", adds, lambda values: [rekey(value) for _, value in values])
    sums = op.stateful_batch(f"{kind}-sums", keyed, Sums)
    sink = KafkaSink(
        [servers], f"{output}.{kind}", add_config={"compression.type": "lz4", "queue.buffering.max.messages": 1_000_000}
    )
    op.output(f"{kind}-out", op.flat_map_batch(f"{kind}-json", sums, messages), sink)


summed(
    customers(payments_topic, "payments"),
    "payments",
    lambda add: (add[0], ("", add[3])),
    ("amount", "discount", "n", "customers"),
)
came = customers(sessions_topic, "sessions")
summed(came, "sessions", lambda add: (add[0], ("", add[3])), ("n", "customers"))
summed(came, "slots", lambda add: (add[1], (str(add[2]), (1,))), ("n",))

recovery = Path(state_dir) / "recovery"
recovery.mkdir(parents=True)
init_db_dir(recovery, 4)
cli_main(flow, workers_per_process=1, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig(recovery))
