"""What `stream-app dead-letters` asks of Kafka and of people: letters read, confirmed, told, edited. Thin: what happens is stream_app.redrive's."""

import asyncio
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from os import environ
from pathlib import Path
from typing import Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from config.settings import load
from stream_app.access.errors import AccessError
from stream_app.cli.access import need_kafka
from stream_app.clients.waiting import ClusterError
from stream_app.kafka import logs
from stream_app.local.errors import LocalError
from stream_app.redrive.choice import Choice
from stream_app.redrive.letters import Letter, LetterError, Letters
from stream_app.redrive.redrive import Redrive
from stream_app.sinks.dead_letters import DeadLetter

T = TypeVar("T")


class Run:
    """A redrive by a person: asked before, told each letter after."""

    def __init__(self, question: str, *, asks: bool) -> None:
        self._question, self._asks, self._done = question, asks, 0

    def redrive(self) -> Redrive:
        """What sends and drops."""
        settings = load()
        return Redrive(settings.kafka, settings.topic_dead_letters, f"{settings.app_id}-dead-letters", self._told)

    def confirmed(self, waiting: list[Letter]) -> list[Letter]:
        """The letters, once the person agrees."""
        if waiting and self._asks:
            typer.confirm(self._question.format(f"{len(waiting)} letters"), abort=True)
        return waiting

    def _told(self, found: Letter, what: str) -> None:
        self._done += 1
        print(f"{found.key} -> {what}", flush=True)

    def tell(self, what: str) -> None:
        """Say what was done, in all."""
        print(f"{self._done} letters were {what}", file=sys.stderr)


async def chosen(choice: Choice) -> list[Letter]:
    """The letters meant."""
    settings = load()
    async with Letters(settings.kafka, settings.topic_dead_letters) as letters:
        return choice.of(await letters.read())


async def whole(name: str) -> tuple[Letter, DeadLetter]:
    """A letter with the whole of its value, or with the beginning where its record is gone."""
    settings = load()
    async with Letters(settings.kafka, settings.topic_dead_letters) as letters:
        (found,) = Choice([name]).of(await letters.read())
        letter = (await letters.open(found)).letter
        try:
            key, value = await letters.original(letter)
        except LetterError as error:
            print(f"stream-app dead-letters: {error}: this is the beginning", file=sys.stderr)
            return found, letter
        return found, letter._replace(key=key, value=value)


def described(found: Letter) -> Mapping[str, Any]:
    """A letter as people and programs are shown it."""
    letter = found.letter
    return {
        "name": found.key,
        "reason": letter.reason,
        "detail": letter.detail,
        "failed_at": letter.failed_at,
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "value_bytes": found.value_bytes,
        "is_cut": letter.is_value_cut or letter.is_key_cut,
        "redriven_at": letter.redriven_at,
        "redriven_to": letter.redriven_to,
        "dropped_at": letter.dropped_at,
    }


def edited(choice: Choice) -> bytes:
    """The value of the one letter, after $EDITOR."""
    (name,) = choice.names
    before = run(whole(name), reads=True)[1].value or b""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "value.json"
        file.write_bytes(before)
        words = [*shlex.split(environ.get("EDITOR", "vi")), str(file)]
        try:
            subprocess.run(words, check=True)  # the user's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            raise LocalError(f"the editor ended with an error, nothing is sent: {error}.") from None
        after = file.read_bytes()
    if after == before:
        raise LocalError("the value was not changed, nothing is sent.")
    return after


def run(asked: Coroutine[Any, Any, T], *, reads: bool = False) -> T:
    """The answer of Kafka to a coroutine, once it lets us work. `reads`: nothing is written. `Raises` LocalError, AccessError."""
    try:
        need_kafka(load(), "dead-letters", lambda right: right.operation == "Read" or not reads)
    except BaseException:
        asked.close()
        raise
    logs.drop_what_was_told()
    try:
        return asyncio.run(asked)
    except (LetterError, AccessError) as error:
        raise LocalError(f"{error}.") from None
    except (ClusterError, KafkaError, TimeoutError) as error:
        raise LocalError(f"Kafka: {error or type(error).__name__}. What is told above was done.") from None
