"""The board as /status shows it: one JSON object, with the words for its reasons. What is here others read: add, never rename."""

from typing import Any, Final

import orjson

from stream_app.health.advice import ADVICE, SILENT, STAGES
from stream_app.health.freshness import Stage, is_push_guilty
from stream_app.monitor.board import Board

_WORDS: Final = {word.value: advice._asdict() for word, advice in (*ADVICE.items(), *STAGES.items())}
_WORDS["silent"] = SILENT._asdict()


def _is_push_to_blame(board: Board) -> bool:
    """Did the last probe reach Redis, and not the viewers of an API that was asked?"""
    rows = {row.stage: row for row in board.probes}
    if Stage.PUSH not in rows or not (rows[Stage.PUSH].count or rows[Stage.PUSH].lost):
        return False
    return is_push_guilty(rows[Stage.REDIS].last_seconds, rows[Stage.PUSH].last_seconds)


def document(board: Board, now_ms: int) -> bytes:
    """Times are epoch milliseconds, spans seconds."""
    shown: dict[str, Any] = {
        "now_ms": now_ms,
        "began_ms": board.began_ms,
        "kafka": {
            "is_seen": board.is_fresh(now_ms),
            "looked_ms": board.looked_ms,
            "look_seconds": board.look_seconds,
            "failure": board.failure,
        },
        "left_out": board.left_out,
        "groups": board.groups,
        "results": board.results,
        "sinks": board.sinks,
        "sources": board.sources,
        "dead_letters": board.letters,
        "probes": [row.shown() for row in board.probes],
        "is_push_to_blame": _is_push_to_blame(board),
        "words": _WORDS,
    }
    return orjson.dumps(shown, option=orjson.OPT_NON_STR_KEYS)
