"""Which letters are meant, and how a value is edited: tables, without Kafka."""

from datetime import UTC, datetime

import pytest

from stream_app.redrive.choice import Choice, became, point
from stream_app.redrive.edits import fields, replaced_by
from stream_app.redrive.letters import Letter, LetterError
from stream_app.sinks.dead_letters import DeadLetter

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def letter(
    offset: int, *, topic: str = "t", reason: str = "not_json", at: str = "T10:00:00.000Z", **fate: str
) -> Letter:
    found = DeadLetter(topic, 0, offset, None, None, reason, "", f"2026-11-28{at}", **fate)
    return Letter(found.name, 0, offset, 0, found)


LETTERS = {
    each.key: each
    for each in (
        letter(1, reason="bad_time"),
        letter(2, topic="u"),
        letter(3, at="T11:30:00.000Z"),
        letter(4, redriven_at="2026-11-28T11:59:00.000Z", redriven_to="t/0/9"),
        letter(5, dropped_at="2026-11-28T11:59:00.000Z"),
    )
}


@pytest.mark.parametrize(
    ("choice", "meant", "waiting"),
    [
        (Choice(), "12345", "123"),
        (Choice(reasons=["bad_time"]), "1", "1"),
        (Choice(reasons=["bad_time", "not_json"], sources=["u"]), "2", "2"),
        (Choice(sources=["t"]), "1345", "13"),
        (Choice(since=point("1h", NOW)), "3", "3"),
        (Choice(until=point("2026-11-28T12:30:00+01:00", NOW)), "1245", "12"),
        (Choice(names=["t/0/1", "u/0/2"]), "12", "12"),
        (Choice(names=["t/0/1"], sources=["u"]), "", ""),
    ],
)
def test_letters_are_chosen_by_all_that_is_given(choice, meant, waiting):
    """And only those that nothing was done about yet wait for something."""
    assert "".join(str(each.letter.offset) for each in choice.of(LETTERS)) == meant
    assert "".join(str(each.letter.offset) for each in choice.waiting(LETTERS)) == waiting


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("t/0/6", "there is no letter t/0/6"),
        ("t/0/4", "t/0/4 was sent again at 2026-11-28T11:59:00.000Z, as t/0/9"),
        ("t/0/5", "t/0/5 was dropped at 2026-11-28T11:59:00.000Z"),
    ],
)
def test_a_name_that_can_t_be_taken_says_why(name, says):
    """Never nothing, in silence."""
    with pytest.raises(LetterError, match=says):
        Choice(names=[name]).waiting(LETTERS)
    assert became(LETTERS["t/0/1"]) == "open"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("90m", "2026-11-28T10:30:00+00:00"),
        ("7d", "2026-11-21T12:00:00+00:00"),
        ("2026-11-28T10:30:00Z", "2026-11-28T10:30:00+00:00"),
    ],
)
def test_times_are_ages_or_have_an_offset(text, iso):
    assert point(text, NOW).isoformat() == iso


@pytest.mark.parametrize("text", ["2026-11-28T10:30:00", "yesterday", "", "7", "-7d"])
def test_other_times_are_refused(text):
    """One without an offset could be meant in any zone."""
    with pytest.raises(LetterError):
        point(text, NOW)


BEFORE = b'{"amount":1250,"energy_kwh":12.400,"token":{"uid":"1"},"id":"s"}'


@pytest.mark.parametrize(
    ("sets", "unsets", "after"),
    [
        (["amount=1300"], [], b'{"amount":1300,"energy_kwh":12.400,"token":{"uid":"1"},"id":"s"}'),
        (["currency=EUR"], ["id"], b'{"amount":1250,"energy_kwh":12.400,"token":{"uid":"1"},"currency":"EUR"}'),
        (['id="7"', "token.uid=x=y", "a.b=null"], ["token.none"],
         b'{"amount":1250,"energy_kwh":12.400,"token":{"uid":"x=y"},"id":"7","a":{"b":null}}'),
        ([], ["token.uid", "none"], b'{"amount":1250,"energy_kwh":12.400,"token":{},"id":"s"}'),
    ],
)  # fmt: skip
def test_fields_are_set_and_taken_away_and_all_else_stays(sets, unsets, after):
    """Numbers with a fraction, too, as they were written."""
    assert fields(sets, unsets).value(BEFORE) == after


@pytest.mark.parametrize(
    ("sets", "value"),
    [(["amount"], BEFORE), (["=1"], BEFORE), (["id.x=1"], BEFORE), (["a=1"], b"["), (["a=1"], None), (["a=1"], b"[1]")],
)
def test_what_can_t_be_set_is_said(sets, value):
    with pytest.raises(LetterError):
        fields(sets, []).value(value)


def test_a_value_is_replaced_whatever_it_was():
    assert replaced_by(b"new").value(None) == b"new"
    assert replaced_by(b"new").replaces
