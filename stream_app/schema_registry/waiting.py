"""Waiting for a schema registry that is away, with back-off. Says nothing of it: who waits does."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from stream_app.schema_registry.client import RegistryAwayError

T = TypeVar("T")

_FIRST_S: Final = 0.2  # between two attempts
_LARGEST_S: Final = 3.0


async def until_the_registry_answers(ask: Callable[[], Awaitable[T]], seconds_max: float | None = None) -> T:
    """What the registry answers, once it does. `seconds_max`: for how long it is waited for; None: for ever. `Raises` RegistryAwayError after that."""
    stamina.instrumentation.set_on_retry_hooks(())  # it would tell of each attempt
    async for attempt in stamina.retry_context(
        on=RegistryAwayError,
        attempts=None,
        timeout=seconds_max,
        wait_initial=_FIRST_S,
        wait_max=_LARGEST_S,
        wait_jitter=_FIRST_S,
    ):
        with attempt:
            found = await ask()
    return found
