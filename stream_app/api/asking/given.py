"""The newest default answers that this process gave: the version of a document never falls, whichever store answers.

Place: under `answers`. ClickHouse follows Redis within seconds, and a Redis that was restarted may have older documents
than ClickHouse: what was given already is the newer one then, true for its as-of, and given again. Of a document that
was not among the last `DOCUMENTS_MAX`, or that another process gave, nothing is known here.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from stream_app.domain.report import iso_ms

DOCUMENTS_MAX: Final = 5_000  # some 10 MB
_SKEW_MS: Final = 60_000  # of clocks


class Answer(NamedTuple):
    """An answer: its data as JSON, its as-of, its entity tag, and the name of the store that gave it.

    `stands_in`: a default answer while Redis can't say what it has given to others; its tag is a version, and theirs may be higher.
    """

    data: bytes
    as_of: bytes
    tag: bytes
    store: str
    stands_in: bool = False


class Given:
    """Default answers by key, with the moment in which each was given last."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._given: OrderedDict[str, tuple[Answer, int]] = OrderedDict()

    def newest(self, key: str, answer: Answer) -> Answer:
        """The answer, or the one that was given before, if that has a higher version.

        Not where the lower version claims all that Kafka had taken when the higher one was given: the store was filled
        anew from another history then.
        """
        before = self._given.get(key)
        if before is not None and int(answer.tag) < int(before[0].tag):
            until_ms = before[1] + _SKEW_MS
            if answer.as_of < iso_ms(until_ms).encode():
                return before[0]
        self._given[key] = answer, self._now_ms()
        self._given.move_to_end(key)
        if len(self._given) > DOCUMENTS_MAX:
            self._given.popitem(last=False)
        return answer
