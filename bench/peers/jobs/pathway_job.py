"""The peer in Pathway: all expressions and reducers are native, no Python runs for a row. The highest version of an id counts, as later ones take it back."""

import sys
from typing import Any

import pathway as pw

servers, sessions_topic, payments_topic, output, state_dir = sys.argv[1:6]
READ = {
    "bootstrap.servers": servers,
    "group.id": output,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": "false",
    "session.timeout.ms": "6000",
}
WRITE = {"bootstrap.servers": servers, "compression.type": "lz4", "linger.ms": "50"}
this, reducers = pw.this, pw.reducers


class Payment(pw.Schema):
    """What is read of a payment."""

    payment_id: str
    operator_id: str
    customer_id: str
    group_ids: list[str]
    amount_received: int
    discount_amount: int
    paid_at: int
    version: int


class Session(pw.Schema):
    """What is read of a session."""

    session_id: str
    operator_id: str
    customer_id: str
    group_ids: list[str]
    started_at: int
    version: int


def latest(topic: str, schema: type[pw.Schema], name: str) -> Any:
    """A row for each id: that of the highest version."""
    read = pw.io.kafka.read(READ, topic=topic, schema=schema, format="json", autocommit_duration_ms=1000, name=topic)
    columns = [column for column in schema.column_names() if column not in {name, "version"}]
    best = read.groupby(read[name]).reduce(
        row=reducers.max(pw.make_tuple(read.version, *(read[column] for column in columns)))
    )
    return best.select(**{column: best.row[at + 1] for at, column in enumerate(columns)})


def by_group(table: Any, **kept: Any) -> Any:
    """A row for ALL and one for each group."""
    return table.select(g="ALL", **kept).concat_reindex(table.select(g=table.group_ids, **kept).flatten(this.g))


def text(column: Any, form: str) -> Any:
    """A time of UTC as text."""
    return column.dt.utc_from_timestamp(unit="ms").dt.strftime(form)


def write(table: Any, kind: str) -> None:
    """Each change of a row to its topic."""
    pw.io.kafka.write(table, WRITE, f"{output}.{kind}", format="json", key=table.k)


paid = by_group(
    latest(payments_topic, Payment, "payment_id"),
    op=this.operator_id, c=this.customer_id, a=this.amount_received, d=this.discount_amount, m=text(this.paid_at, "%Y-%m"),
)  # fmt: skip
paid = paid.select(this.c, this.a, this.d, k=this.op + "|" + this.g + "|" + this.m)
counts = {"n": reducers.count(), "customers": reducers.count_distinct(this.c)}
write(
    paid.groupby(this.k).reduce(this.k, amount=reducers.sum(this.a), discount=reducers.sum(this.d), **counts),
    "payments",
)
came = by_group(
    latest(sessions_topic, Session, "session_id"),
    op=this.operator_id, c=this.customer_id, d=text(this.started_at, "%Y-%m-%d"), h=pw.cast(str, this.started_at % 86400000 // 1800000),
)  # fmt: skip
head = this.op + "|" + this.g + "|"
came = came.select(this.c, k=head + this.d.str.slice(0, 7), day=head + this.d + "|" + this.h)
write(came.groupby(this.k).reduce(this.k, **counts), "sessions")
write(came.groupby(this.day).reduce(k=this.day, n=reducers.count()), "slots")
backend = pw.persistence.Backend.filesystem(f"{state_dir}/snapshots")
pw.run(
    monitoring_level=pw.MonitoringLevel.NONE,
    persistence_config=pw.persistence.Config(backend, snapshot_interval_ms=1000),
)
