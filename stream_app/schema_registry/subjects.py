"""Our own contracts in a schema registry: a subject for the values of each topic, by the names and modes that everybody expects.

Records stay plain JSON, without the wire format: what is registered is for people, for generators of code, and for the registry's own check of changes.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from stream_app.schema_registry.client import IncompatibleError, RegistryClient

# Of source topics, which others write: by a new schema we read what was written by an old one. Of results, which others read: by an old one they read the new.
READ_BY_US: Final = "BACKWARD"
READ_BY_OTHERS: Final = "FORWARD"


class Contract(NamedTuple):
    """The schema of the values of a topic, and the mode of compatibility that its changes keep."""

    topic: str
    schema: Mapping[str, Any]
    mode: Literal["BACKWARD", "FORWARD"]


class RefusedError(Exception):
    """The registry does not take a contract; the message is one sentence."""


async def register(client: RegistryClient, contracts: Iterable[Contract]) -> None:
    """Register what is not registered yet. A mode that somebody has set for a subject stays.

    `Raises` RefusedError, RegistryAwayError, AccessError.
    """
    for topic, schema, mode in contracts:
        subject = f"{topic}-value"  # TopicNameStrategy
        asked = await client.compatibility(subject)
        if asked is None:
            await client.set_compatibility(subject, mode)
        try:
            await client.register(subject, json.dumps(schema, ensure_ascii=False))
        except IncompatibleError as error:
            raise RefusedError(
                f"the schema registry does not take our schema of {subject}, whose compatibility is {asked or mode}: {error}"
            ) from None
