"""Addresses of Redis and ClickHouse: passwords apart from them, and both together as the clients read them."""

import pytest
from clickhouse_driver.util.helpers import parse_url as clickhouse_parts
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import SSLConnection, parse_url

from config.settings import load
from stream_app.access.stores import clickhouse_address, redis_address, without_password

PASSWORD = "pa/ss:wo@rd% ?#ü"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_password_comes_back_whatever_it_holds(password):
    whole = redis_address("redis://ann@h:1/2", password, "")
    assert without_password(whole) == ("redis://ann@h:1/2", password)
    assert parse_url(whole)["password"] == password


@pytest.mark.parametrize("url", ["redis://h:1/2", "redis://ann@h:1/2", "rediss+cluster://h", "clickhouse://h"])
def test_an_address_without_a_password_stays(url):
    assert without_password(url) == (url, "")


def test_redis_gets_user_password_and_ca():
    parts = parse_url(redis_address("rediss://ann@h:1/2?protocol=3", PASSWORD, "/a ca.pem"))
    assert parts.pop("connection_class") is SSLConnection
    assert parts == {
        "host": "h", "port": 1, "db": 2, "username": "ann", "password": PASSWORD, "protocol": 3, "ssl_ca_certs": "/a ca.pem",
    }  # fmt: skip
    assert redis_address("redis://:x@h", "", "/ca") == "redis://:x@h"
    assert parse_url(redis_address("redis://h", PASSWORD, ""))["password"] == PASSWORD


def test_clickhouse_gets_user_password_and_ca():
    host, options = clickhouse_parts(clickhouse_address("clickhouses://ann@h:1/d", PASSWORD, "/a ca.pem"))
    assert host == "h"
    assert {name: options[name] for name in ("port", "database", "user", "password", "secure", "ca_certs")} == {
        "port": 1, "database": "d", "user": "ann", "password": PASSWORD, "secure": True, "ca_certs": "/a ca.pem",
    }  # fmt: skip


def test_a_password_of_an_address_is_a_secret_of_the_settings(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "rediss://ann:no-one-reads-this@h:1/0")
    monkeypatch.setenv("CLICKHOUSE_URL", "clickhouses://bob@h:2")
    monkeypatch.setenv("STREAM_APP_CLICKHOUSE_PASSWORD", "no-one-reads-this-either")
    settings = load()
    assert "no-one-reads" not in f"{settings!r}{settings}{settings.model_dump_json()}"
    assert (settings.redis_url, settings.clickhouse_url) == ("rediss://ann@h:1/0", "clickhouses://bob@h:2")
    assert settings.redis_address == "rediss://ann:no-one-reads-this@h:1/0"
    assert settings.clickhouse_address == "clickhouses://bob:no-one-reads-this-either@h:2"
