"""What the benchmark of viewers writes is what a worker would: the script of the sink takes it."""

import orjson
import pytest
import redis

from bench.viewers import raise_version
from stream_app.domain.events import ALL
from stream_app.domain.tables import MONTHLY
from stream_app.local.errors import LocalError
from stream_app.sinks.redis_keys import document_key, seen_key


def test_a_document_gets_the_next_version(redis_url):
    with redis.Redis.from_url(redis_url) as store:
        key = document_key(MONTHLY, "M-viewers", ALL)
        store.set(key, orjson.dumps({"version": 7, "months": []}))
        assert [raise_version(store, "M-viewers") for _ in range(2)] == [8, 9]
        assert orjson.loads(store.get(key)) == {"version": 9, "months": []}
        store.set(seen_key("M-viewers"), 20)
        assert raise_version(store, "M-viewers") == 10


def test_one_that_redis_refuses_is_an_error(redis_url, monkeypatch):
    monkeypatch.setattr(redis.Redis, "eval", lambda *_: -1)
    with redis.Redis.from_url(redis_url) as store:
        store.set(document_key(MONTHLY, "M-refused", ALL), orjson.dumps({"version": 1}))
        with pytest.raises(LocalError, match="did not take version 2"):
            raise_version(store, "M-refused")
