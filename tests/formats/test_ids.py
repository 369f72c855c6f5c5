"""Ids in keys: every id comes back, and what has a meaning in keys does not stand in them."""

import pytest
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from stream_app.formats.ids import decode_id, encode_id
from stream_app.formats.murmur2 import murmur2, partition_for


@given(st.text(st.characters(codec="utf-8"), min_size=1) | st.text("%|{}+257BCD", min_size=1))
def test_ids_come_back_and_separators_are_gone(name):
    encoded = encode_id(name)
    assert decode_id(encoded) == name
    assert not set(encoded) & set("|{}+")


@pytest.mark.parametrize(
    ("name", "encoded"), [("M1", "M1"), ("大客户", "大客户"), ("a b/c:d", "a b/c:d"), ("%|{}+", "%25%7C%7B%7D%2B")]
)
def test_only_five_characters_are_encoded(name, encoded):
    assert encode_id(name) == encoded


@given(st.binary(max_size=100))
def test_keys_are_hashed_as_by_other_clients(key):
    assert murmur2(key) == kafka_murmur2(key) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_keys_are_hashed_as_by_the_java_client(key, hashed):
    assert murmur2(key) == hashed & 0xFFFFFFFF
    assert partition_for(key, 7) == (hashed & 0x7FFFFFFF) % 7
