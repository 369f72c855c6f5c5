"""Consumers of whole batches, as a worker has them."""

from tests.kafka.conftest import whole_batches

__all__ = ["whole_batches"]
