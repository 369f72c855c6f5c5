"""The first version, which wrote frames and rows of format 1, out of the repository's history: its tree, run by the packages of this checkout."""

import json
from collections.abc import Container, Iterable
from pathlib import Path

import msgspec

from stream_app.domain.events import CDR, OFFSET, PARTITION, SESSION
from tests.oracle import TOPICS, Record
from tests.oracle_room.reading import MOST_GROUPS
from tests.support import history

COMMIT = "af4f2c8"
FOLDERS = ("agents", "config", "stream_app", "tables", "tests")
_OF_ENERGY = {SESSION: TOPICS["session"], CDR: TOPICS["cdr"]}

Place = tuple[str, int, int]


def unpack(to: Path) -> Path:
    """The tree of the first version, in this folder."""
    history.unpack(COMMIT, to, *FOLDERS)
    return to


def in_frames(frames: Iterable[bytes]) -> dict[bool, set[Place]]:
    """Places (topic, partition, offset) of sessions and CDRs that frames hold; True: those of format 1."""
    by_format: dict[bool, set[Place]] = {True: set(), False: set()}
    for frame in frames:
        number, _, *parts = msgspec.msgpack.decode(frame)
        for _, kind, _, rows, *_ in parts:
            if kind in _OF_ENERGY:
                by_format[number == 1].update((_OF_ENERGY[kind], row[PARTITION], row[OFFSET]) for row in rows)
    return by_format


def would_take(value: bytes | None) -> bool:
    """Is the value bad by the rules of today only: a CDR that starts after its end, a customer of more groups than may be?"""
    try:
        found = json.loads(value or b"null")
        if "group_ids" in found:
            return len(found["group_ids"]) > MOST_GROUPS
        return bool(found["start_date_time"] > found["end_date_time"])
    except (ValueError, TypeError, KeyError):
        return False


def refused(records: Iterable[Record], letters: Container[Place], bad: Container[Place]) -> set[Place]:
    """Places of records that the first version put into the dead letters, and that are not bad by the rules of today.

    It asked that the energy of a CDR without a session be a number: such a CDR was refused for a field that makes none unusable today.
    """
    found = {record.place: record for record in records if record.place in letters and record.place not in bad}
    for place, record in found.items():
        cdr = json.loads(record.value or b"{}")
        assert record.topic == TOPICS["cdr"], place
        assert cdr.get("session_id") is None, cdr
        assert "total_energy" in cdr, cdr
    return set(found)
