"""Topics' limits beside what is written to them, on a real broker."""

import logging

import pytest

from stream_app.observing import record_limits
from stream_app.observing.record_limits import RecordLimitError


async def judged(observer, written, sources, kept_bytes):
    configs = await observer.configs([*written, *sources])
    record_limits.check(configs, written, sources, kept_bytes)


async def test_a_topic_that_takes_too_little_is_named_with_the_command(kafka, new_topic, observe):
    """Before the first large record comes; a topic that is missing is waited for elsewhere."""
    small, right = new_topic(max_message_bytes="1000000"), new_topic(max_message_bytes="2097152")
    written = {small: 2_097_152, right: 2_097_152, "missing": 2_097_152}
    with pytest.raises(RecordLimitError) as found:
        await judged(observe(kafka), written, [], 1)
    assert str(found.value) == (
        f"{small} takes records of 1000000 bytes, and is to get some of 2097152: "
        f"kafka-configs --alter --topic {small} --add-config max.message.bytes=2097152"
    )
    await judged(observe(kafka), {small: 1_000_000, right: 2_097_152}, [], 1)


async def test_source_topics_whose_records_may_be_cut_are_said(kafka, new_topic, observe, caplog):
    large, usual = new_topic(max_message_bytes="8388608"), new_topic()
    with caplog.at_level(logging.WARNING, record_limits.__name__):
        await judged(observe(kafka), {}, [large, usual], 1_835_008)
    assert [record.getMessage() for record in caplog.records] == [
        f"of records of {large} that can't be used, dead letters keep the first 1835008 bytes: these topics take larger ones"
    ]
