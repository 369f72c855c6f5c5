"""Work in steps: a generator that yields where its caller may let others work, and returns an outcome."""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def outcome(steps: Generator[None, None, T]) -> T:
    """What steps return, all done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def in_steps(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items, up to `size` at a time."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
