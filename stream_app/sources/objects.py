"""The objects in the values of a topic, as far as paths lead into them, as types that msgspec parses into."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Final

import msgspec

from stream_app.sources.exact import ID_LENGTH, MOST_VERSION
from stream_app.sources.maps.paths import Step

# Types of fields, in which msgspec keeps rules while it parses: an id, a text, a version, the groups of a customer.
ID: Final = Annotated[str, msgspec.Meta(max_length=ID_LENGTH)] | int | None
TEXT: Final = str | None
VERSION: Final = Annotated[int, msgspec.Meta(ge=0, le=MOST_VERSION)] | None
GROUPS: Final = tuple[str | int, ...] | str | int | None


class Moment(Enum):
    """Types of places that a map reads as times in ISO 8601 and nothing else, by a schema: ANY until it is known, milliseconds of UTC, or of a wall clock."""

    ANY = 0
    UTC = 1
    LOCAL = 2


class Node:
    """An object, and those of its fields that are wanted: an object again, or the type of a value."""

    def __init__(self, fields: "dict[str, Node | Any] | None" = None) -> None:
        self.fields: dict[str, Node | Any] = fields or {}

    def want(self, path: Sequence[Step], type_: Any = Any) -> None:
        """Have what a path leads to. Behind brackets, and where one place is wanted as two types, it is of any type."""
        first, *rest = path
        assert isinstance(first, str)
        below = self.fields.get(first)
        if rest and isinstance(rest[0], str) and (below is None or isinstance(below, Node)):
            if below is None:
                below = self.fields[first] = Node()
            below.want(rest, type_)
        else:
            self.fields[first] = type_ if not rest and below in (None, type_) else Any

    def attribute(self, name: str) -> str:
        """The attribute of the type that a field is."""
        return f"f{list(self.fields).index(name)}"

    def type(self) -> Any:
        """What msgspec parses into; a null or missing field is None."""
        fields = [
            (
                self.attribute(name),
                below.type() | None if isinstance(below, Node) else Any if isinstance(below, Moment) else below,
                msgspec.field(default=None, name=name),
            )
            for name, below in self.fields.items()
        ]
        return msgspec.defstruct("Object", fields, gc=False)


# Of the type that a node is: what makes an object of it of a value by a schema. `Raises` UncompiledError.
Objects = Callable[[Node], Callable[[bytes], Any]]
