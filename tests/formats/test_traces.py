"""Trace contexts: what of a source record's headers is followed, and the bytes that carry it on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stream_app.formats import rows, traces
from stream_app.formats.traces import Trace, carried, carrying, sampled, trace_headers
from tests.support.tracing import PARENT, TRACE_ID

SPAN_ID = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("traceparent", PARENT.encode())], Trace(PARENT)),
        ([("other", b"x"), ("traceparent", PARENT.encode()), ("tracestate", b"a=1")], Trace(PARENT, "a=1")),
        ([("traceparent", PARENT.encode()), ("tracestate", b"a=1"), ("tracestate", b"b=2")], Trace(PARENT, "a=1,b=2")),
        ([("traceparent", PARENT.encode()), ("tracestate", b"a=" + b"1" * 511)], Trace(PARENT)),
        ([("traceparent", PARENT.encode()), ("tracestate", "a=é".encode())], Trace(PARENT)),
        ([("traceparent", PARENT.encode()), ("tracestate", None)], Trace(PARENT)),
        ([("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-03".encode())], Trace(f"00-{TRACE_ID}-{SPAN_ID}-03")),
        ([("traceparent", f"cc-{TRACE_ID}-{SPAN_ID}-01-more".encode())], Trace(f"cc-{TRACE_ID}-{SPAN_ID}-01")),
        ([("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-00".encode())], None),
        ([("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-02".encode())], None),
        ([("traceparent", PARENT.encode()), ("traceparent", PARENT.encode())], None),
        ([("Traceparent", PARENT.encode())], None),
        ([("traceparent", None)], None),
        ([("traceparent", b"")], None),
        ([("traceparent", b"\xff\xfe" + PARENT.encode())], None),
        ([("traceparent", PARENT.encode() + b"\n")], None),
        ([("traceparent", PARENT.upper().encode())], None),
        ([("traceparent", PARENT.encode() + b"-more")], None),
        ([("traceparent", b"ff" + PARENT[2:].encode())], None),
        ([("traceparent", f"00-{'0' * 32}-{SPAN_ID}-01".encode())], None),
        ([("traceparent", f"00-{TRACE_ID}-{'0' * 16}-01".encode())], None),
        ([], None),
    ],
)
def test_a_sampled_and_well_formed_context_is_followed(headers, found):
    assert sampled(headers) == found


HEX = "0123456789abcdefABCg-"


@given(
    st.one_of(
        st.text("0123456789abcdef", min_size=2, max_size=2).map(lambda flags: f"00-{TRACE_ID}-{SPAN_ID}-{flags}"),
        st.tuples(st.sampled_from(["00", "01", "fe", "ff", "0"]), st.text("0a", min_size=30, max_size=33),
                  st.text("0b", min_size=15, max_size=17), st.sampled_from(["00", "01", "1", "0g"])).map("-".join),
        st.tuples(st.integers(0, 54), st.sampled_from(HEX)).map(lambda at: PARENT[: at[0]] + at[1] + PARENT[at[0] + 1 :]),
        st.text(HEX, max_size=60),
    )
)  # fmt: skip
def test_what_is_followed_is_what_opentelemetry_follows(parent):
    """Its own reader of the header is the judge."""
    context = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": parent})).get_span_context()
    found = sampled([("traceparent", parent.encode())])
    assert (found is not None) == (context.is_valid and context.trace_flags.sampled)
    if found:
        _, trace_id, span_id, _ = found.traceparent.split("-")
        assert (int(trace_id, 16), int(span_id, 16)) == (context.trace_id, context.span_id)


def test_a_frame_s_header_is_these_bytes():
    """Written and read; what is not of this format is left out."""
    header = carrying("大客户", Trace(PARENT, "a=1"))
    assert header == (
        "trace",
        b"\x94\x01\xa9\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7\xd97" + PARENT.encode() + b"\xa3a=1",
    )
    others = [("trace", value) for value in (None, b"", b"\x01", b"\x94\x02\xa1M\xa1x\xa0", b"\x94\x01\xa1M\xa1x\xa0")]
    plain = carrying("M1", Trace(PARENT))
    assert carried([("else", b"1"), header, *others, plain]) == [
        ("大客户", Trace(PARENT, "a=1")),
        ("M1", Trace(PARENT)),
    ]


def test_the_row_of_unpublished_traces_is_these_bytes_and_counts_beside_its_position_only():
    raw = traces.encode_unpublished(77, {"M1": [Trace(PARENT, "a=1")]})
    assert raw == b"\x02\x92M\x81\xa2M1\x91\x92\xd97" + PARENT.encode() + b"\xa3a=1"
    assert traces.decode_unpublished(raw, 77) == {"M1": [Trace(PARENT, "a=1")]}
    assert traces.decode_unpublished(raw, 78) == traces.decode_unpublished(None, 77) == {}
    assert rows.TRACES not in {rows.POSITION, rows.OPERATORS, rows.GROUPS, rows.PAST, rows.PIECES}


def test_a_result_s_headers_are_w3c_s():
    assert trace_headers(Trace(PARENT)) == [("traceparent", PARENT.encode())]
    assert trace_headers(Trace(PARENT, "a=1"))[1:] == [("tracestate", b"a=1")]
