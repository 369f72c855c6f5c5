"""Waiting for a Kafka that is away: what passes by itself is asked for again, what does not is an error of the caller's."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

import stamina
from aiokafka import errors
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from stream_app.trouble import Trouble

T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_S, _LARGEST_S = 0.2, 3.0  # between two attempts
_QUIET_S = 30.0  # between two lines that the same waiting has begun
# Of our own request, rights or configuration: the same request is refused again.
_LASTING: Final = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTopicError,
    errors.IllegalStateError,
    errors.IllegalOperation,
)


class ClusterError(Exception):
    """Kafka refused a request, or did not answer in time. Asking again later may succeed."""


def passes(exc: BaseException) -> bool:
    """Whether it is the state of the cluster that hinders, which passes by itself; not our request, our rights or our configuration."""
    return not any(_lasts(each) for each in _causes(exc))


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    # Clients raise one exception in several places: a chain may come back to where it was.
    seen: list[BaseException] = []
    while exc is not None and exc not in seen:
        yield exc
        seen.append(exc)
        # A time limit of asyncio's cancels what it bounds, and names that as the cause.
        exc = None if isinstance(exc.__cause__, asyncio.CancelledError) else exc.__cause__


def _lasts(exc: BaseException) -> bool:
    if isinstance(exc, KafkaException):
        return str(exc.args[0].name()).endswith(("AUTHORIZATION_FAILED", "AUTHENTICATION"))
    # EOFError: a broker that ends closes its connections, in the middle of an answer, too.
    return isinstance(exc, _LASTING) or not isinstance(
        exc, KafkaError | ClusterError | OSError | EOFError | TimeoutError
    )


_now_s = time.monotonic
_waiting: dict[str, Trouble[object]] = {}  # by what waits


async def until_kafka_answers(ask: Callable[[], Awaitable[T]], what: str) -> T:
    """What Kafka answers, once it does. `what`: who waits, for the log: one line when the first of that name waits, one when none waits any more.

    `Raises` KafkaError or ClusterError of what does not pass by itself.
    """
    stamina.instrumentation.set_on_retry_hooks(())  # it would tell of each attempt
    waiting, who = _waiting.setdefault(what, Trouble(_QUIET_S)), object()
    try:
        async for attempt in stamina.retry_context(
            on=passes, attempts=None, timeout=None, wait_initial=_FIRST_S, wait_max=_LARGEST_S, wait_jitter=_FIRST_S
        ):
            with attempt:
                try:
                    found = await ask()
                except (KafkaError, ClusterError, TimeoutError) as exc:
                    if passes(exc) and waiting.has(who, _now_s()):
                        log.warning("%s: Kafka is waited for (%s)", what, exc or type(exc).__name__)
                    raise
    except BaseException:
        waiting.is_over([who])
        raise
    if waiting.is_over([who]):
        log.warning("%s: Kafka answers again", what)
    return found
