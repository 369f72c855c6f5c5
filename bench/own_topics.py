"""Rows of topics of one's own: one worker catches up on the same sessions and payments as records of the contract, and by maps in each format.

The data are those of `narrow`, on which a worker takes the least for what comes behind the decoding; each result is checked.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, NamedTuple

from bench.context import Context, Row, say
from bench.load import READY_SECONDS_MAX, SLOWEST, empty_start
from bench.meter import Meter
from bench.orders import (
    PAYMENT_MAP,
    REGISTERED,
    SESSION_MAP,
    Order,
    as_avro,
    as_change,
    as_json,
    as_protobuf,
    topic_map,
)
from bench.peers.ours import check
from bench.produce import produce
from bench.records import SentRecord
from bench.results import Results
from bench.traffic import DAYS, NARROW, PAID_AFTER_MS, Truth, Visit, contract, directory, last_midnight_ms, visits
from stream_app.local.ports import HOST, free_port

_THIRD: Final = 4 / 3  # the most that a topic of one's own may take of the contract's


class Form(NamedTuple):
    """What a record is: `topic` says more of the topic in its map, `made` makes a value of an order."""

    name: str
    topic: str
    made: Callable[[Order], bytes]


FORMS: Final = (
    Form("JSON", "", as_json),
    Form("changes of Debezium", 'envelope = "debezium"', as_change),
    Form("Avro", 'format = "avro"', as_avro),
    Form("Protobuf", 'format = "protobuf"', as_protobuf),
)


def rows(ctx: Context) -> list[Row]:
    """CPU of an event in each form, beside the contract's."""
    start_s = empty_start(ctx, "own_nothing").cpu_s
    truth = Truth(NARROW)
    made = list(truth.counted(visits(NARROW, ctx.events, last_midnight_ms())))
    of_contract = _taken(ctx, truth, "contract", {}, (record for visit in made for record in contract(NARROW, visit)))
    found = [
        Row(
            "own topics",
            "records of the contract",
            _shown(ctx, of_contract - start_s),
            "without the start; results checked",
        )
    ]
    with _registry() as url, tempfile.TemporaryDirectory() as folder:
        for number, form in enumerate(FORMS):
            maps = Path(folder, str(number))
            maps.mkdir()
            for at, (kind, sections) in enumerate((("sessions", SESSION_MAP), ("payments", PAYMENT_MAP)), 1):
                text = topic_map(f"own-{number}.{kind}", at, sections, form.topic)
                (maps / f"{kind}.toml").write_text(text, encoding="utf-8")
            own = {"sources_dir": str(maps), "schema_registry_url": url}
            cpu_s = _taken(ctx, truth, f"own_{number}", own, _orders(made, form), _topics(number))
            times = (cpu_s - start_s) / (of_contract - start_s)
            met = "met" if times <= _THIRD else "missed"
            found.append(
                Row("own topics", f"  by a map, {form.name}", _shown(ctx, cpu_s - start_s), f"{times:.2f} times the CPU, at most {_THIRD:.2f}: {met}")
            )  # fmt: skip
    return found


def _shown(ctx: Context, cpu_s: float) -> str:
    return f"{ctx.events / cpu_s:,.0f} events/CPU-s"


def _topics(number: int) -> dict[str, str]:
    return {kind: f"own-{number}.{kind}" for kind in ("sessions", "payments")}


def _taken(
    ctx: Context,
    truth: Truth,
    name: str,
    own: dict[str, str],
    records: Iterator[SentRecord],
    topics: dict[str, str] | None = None,
) -> float:
    """CPU-seconds that a worker takes for these records, its start among them. `topics`: where they go, by kind. `Raises` LocalError when a result is wrong."""
    space = ctx.stack.space(name, distribution_days=str(DAYS + 3), **own)
    servers = space.settings.kafka_bootstrap_servers
    produce(servers, space.sources, directory(NARROW))
    sent = produce(servers, {**space.sources, **(topics or {})}, records)
    say(f"own topics: one worker catches up on {name}, {sent.size / sent.records:.0f} bytes a record")
    results = Results(space)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    seconds_max = READY_SECONDS_MAX + (sent.records + NARROW.customers) / SLOWEST
    meter.until(lambda: results.is_past(sent.done_ms), "catching up", seconds_max)
    cpu_s = meter.cpu_s
    meter.until(lambda: results.is_clickhouse_past(sent.done_ms), "ClickHouse", seconds_max)
    check(results, truth)
    ctx.stack.stop(meter.running)
    return cpu_s


def _orders(made: Sequence[Visit], form: Form) -> Iterator[SentRecord]:
    """Two records a visit, of which one is read as a session, one as a payment."""
    for visit in made:
        key = f"C{visit.customer:07d}"
        order = {
            "merchant": NARROW.operator(visit.customer), "driver": {"id": key}, "state": "paid", "currency": "EUR", "revision": 1,
            "opened": _text(visit.started_ms), "closed": _text(visit.started_ms + 3_600_000), "wh": visit.energy_wh,
            "order": {"id": f"S{visit.number:010d}", "session": f"S{visit.number:010d}"},
            "total": f"{visit.amount / 100:.2f}", "voucher": f"{visit.discount / 100:.2f}",
        }  # fmt: skip
        yield SentRecord("sessions", form.made(order), key=key)
        yield SentRecord("payments", form.made(order | {"closed": _text(visit.started_ms + PAID_AFTER_MS)}), key=key)


def _text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


@contextmanager
def _registry() -> Iterator[str]:
    """A schema registry of two schemas; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = REGISTERED.get(int(self.path.partition("?")[0].rpartition("/")[2]))
            answer = {"error_code": 40403, "message": "Schema not found"} if found is None else found
            data = json.dumps(answer).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
