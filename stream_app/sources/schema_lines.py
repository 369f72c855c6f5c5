"""The lines of a function that is made of a schema and the paths of a map, of a bounded number: what the fast ways of Avro and Protobuf have in common."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.function_text import FunctionText

_LINES_MAX: Final = 3000  # a schema whose types hold each other may have any number


class SchemaLines:
    """Lines of a function of the bytes `b`; `given`: what they name. Each may raise UncompiledError."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._text = FunctionText(given)
        self._count = 0

    def _compiled(self) -> Callable[[bytes], Any]:
        try:
            function: Callable[[bytes], Any] = self._text.made("b")
        except (SyntaxError, RecursionError):  # blocks in each other, deeper than Python has them
            raise UncompiledError from None
        return function

    def _line(self, text: str) -> None:
        self._count += 1
        if self._count > _LINES_MAX:
            raise UncompiledError
        self._text.line(text)

    def _variable(self, expression: str) -> str:
        self._line("")  # so that it is counted, and names of variables differ
        return self._text.variable(expression)
