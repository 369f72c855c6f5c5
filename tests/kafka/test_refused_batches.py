"""A producer that takes no more records: what is raised can be judged, whether or not an earlier batch says why."""

import asyncio

import pytest
from aiokafka.errors import IllegalOperation, KafkaTimeoutError

from stream_app.clients.waiting import passes
from stream_app.kafka.log import _send


class Refusing:
    """A producer that takes one batch, and refuses the next. `why`: what the delivery of the first raises, if it fails."""

    def __init__(self, refusal: Exception, why: Exception | None) -> None:
        self._refusal, self._why, self._taken = refusal, why, 0

    def create_batch(self) -> "Refusing":
        return self

    def append(self, **_: object) -> object:
        return object()

    def record_count(self) -> int:
        return 1

    async def send_batch(self, *_: object, **__: object) -> asyncio.Future[None]:
        self._taken += 1
        if self._taken > 1:
            raise self._refusal
        delivery = asyncio.get_running_loop().create_future()
        if self._why is not None:
            delivery.set_exception(self._why)
        else:
            delivery.set_result(None)
        return delivery


TIMEOUT = KafkaTimeoutError()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("refusal", "why", "raised"),
    [
        (TIMEOUT, None, TIMEOUT),  # the first batch was delivered: nothing else says why
        (TIMEOUT, TIMEOUT, TIMEOUT),  # both say the same
        (IllegalOperation(), KafkaTimeoutError("the first"), KafkaTimeoutError),
    ],
)
async def test_a_refusal_is_raised_and_judged_without_end(refusal, why, raised):
    """Raised as its own cause it would be walked along for ever, and the worker would stand still."""
    records = {("changelog", 0): [(b"k", b"v", [])], ("results", 0): [(b"k", b"v", [])]}
    with pytest.raises(Exception) as found:  # which one is what is compared
        await _send(Refusing(refusal, why), records)  # type: ignore[arg-type]
    assert found.value is raised or type(found.value) is raised
    assert passes(found.value)


@pytest.mark.timeout(20)
def test_a_chain_of_causes_that_comes_back_to_its_beginning_ends():
    first, second = KafkaTimeoutError(), KafkaTimeoutError()
    first.__cause__, second.__cause__ = second, first
    assert passes(first)


async def test_a_time_limit_passes_and_a_cancellation_is_not_waited_out():
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    assert passes(caught.value)
    assert not passes(asyncio.CancelledError())
