"""`stream-app dead-letters`: list letters, show one, send some again, drop some. Thin: what happens is stream_app.redrive's."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from stream_app.cli.letters import Run, chosen, described, edited, run, whole
from stream_app.domain.errors import Reason
from stream_app.local.errors import LocalError
from stream_app.redrive.choice import Choice, became, point
from stream_app.redrive.edits import fields, replaced_by
from stream_app.redrive.letters import LetterError

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
    found = [each for each in run(chosen(choice), reads=True) if done or each.letter.is_open]
    for each in found:
        if as_json:
            print(orjson.dumps(described(each)).decode())
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
    found, letter = run(whole(name), reads=True)
    for title, text in described(found).items():
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
        by = replaced_by(edited(choice))
    elif set_ or unset:
        try:
            by = fields(set_ or [], unset or [])
        except LetterError as error:
            raise LocalError(f"{error}.") from None
    person = Run("Send {} again?", asks=not (yes or choice.names))
    run(person.redrive().send(lambda letters: person.confirmed(choice.waiting(letters)), by))
    person.tell("sent again")


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
    person = Run("Drop {}?", asks=not (yes or choice.names))
    run(person.redrive().drop(lambda letters: person.confirmed(choice.waiting(letters))))
    person.tell("dropped")


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
