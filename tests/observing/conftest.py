"""Topics, producers and consumers on a real broker."""

from tests.kafka.conftest import admin, new_topic, observe, producer

__all__ = ["admin", "new_topic", "observe", "producer"]
