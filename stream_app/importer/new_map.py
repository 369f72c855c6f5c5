"""A file's header and first rows -> a first map, to be completed by hand.

Before the first import of a kind of files. Invariant: what is a guess without proof in the rows is marked UNSURE, and where several columns may be
meant, none is taken: the line is a comment that names them, and a map without a required key is refused with its name. Pure: no I/O.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from stream_app.importer.guesses import Choice, Guesses, Moment, guesses
from stream_app.sources.maps.map_file import ISO_8601, File

SAMPLE_ROWS = 500
_UNSURE = "  # UNSURE: "
_SHOWN = 8  # candidates


def first_map(header: Sequence[str], rows: Sequence[Sequence[str]], file: File) -> str:
    """The TOML of a map for files with this header."""
    found = guesses(header, rows)
    lines = [*_file_and_times(found, file), *_session(found), *_payment(found)]
    # A name of a column may hold an end of line, which would end a comment.
    return "".join(line.translate(_CONTROLS) + "\n" for line in lines)


def _file_and_times(found: Guesses, file: File) -> Iterator[str]:
    yield "# A first map, guessed from the header and the first rows. What each key means: docs/import.md"
    yield "[file]"
    yield f"format = {_text(file.format)}"
    if file.format == "csv":
        yield f"separator = {_text(file.separator)}"
        yield f"encoding = {_text(file.encoding)}"
    if found.nothing:
        yield f"nothing = {_list(found.nothing)}{_UNSURE}are these cells empty ones?"
    used = [choice.found.formats for choice in (found.started, found.ended) if choice.found]
    formats = list(dict.fromkeys(fitting[0] for fitting in used)) or [ISO_8601]
    others = list(dict.fromkeys(form for fitting in used for form in fitting[1:]))
    yield ""
    yield "[times]"
    yield f"formats = {_list(formats)}" + (f"{_UNSURE}{', '.join(others)} would fit, too" if others else "")
    by_column = f"; a time takes that of a column by zone = {_text(found.zones[0])}" if found.zones else ""
    yield f'zone = "UTC"{_UNSURE}the zone of times without an offset{by_column}'
    yield ""
    yield "[row]"
    yield f'operator_id = {{ value = "OPERATOR" }}{_UNSURE}the operator\'s id'
    if found.customer.candidates:
        yield _column("customer_id", found.customer, ", anonymous = []", "by its name; which values mean nobody?")


def _session(found: Guesses) -> Iterator[str]:
    yield ""
    yield "[session]"
    yield _column("session_id", found.session)
    yield f'status = {{ value = "COMPLETED" }}{_UNSURE}all sessions count'
    yield _moment("started_at", found.started)
    if found.ended.candidates:
        yield _moment("ended_at", found.ended)
    if found.energy.candidates:
        name = found.energy.found or ""
        unit = "kWh" if "kwh" in name.lower() or "wh" not in name.lower() else "Wh"
        decimal, thousands = found.signs.get(name, (".", ""))
        more = f", unit = {_text(unit)}, decimal = {_text(decimal)}"
        more += f", thousands = {_text(thousands)}" if thousands else ""
        yield _column("energy_kwh", found.energy, more, "by its name; is the unit kWh or Wh?")


def _payment(found: Guesses) -> Iterator[str]:
    if not found.amount.candidates:
        return
    yield ""
    yield "[payment]"
    yield _column("payment_id", found.session)
    if found.session.found:
        yield _column("session_id", found.session)
    yield f'status = {{ value = "SUCCEEDED" }}{_UNSURE}all payments count'
    numbers = ", ".join(name for name in found.signs if name != found.amount.found) or "no other"
    yield _column("amount_received", found.amount, "", f"by its name; numbers are also in {numbers}")
    if found.currencies:
        yield _column("currency", Choice(found.currencies[0] if len(found.currencies) == 1 else None, found.currencies))
    else:
        yield f'currency = {{ value = "EUR" }}{_UNSURE}no column holds one'
    if found.ended.candidates:
        yield _moment("paid_at", found.ended)
    else:
        yield _moment("paid_at", found.started) + f"{_UNSURE}no column of the end was found"
    decimal, thousands = found.signs.get(found.amount.found or "", (".", ""))
    yield ""
    yield "[money]"
    yield f"decimal = {_text(decimal)}"
    if thousands:
        yield f"thousands = {_text(thousands)}"


def _column(key: str, choice: Choice[str], more: str = "", unsure: str = "") -> str:
    if choice.found is None:
        return _left_out(key, choice.candidates)
    return f"{key} = {{ column = {_text(choice.found)}{more} }}" + (_UNSURE + unsure if unsure else "")


def _moment(key: str, choice: Choice[Moment]) -> str:
    if choice.found is None:
        return _left_out(key, choice.candidates)
    columns = choice.found.columns
    if len(columns) == 1:
        return f"{key} = {{ column = {_text(columns[0])} }}"
    return f"{key} = {{ date = {_text(columns[0])}, time = {_text(columns[1])} }}"


def _left_out(key: str, candidates: Sequence[str]) -> str:
    might = ", ".join(candidates[:_SHOWN]) or "no column"
    return f'# {key} = {{ column = "" }}{_UNSURE}it might be {might}'


_CONTROLS = dict.fromkeys((*range(32), 127), " ")


def _text(text: str) -> str:
    """A TOML string literal of this text."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"
