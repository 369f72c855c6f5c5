"""`stream-app dead-letters`: list letters, show one, send some again, drop some. Thin: what happens is stream_app.redrive's."""

import asyncio
import logging
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer
from aiokafka.errors import KafkaError

from config.settings import load
from stream_app.access.errors import AccessError
from stream_app.cli.generation import quiet_client
from stream_app.clients.waiting import ClusterError
from stream_app.domain.errors import Reason
from stream_app.local.errors import LocalError
from stream_app.redrive.choice import Choice, became, point
from stream_app.redrive.edits import fields, replaced_by
from stream_app.redrive.letters import Letter, LetterError, Letters
from stream_app.redrive.redrive import Redrive
from stream_app.sinks.dead_letters import DeadLetter

T = TypeVar("T")

command = typer.Typer(
    help="Records that could not be used: list them, show one, send them again, drop them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Names = Annotated[list[str] | None, typer.Argument(help="Letters: topic/partition/offset of the source record")]
Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="Of this reason; may be repeated")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Of this source topic; may be repeated")]
Since = Annotated[
    str | None, typer.Option(help="Failed since: RFC 3339 with an offset, or an age such as 90m, 12h, 7d")
]
Until = Annotated[str | None, typer.Option(help="Failed before: likewise")]
All = Annotated[bool, typer.Option("--all", help="All that nothing was done about yet")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask")]

_DETAIL: Final = 100  # characters of a line of the list


@command.command("list")
def list_(
    reason: Reasons = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    done: Annotated[bool, typer.Option("--done", help="Also those that were sent again or dropped")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for programs")] = False,
) -> None:
    """List letters, oldest first."""
    choice = _choice(None, reason, source, since, until)
    found = [each for each in _run(_chosen(choice)) if done or each.letter.is_open]
    for each in found:
        if as_json:
            print(orjson.dumps(_described(each)).decode())
        else:
            state = "" if each.letter.is_open else f" [{became(each)}]"
            detail = each.letter.detail[:_DETAIL]
            print(
                f"{each.letter.failed_at}  {each.key}  {each.letter.reason}  {each.value_bytes} bytes  {detail}{state}"
            )
    if not as_json:
        print(f"{len(found)} letters", file=sys.stderr)


@command.command()
def show(
    name: Annotated[str, typer.Argument(help="The letter: topic/partition/offset of the source record")],
    output: Annotated[
        Path | None, typer.Option(help="Write the value to this file, the whole of it, byte by byte")
    ] = None,
) -> None:
    """Show a letter: why, what became of it, and the record's value."""
    found, letter = _run(_whole(name))
    for title, text in _described(found).items():
        if text is not None:
            print(f"{title}: {text}")
    if output is not None:
        output.write_bytes(letter.value or b"")
    elif letter.value is not None:
        print()
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.value + b"\n")


@command.command()
def redrive(
    names: Names = None,
    reason: Reasons = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    value: Annotated[Path | None, typer.Option(help="Send what this file holds, byte by byte; one letter")] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Edit the value by $EDITOR before; one letter")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a field before: currency=EUR, cdr_token.uid=7; may be repeated"),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", help="Take a field away before; may be repeated")
    ] = None,
    yes: Yes = False,
) -> None:
    """Send records to their source topics again, as they came or after an edit: each letter once only, safe to interrupt and repeat."""
    if (value is not None) + edit + bool(set_ or unset) > 1:
        raise LocalError("one of --value, --edit and --set or --unset")
    choice = _choice(names, reason, source, since, until, everything=everything)
    if (value is not None or edit) and len(choice.names) != 1:
        raise LocalError("--value and --edit take the name of one letter")
    by = None
    if value is not None:
        by = replaced_by(value.read_bytes())
    elif edit:
        by = replaced_by(_edited(choice))
    elif set_ or unset:
        try:
            by = fields(set_ or [], unset or [])
        except LetterError as error:
            raise LocalError(f"{error}.") from None
    run = _Run("Send {} again?", asks=not (yes or choice.names))
    _run(run.redrive().send(lambda letters: run.confirmed(choice.waiting(letters)), by))
    run.tell("sent again")


@command.command()
def drop(
    names: Names = None,
    reason: Reasons = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    yes: Yes = False,
) -> None:
    """Note that letters need nothing: they are no longer listed, and go with the topic's retention."""
    choice = _choice(names, reason, source, since, until, everything=everything)
    run = _Run("Drop {}?", asks=not (yes or choice.names))
    _run(run.redrive().drop(lambda letters: run.confirmed(choice.waiting(letters))))
    run.tell("dropped")


class _Run:
    """A redrive by a person: asked before, told each letter after."""

    def __init__(self, question: str, *, asks: bool) -> None:
        self._question, self._asks, self._done = question, asks, 0

    def redrive(self) -> Redrive:
        settings = load()
        return Redrive(settings.kafka, settings.topic_dead_letters, f"{settings.app_id}-dead-letters", self._told)

    def confirmed(self, waiting: list[Letter]) -> list[Letter]:
        if waiting and self._asks:
            typer.confirm(self._question.format(f"{len(waiting)} letters"), abort=True)
        return waiting

    def _told(self, found: Letter, what: str) -> None:
        self._done += 1
        print(f"{found.key} -> {what}", flush=True)

    def tell(self, what: str) -> None:
        print(f"{self._done} letters were {what}", file=sys.stderr)


def _choice(
    names: list[str] | None,
    reasons: list[Reason] | None,
    sources: list[str] | None,
    since: str | None,
    until: str | None,
    *,
    everything: bool = True,
) -> Choice:
    if not (names or reasons or sources or since or until or everything):
        raise LocalError("which letters? Name them, or say --reason, --source, --since, --until or --all.")
    now = datetime.now(UTC)
    try:
        bounds = [None if text is None else point(text, now) for text in (since, until)]
    except LetterError as error:
        raise LocalError(f"{error}.") from None
    return Choice(names or (), reasons or (), sources or (), *bounds)


async def _chosen(choice: Choice) -> list[Letter]:
    settings = load()
    async with Letters(settings.kafka, settings.topic_dead_letters) as letters:
        return choice.of(await letters.read())


async def _whole(name: str) -> tuple[Letter, DeadLetter]:
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


def _described(found: Letter) -> Mapping[str, Any]:
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


def _edited(choice: Choice) -> bytes:
    """The value of the one letter, after $EDITOR."""
    (name,) = choice.names
    before = _run(_whole(name))[1].value or b""
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


def _run(asked: Coroutine[Any, Any, T]) -> T:
    quiet_client()
    # Of a transaction that is refused, aiokafka leaves the batches' futures to asyncio, which logs each.
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    try:
        return asyncio.run(asked)
    except (LetterError, AccessError) as error:
        raise LocalError(f"{error}.") from None
    except (ClusterError, KafkaError, TimeoutError) as error:
        raise LocalError(f"Kafka: {error or type(error).__name__}. What is told above was done.") from None
