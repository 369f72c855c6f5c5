"""Trace contexts: as W3C has them in headers of source records and results, and as records of the events topic carry them on.

A frame holds events of many records. Each header `trace` of a frame belongs to an event in it: msgpack [format, operator of the event, traceparent,
tracestate]. A source record has the headers `traceparent` and `tracestate` of W3C Trace Context; only one whose flag says that it is sampled is followed,
and what is malformed is as if it were not there.

Traces of applied events whose results are not published yet are the row TRACES: [offset, {operator: [[traceparent, tracestate], …]}]. It counts only
beside a Position of the same offset: a worker that follows no traces leaves the row as it is. Both exist where traces are followed, and only there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from stream_app.formats import rows

Headers = Sequence[tuple[str, bytes | None]]

FORMAT: Final = 1
# Of a frame, and of what a partition has not published: they fit into the room that records have for headers.
TRACES_MAX: Final = 100
TRACEPARENT, TRACESTATE, TRACE = "traceparent", "tracestate", "trace"

_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])(-.*)?", re.DOTALL
)
_STATE_BYTES_MAX = 512  # what W3C asks everybody to hand on; a longer one is left out

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


class Trace(NamedTuple):
    """A span and the trace that it belongs to, as W3C writes them. `tracestate` may be empty."""

    traceparent: str
    tracestate: str = ""


def sampled(headers: Headers) -> Trace | None:
    """The trace of a source record, by its headers; None where there is none, or more than one, or one that is not sampled or malformed."""
    parents = [value for name, value in headers if name == TRACEPARENT]
    if len(parents) != 1 or (found := _TRACEPARENT.fullmatch(parents[0] or b"")) is None:
        return None
    version, flags, rest = found.groups()
    if (version == b"00" and rest is not None) or not int(flags, 16) & 1:
        return None
    assert parents[0] is not None
    return Trace(parents[0][:55].decode(), _state(headers))


def _state(headers: Headers) -> str:
    found = b",".join(value for name, value in headers if name == TRACESTATE and value)
    return found.decode() if found.isascii() and len(found) <= _STATE_BYTES_MAX else ""


def trace_headers(trace: Trace) -> list[tuple[str, bytes | None]]:
    """The headers of a record that a span brought about."""
    parent = TRACEPARENT, trace.traceparent.encode()
    return [parent, (TRACESTATE, trace.tracestate.encode())] if trace.tracestate else [parent]


def carrying(operator: str, trace: Trace) -> tuple[str, bytes | None]:
    """The header of a frame by which an event of the operator goes on with a trace."""
    return TRACE, _encode([FORMAT, operator, *trace])


def carried(headers: Headers) -> list[tuple[str, Trace]]:
    """(operator, trace) of the events of a frame, by its headers; those that another version wrote in another way are left out."""
    found = []
    for name, value in headers:
        if name == TRACE and value:
            try:
                version, operator, parent, state = _decode(value)
            except (msgspec.MsgspecError, ValueError):
                continue
            if version == FORMAT and sampled([(TRACEPARENT, str(parent).encode())]):
                found.append((str(operator), Trace(parent, str(state))))
    return found


class _Unpublished(msgspec.Struct, array_like=True, gc=False):
    offset: int
    traces: dict[str, list[Trace]]


_unpublished = rows.Decoder(msgspec.msgpack.Decoder(_Unpublished).decode, msgspec.msgpack.Decoder(_Unpublished).decode)


def encode_unpublished(offset: int, traces: Mapping[str, Iterable[Trace]]) -> bytes:
    """The row TRACES beside a Position of this offset."""
    return rows.encode([offset, traces])


def decode_unpublished(raw: bytes | None, offset: int) -> dict[str, list[Trace]]:
    """The traces of the row TRACES, by operator; none where the row is not there, or was written beside a Position of another offset."""
    found = _unpublished(raw) if raw else None
    return found.traces if found is not None and found.offset == offset else {}
