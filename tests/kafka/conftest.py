"""Consumers of whole batches, in the tests that ask for them."""

from collections.abc import Iterator

import pytest
from aiokafka.consumer import fetcher

from stream_app.kafka import batches


@pytest.fixture
def whole_batches() -> Iterator[None]:
    """Consumers give whole batches, in this test only."""
    before = fetcher.PartitionRecords
    batches.install()
    yield
    fetcher.PartitionRecords = before
