"""A file's header and first rows -> a first map, to be completed by hand.

Before the first import of a kind of files. Invariant: what comes out loads by map_load, and all that is a guess without proof in the rows
is marked UNSURE. Pure: no I/O.
"""

import json
import re
from collections.abc import Callable, Sequence

from stream_app.domain.money import DIGITS
from stream_app.importer.cells import RefusedError, instant, number
from stream_app.importer.map_file import EPOCH_MS, EPOCH_S, ISO_8601, File, Times

SAMPLE_ROWS = 500
SEPARATORS = ",;\t|"
_DATES = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%y",
    "%m.%d.%y",
    "%d/%m/%y",
    "%m/%d/%y",
)
_FORMATS = (ISO_8601, *(f"{date} {time}".strip() for date in _DATES for time in ("%H:%M:%S", "%H:%M", "")))
_EPOCHS = {EPOCH_S: re.compile(r"1[0-9]{9}"), EPOCH_MS: re.compile(r"1[0-9]{12}")}
_UNSURE = "  # UNSURE: "
_SESSION = re.compile(r"session|charge|log|transaction|^id$|cdr", re.IGNORECASE)
_CUSTOMER = re.compile(r"user|customer|driver|contract|member|client|card|tag", re.IGNORECASE)
_AMOUNT = re.compile(r"amount|paid|debit|cost|price|total|revenue|gross", re.IGNORECASE)
_ENERGY = re.compile(r"energy|kwh|consum", re.IGNORECASE)
_START, _END = re.compile(r"start|begin|from", re.IGNORECASE), re.compile(r"end|stop|until|finish|paid", re.IGNORECASE)


def separator_of(line: str) -> str:
    """The separator that a header line holds most often."""
    return max(SEPARATORS, key=line.count)


def first_map(header: Sequence[str], rows: Sequence[Sequence[str]], file: File) -> str:
    """The TOML of a map for files with this header."""
    columns = {
        name: [row[at].strip() for row in rows if len(row) == len(header) and row[at].strip()]
        for at, name in enumerate(header)
    }
    times = {name: fitting for name, cells in columns.items() if (fitting := _formats(cells))}
    start, unsure_start = _choose(list(times) or list(header), lambda name: bool(_START.search(name)), bool(times))
    end, unsure_end = _choose(list(times) or list(header), lambda name: bool(_END.search(name)), bool(times))
    ids = [name for name, cells in columns.items() if name not in times and cells and len({*cells}) == len(cells)]
    session, unsure_id = _choose(ids or list(header), lambda name: bool(_SESSION.search(name)), bool(ids))
    taken = {start, end, session}
    customers = [name for name in header if name not in taken and _CUSTOMER.search(name)]
    numbers = [name for name in header if name not in times and name != session and _decimal(columns[name])]
    energies = [name for name in numbers if _ENERGY.search(name)]
    amounts = [name for name in numbers if _AMOUNT.search(name) and name not in energies]
    currencies = [name for name, cells in columns.items() if cells and all(cell in DIGITS for cell in cells)]
    used = [times[name] for name in dict.fromkeys((start, end)) if name in times]
    formats = list(dict.fromkeys(fitting[0] for fitting in used)) or [ISO_8601]
    others = list(dict.fromkeys(form for fitting in used for form in fitting[1:]))
    lines = [
        "# A first map, guessed from the header and the first rows. What each key means: docs/import.md",
        "[file]",
        f"format = {_text(file.format)}",
        *(
            [f"separator = {_text(file.separator)}", f"encoding = {_text(file.encoding)}"]
            if file.format == "csv"
            else []
        ),
        "",
        "[times]",
        f"formats = [{', '.join(map(_text, formats))}]"
        + (f"{_UNSURE}{', '.join(others)} would fit, too" if others else ""),
        f'zone = "UTC"{_UNSURE}the zone of times without an offset',
        "",
        "[row]",
        f'operator_id = {{ value = "OPERATOR" }}{_UNSURE}the operator\'s id',
    ]
    if customers:
        lines.append(
            f"customer_id = {{ column = {_text(customers[0])}, anonymous = [] }}{_UNSURE}by its name; which values mean nobody?"
        )
    lines += [
        "",
        "[session]",
        f"session_id = {{ column = {_text(session)} }}{unsure_id}",
        f'status = {{ value = "COMPLETED" }}{_UNSURE}all sessions count',
        f"started_at = {{ column = {_text(start)} }}{unsure_start}",
    ]
    if end != start:
        lines.append(f"ended_at = {{ column = {_text(end)} }}{unsure_end}")
    if energies:
        unit = "kWh" if "kwh" in energies[0].lower() or "wh" not in energies[0].lower() else "Wh"
        lines.append(
            f"energy_kwh = {{ column = {_text(energies[0])}, unit = {_text(unit)}, decimal = {_text(_decimal(columns[energies[0]]) or '.')} }}"
            f"{_UNSURE}by its name; is the unit kWh or Wh?"
        )
    if amounts:
        currency = (
            f"column = {_text(currencies[0])} }}" if currencies else f'value = "EUR" }}{_UNSURE}no column holds one'
        )
        lines += [
            "",
            "[payment]",
            f"payment_id = {{ column = {_text(session)} }}{unsure_id}",
            f"session_id = {{ column = {_text(session)} }}",
            f'status = {{ value = "SUCCEEDED" }}{_UNSURE}all payments count',
            f"amount_received = {{ column = {_text(amounts[0])} }}{_UNSURE}by its name; numbers are also in {', '.join(amounts[1:]) or 'no other'}",
            f"currency = {{ {currency}",
            f"paid_at = {{ column = {_text(end)} }}{unsure_end}",
            "",
            "[money]",
            f"decimal = {_text(_decimal(columns[amounts[0]]) or '.')}",
        ]
    # A name of a column may hold an end of line, which would end a comment.
    return "".join(line.translate(_CONTROLS) + "\n" for line in lines)


_CONTROLS = dict.fromkeys((*range(32), 127), " ")


def _choose(names: Sequence[str], fits: Callable[[str], bool], sure: bool) -> tuple[str, str]:
    """The first name that fits, else the first name; and a comment when the choice is a guess."""
    fitting = [name for name in names if fits(name)]
    if sure and len(fitting) == 1:
        return fitting[0], ""
    return (fitting or list(names))[0], f"{_UNSURE}it might be {', '.join(names[:8])}"


def _formats(cells: Sequence[str]) -> list[str]:
    """The formats that fit all cells."""
    if not cells:
        return []
    if all(cell.isdecimal() for cell in cells):
        return [form for form, pattern in _EPOCHS.items() if all(map(pattern.fullmatch, cells))]
    return [form for form in _FORMATS if all(_is_time(cell, form) for cell in cells)]


def _is_time(cell: str, form: str) -> bool:
    try:
        instant(cell, Times([form], "UTC"))
    except RefusedError:
        return False
    return True


def _decimal(cells: Sequence[str]) -> str | None:
    """The decimal sign with which all cells are numbers."""
    return next((sign for sign in (".", ",") if cells and all(_is_number(cell, sign) for cell in cells)), None)


def _is_number(cell: str, sign: str) -> bool:
    try:
        number(cell, sign)
    except RefusedError:
        return False
    return True


def _text(text: str) -> str:
    """A TOML string literal of this text."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
