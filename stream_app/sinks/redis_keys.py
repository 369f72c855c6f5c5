"""Names of keys in Redis.

Everything of an operator has its id as hash tag; `crm:as-of` and what belongs to it share a slot, too, and so do
`crm:operators` and what belongs to it.
"""

from typing import Any, Final

from stream_app.domain.tables import Table
from stream_app.formats.ids import encode_id

OPERATORS: Final = "crm:operators"
SEEN: Final = "{crm:operators}:seen"  # operator -> the newest state that wrote its entry, or was compared with it
AS_OF: Final = "crm:as-of"
MARKS: Final = "{crm:as-of}:filled"  # partition -> token of the writer that compared and filled it last
PARTITIONS: Final = "{crm:as-of}:partitions"  # how many partitions `crm:as-of` is of: all documents are of one of them
MOVED: Final = "{crm:as-of}:moved"  # while they become another number: partition -> generation that has filled it


def shard_marks(number: int) -> str:
    """Marks on one of the other servers of a cluster: which one follows from the number."""
    return f"{{crm:as-of.{number}}}:filled"


def document_key(table: Table[Any], operator: str, group: str) -> str:
    """The default answer of a table."""
    return f"crm:{{{encode_id(operator)}}}:{table.document}:{encode_id(group)}"


def groups_key(operator: str) -> str:
    """The answer of `groups`."""
    return f"crm:{{{encode_id(operator)}}}:groups"


def seen_key(operator: str) -> str:
    """The newest state that was compared with the operator's documents, or removed one, or wrote its groups."""
    return f"{{{encode_id(operator)}}}:crm:seen"


def updates_channel(operator: str) -> str:
    """The channel that gets the names of changed keys."""
    return f"crm:{{{encode_id(operator)}}}:updates"
