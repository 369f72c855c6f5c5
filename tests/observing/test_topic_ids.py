"""Ids of topics are the text that rows of the position have held since the first version: another one is another history."""

from io import BytesIO

import pytest
from confluent_kafka import Uuid

from stream_app.observing.requests import TopicId


@pytest.mark.parametrize("number", [0, 1, 0x0123456789ABCDEF_FEDCBA9876543210, 2**128 - 1])
def test_the_text_of_a_topic_id_is_librdkafka_s(number):
    halves = [part - 2**64 if part >= 2**63 else part for part in divmod(number, 2**64)]
    assert TopicId.decode(BytesIO(number.to_bytes(16, "big"))) == str(Uuid(*halves))
