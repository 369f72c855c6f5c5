"""Ids inside Redis keys and Kafka keys: what has a meaning there is percent-encoded, everything else stays as it is.

`|` separates a Kafka key's parts, `{}` is a Redis Cluster hash tag, `%` begins an encoding; `+` is encoded because
readers that decode form data would take it for a space.
"""

import re
from functools import lru_cache

_ENCODED = {character: f"%{ord(character):02X}" for character in "%|{}+"}
_TABLE = str.maketrans(_ENCODED)
_DECODED = {encoding: character for character, encoding in _ENCODED.items()}
_ANY_ENCODED = re.compile("|".join(_DECODED))


@lru_cache(100_000)
def encode_id(name: str) -> str:
    """An id as it stands in a key."""
    return name.translate(_TABLE)


def decode_id(encoded: str) -> str:
    """The id that stands in a key; undoes `encode_id`."""
    return _ANY_ENCODED.sub(lambda found: _DECODED[found[0]], encoded)
