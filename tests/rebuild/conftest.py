"""Topics on a real broker."""

from tests.kafka.conftest import admin, new_topic, whole_batches

__all__ = ["admin", "new_topic", "whole_batches"]
