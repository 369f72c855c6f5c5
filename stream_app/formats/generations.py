"""Records of the topic of generations: which generation serves, and which one is being built.

Key: the generation's number; value: JSON. A generation is the state of the ledger with its consumer group, changelog
and transactional ids; the generation of the events topic, and its number of partitions, are parts of it. The settings
name one, too: the first, or a later one that is begun after the state was lost.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec


class Generation(msgspec.Struct, frozen=True):
    """A generation of the ledger, and the events topic that it reads."""

    number: int
    events: int  # the generation of the events topic
    partitions: int  # of the events topic
    state: Literal["building", "serving"]

    def serving(self) -> "Generation":
        """The generation as it is once it serves."""
        return msgspec.structs.replace(self, state="serving")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Generation).decode


def record_of(generation: Generation) -> tuple[bytes, bytes]:
    """Key and value of a generation's record."""
    return b"%d" % generation.number, _encode(generation)


def read(values: Iterable[bytes | None]) -> list[Generation]:
    """The generations that the topic's records tell of, the last record of each, by number.

    `Raises` msgspec.MsgspecError.
    """
    found: dict[int, Generation] = {}
    for value in values:
        if value is not None:
            generation = _decode(value)
            found[generation.number] = generation
    return [found[number] for number in sorted(found)]


def newest_serving(generations: Iterable[Generation], settings: Generation) -> Generation:
    """The generation that serves: the newest of those that ever did and of that of the settings; of one number the record counts."""
    serving = [generation for generation in generations if generation.state == "serving"]
    return max([*serving, settings], key=lambda generation: generation.number)
