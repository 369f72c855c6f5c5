"""The text of a function that is made of lines, and what the lines name.

Under the fast way of a map (`compiled`), which knows what the lines say. Values that are no literals have names here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class FunctionText:
    """The source of a function, line by line. `given`: what the lines name; `known`: what they have read already, and its variable."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._lines: list[str] = []
        self._indent = 1
        self.known: dict[object, str] = {}

    def made(self, takes: str) -> Any:
        """Compile it; `takes`: its parameters."""
        source = f"def made({takes}):\n" + "\n".join(self._lines)
        # The text is made here; what comes from the map stands in it as numbers of paths, and in names.
        exec(compile(source, "<map>", "exec"), self._given)  # noqa: S102
        return self._given["made"]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is read in it is not known behind it."""
        self.line(head)
        before, self._indent = dict(self.known), self._indent + 1
        yield
        self.known, self._indent = before, self._indent - 1

    def line(self, text: str) -> None:
        """Add a line to the block that is open."""
        self._lines.append("    " * self._indent + text)

    def variable(self, expression: str, *, boolean: str | None = None) -> str:
        """A new variable of this value; `boolean`: what must not be true or false, which Python takes for 1 and 0."""
        name = f"v{len(self._lines)}"
        if boolean is not None:
            self.line(f"if {boolean}.__class__ is bool: raise TypeError")
        self.line(f"{name} = {expression}")
        return name

    def name(self, value: Any) -> str:
        """A name by which the lines have a value."""
        name = f"K{len(self._given)}"
        self._given[name] = value
        return name
