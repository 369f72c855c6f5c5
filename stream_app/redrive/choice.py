"""Which letters are meant: by name, reason, source topic and time. Pure."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from stream_app.redrive.letters import Letter, LetterError

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Choice(NamedTuple):
    """Letters that are all of it: of these names, reasons, source topics, failed from `since` on and before `until`. Nothing given: every letter."""

    names: Collection[str] = ()
    reasons: Collection[str] = ()
    sources: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def of(self, letters: Mapping[str, Letter]) -> list[Letter]:
        """The letters meant, in their order. `Raises` LetterError for a name that no letter has."""
        for name in self.names:
            if name not in letters:
                raise LetterError(f"there is no letter {name}")
        return [found for found in letters.values() if self._is_meant(found)]

    def _is_meant(self, found: Letter) -> bool:
        letter = found.letter
        failed_at = datetime.fromisoformat(letter.failed_at)
        return (
            (not self.names or found.key in self.names)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.sources or letter.topic in self.sources)
            and (self.since is None or failed_at >= self.since)
            and (self.until is None or failed_at < self.until)
        )

    def waiting(self, letters: Mapping[str, Letter]) -> list[Letter]:
        """Of the letters meant those that nothing became of yet. `Raises` LetterError for a name of another one."""
        meant = self.of(letters)
        for found in meant:
            if found.key in self.names and not found.letter.is_open:
                raise LetterError(f"{found.key} was {became(found)}")
        return [found for found in meant if found.letter.is_open]


def became(found: Letter) -> str:
    """What became of a letter, in words."""
    letter = found.letter
    if letter.redriven_at is not None:
        return f"sent again at {letter.redriven_at}, as {letter.redriven_to}"
    return "open" if letter.dropped_at is None else f"dropped at {letter.dropped_at}"


def point(text: str, now: datetime) -> datetime:
    """A time with an offset, or an age such as 12h. `Raises` LetterError."""
    if age := _AGE.fullmatch(text):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise LetterError(f"{text} is neither RFC 3339 with an offset nor an age such as 90m, 12h or 7d")
    return found
