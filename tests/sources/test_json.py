"""What JSON is: RFC 8259 in UTF-8, in the fields we read and in those we skip; the standard library as a second judge."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.errors import Reason
from stream_app.domain.events import CDR, SESSION
from tests.sources.samples import GOOD, one, usable

RECORD = json.dumps(GOOD[SESSION]).encode()[1:-1]
VALID = [
    b"0", b"-0", b"-1", b"1.0", b"1e5", b"1E+5", b"1.5e-7", b"1e400", b"-1e-400", b"9" * 5000, b"true", b"false", b"null", b'""', b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\\ud800"',
    b'"\\udc00\\ud800"', b'"\\ud800\\u0041"', b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\x7f"', '"\u2028\u2029\ufeff\uffff"'.encode(), '"😀"'.encode(), b"[]", b"{}", b"[[]]", b"[1,2]", b' [ 1 , "a" ] ',
    b"[" * 97 + b"]" * 97, b'{"":1,"":2}', b'{"\\ud800":1}', b"\t1\r\n", b'"' + b"x" * 100_000 + b'"', b'{"a":{"session_id":5}}', b'"[{]}"',
]  # fmt: skip
INVALID = [
    b"", b"01", b"-01", b"+1", b"1.", b".5", b"-", b"--1", b"1e", b"1e+", b"0x1", b"1_0", b"NaN", b"Infinity", b"-Infinity", b"nan", b"True", b"None", b"undefined", b"'a'", b'"a', b'a"',
    b'"\\x41"', b'"\\u12"', b'"\\u123g"', b'"\\u+123"', b'"\\', b'"\\U0041"', b'"\n"', b'"\t"', b'"\x00"', b'"\x1f"', b"[1,]", b"[,1]", b"[1 2]", b"[", b"]", b"{", b"}", b'{"a"}', b'{"a":}',
    b'{"a":1,}', b"{a:1}", b"{1:1}", b"[1}", b'{"a":1]', b"1 2", b"//x\n1", b"/**/1", b"1;", b"\xef\xbb\xbf1", b"\xa0", b"\x0c1", b"\x0b1", b"\xc2\xa01", b'"\xff"', b'"\xc0\x80"',
    b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe5\xa4"', b'"\xc0\xaf"', b'{"\xff":1}', b"[\xff]", "\uff11".encode(), "٣".encode(),
]  # fmt: skip


def judged(raw):
    """What the standard library says, made strict."""

    def refuse(name):
        raise ValueError(name)

    try:
        return isinstance(json.loads(raw.decode(), parse_constant=refuse, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("token", VALID, ids=lambda token: repr(token[:20]))
def test_anything_valid_may_stand_in_a_skipped_field(token):
    for raw in (b'{"x":' + token + b"," + RECORD + b"}", b"{" + RECORD + b',"x":' + token + b"}"):
        assert judged(raw)
        assert one(SESSION, raw) == one(SESSION, GOOD[SESSION])


@pytest.mark.parametrize("token", INVALID, ids=lambda token: repr(token[:20]))
def test_nothing_invalid_may(token):
    for raw in (
        b'{"x":' + token + b"," + RECORD + b"}",
        b"{" + RECORD + b',"x":' + token + b"}",
        b'{"x":[' + token + b",1]," + RECORD + b"}",
    ):
        assert not judged(raw)
        outcome = one(SESSION, raw)
        assert not usable(outcome)
        assert outcome.reason == Reason.NOT_JSON
        outcome.detail.encode()


@pytest.mark.parametrize(
    ("before", "after", "good"),
    [(b"", b"", True), (b" \t\r\n", b" \n\r\t", True), (b"\xef\xbb\xbf", b"", False), (b"\x0c", b"", False), (b"", b"\x00", False), (b"", b"{}", False), (b"", b",", False), (b"[", b"]", False)],
)  # fmt: skip
def test_one_object_and_white_space_around_it(before, after, good):
    assert usable(one(SESSION, before + b"{" + RECORD + b"}" + after)) is good


def test_other_encodings_are_not_utf_8():
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        assert one(SESSION, json.dumps(GOOD[SESSION]).encode(encoding)).reason == Reason.NOT_JSON


def test_names_of_fields_may_be_escaped():
    raw = b"{" + RECORD.replace(b"session_id", b"\\u0073ession_id") + b"}"
    assert one(SESSION, raw) == one(SESSION, GOOD[SESSION])


def test_case_matters():
    assert one(SESSION, b"{" + RECORD.replace(b"session_id", b"Session_id") + b"}").reason == Reason.MISSING_FIELD


def deep(kind, levels):
    """The outcome of a good record with a value beside that is so deep, of arrays and of objects."""
    record = json.dumps(GOOD[kind]).encode()[1:-1]
    for below in (b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
        yield one(kind, b"{" + record + b',"x":' + below + b"}")


@pytest.mark.parametrize("kind", [SESSION, CDR])
def test_depth(kind):
    """A hundred levels are read, and so many that no Python reads them are refused. Between both it depends on Python."""
    assert all(map(usable, deep(kind, 99)))
    for found in deep(kind, 50_000):
        assert usable(found) or found.reason == Reason.NOT_JSON
    assert [found.reason for found in deep(kind, 450_000)] == [Reason.NOT_JSON] * 2


TOKENS = st.sampled_from([*b'{}[],:"\\0123456789.eE+-', *b" \n\ttfn"]).map(lambda byte: bytes([byte])) | st.sampled_from(
    [b"true", b"null", b'"a"', b"\\u", b"\\ud83d\\ude00", b"\xc3\xa9", b"\xff", b"NaN", b"1.5", b"1e9", b"[]", b"{}", b'{"a":']
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(TOKENS, max_size=8).map(b"".join))
def test_the_standard_library_judges_alike(junk):
    """An object is JSON if and only if it is not rejected as none, whatever stands in a skipped field."""
    raw = b"{" + RECORD + b',"x":' + junk + b"}"
    outcome = one(SESSION, raw)
    assert judged(raw) is (usable(outcome) or outcome.reason != Reason.NOT_JSON)
