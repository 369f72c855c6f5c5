"""Rows of topics of one's own: one worker catches up on the same sessions and payments as records of the contract, and by maps in each format.

The data are like `narrow`, on which a worker takes the least for what comes behind the decoding, with few memberships before. Each result is checked. Two forms at a time
are measured right before and behind records of the contract, twice, and the mean of their ratios counts: a machine may change its speed within minutes.
"""

import itertools
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean
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
    as_cloud_event,
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

_DATA: Final = NARROW._replace(customers=20_000)
_TURNS: Final = 2
_THIRD: Final = 4 / 3  # the most that a topic of one's own may take of the contract's


class Form(NamedTuple):
    """What a record is: `topic` says more of the topic in its map, `made` makes a value of an order."""

    name: str
    topic: str
    made: Callable[[Order], bytes]


FORMS: Final = (
    Form("JSON", "", as_json),
    Form("CloudEvents", 'envelope = "cloudevents"', as_cloud_event),
    Form("changes of Debezium", 'envelope = "debezium"', as_change),
    Form("Avro", 'format = "avro"', as_avro),
    Form("Protobuf", 'format = "protobuf"', as_protobuf),
)


def rows(ctx: Context) -> list[Row]:
    """CPU of an event in each form, beside the contract's."""
    start_s = empty_start(ctx, "own_nothing").cpu_s
    truth = Truth(_DATA)
    made = list(truth.counted(visits(_DATA, ctx.events, last_midnight_ms())))
    beside: list[float] = []
    taken: dict[str, list[float]] = {form.name: [] for form in FORMS}
    ratios: dict[str, list[float]] = {form.name: [] for form in FORMS}
    with _registry() as url, tempfile.TemporaryDirectory() as folder:
        for turn, at in itertools.product(range(_TURNS), range(0, len(FORMS), 2)):
            two = {}
            for form in FORMS[at : at + 2]:
                name = f"own_{turn}_{form.name.split()[-1].lower()}"
                topics = {kind: f"{name}.own-{kind}" for kind in ("sessions", "payments")}
                own = {"sources_dir": _maps(Path(folder, name), topics, form), "schema_registry_url": url}
                two[form.name] = _taken(ctx, truth, name, own, _orders(made, form), topics) - start_s
                if len(two) == 1:
                    records = (record for visit in made for record in contract(_DATA, visit))
                    beside.append(_taken(ctx, truth, f"own_{turn}_{at}", {}, records) - start_s)
            for name, cpu_s in two.items():
                taken[name].append(cpu_s)
                ratios[name].append(cpu_s / beside[-1])
    note = "without the start; results checked; the mean"
    found = [Row("own topics", "records of the contract", _shown(ctx, fmean(beside)), note)]
    for name, of_form in ratios.items():
        times = fmean(of_form)
        note = f"{times:.2f} times the CPU ({min(of_form):.2f} to {max(of_form):.2f}), at most {_THIRD:.2f}: {'met' if times <= _THIRD else 'missed'}"
        found.append(Row("own topics", f"  by a map, {name}", _shown(ctx, fmean(taken[name])), note))
    return found


def _maps(folder: Path, topics: dict[str, str], form: Form) -> str:
    """A folder with a map of each of the topics, by kind."""
    folder.mkdir()
    for number, (kind, sections) in enumerate((("sessions", SESSION_MAP), ("payments", PAYMENT_MAP)), 1):
        (folder / f"{kind}.toml").write_text(topic_map(topics[kind], number, sections, form.topic), encoding="utf-8")
    return str(folder)


def _shown(ctx: Context, cpu_s: float) -> str:
    return f"{ctx.events / cpu_s:,.0f} events/CPU-s"


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
    produce(servers, space.sources, directory(_DATA))
    sent = produce(servers, {**space.sources, **(topics or {})}, records)
    say(f"own topics: one worker catches up on {name}, {sent.size / sent.records:.0f} bytes a record")
    results = Results(space)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    seconds_max = READY_SECONDS_MAX + (sent.records + _DATA.customers) / SLOWEST
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
            "merchant": _DATA.operator(visit.customer), "driver": {"id": key}, "state": "paid", "currency": "EUR", "revision": 1,
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
