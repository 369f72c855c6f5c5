"""Settings of Kafka's clients: the same credentials for each library, and no secret where it may be printed."""

import re

import pytest
from pydantic import SecretStr

from config.settings import ROOT, load
from stream_app.access.errors import AccessError
from stream_app.access.kafka import KafkaAccess
from stream_app.access.tls import client_context
from stream_app.faust_seam.app import new_app

SECRET = "no-one-reads-this"
PLAIN = KafkaAccess("k:1,l:2", "SASL_PLAINTEXT", "SCRAM-SHA-512", "ann", SECRET)
OAUTH = KafkaAccess(
    "k:1", "SASL_PLAINTEXT", "OAUTHBEARER",
    oauth_token_url="http://issuer/token", oauth_client_id="ann", oauth_client_secret=SECRET, oauth_scope="kafka",
)  # fmt: skip


def faust_app(kafka, folder):
    return new_app(
        "app", kafka=kafka, state_dir=folder, partitions=1, session_timeout_s=7, commit_interval_s=1, declares=False
    )


def test_the_settings_make_one_access(monkeypatch):
    for name, value in {
        "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-256", "SASL_USERNAME": "ann", "SASL_PASSWORD": SECRET,
        "SSL_CAFILE": "/ca", "SSL_CERTFILE": "/cert", "SSL_KEYFILE": "/key", "SSL_KEY_PASSWORD": f"{SECRET}-2",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"STREAM_APP_KAFKA_{name}", value)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "k:1")
    settings = load()
    assert settings.kafka == KafkaAccess(
        "k:1", "SASL_SSL", "SCRAM-SHA-256", "ann", SECRET,
        ssl_cafile="/ca", ssl_certfile="/cert", ssl_keyfile="/key", ssl_key_password=f"{SECRET}-2",
    )  # fmt: skip
    assert SECRET not in f"{settings!r}{settings}{settings.model_dump_json()}{settings.kafka!r}"
    assert {SECRET, f"{SECRET}-2"} <= set(settings.secrets())


def test_users_and_passwords_reach_each_library(tmp_path):
    assert PLAIN.aiokafka() == {
        "bootstrap_servers": "k:1,l:2", "security_protocol": "SASL_PLAINTEXT", "ssl_context": None,
        "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "ann", "sasl_plain_password": SECRET,
    }  # fmt: skip
    assert PLAIN.librdkafka() == {
        "bootstrap.servers": "k:1,l:2", "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ann", "sasl.password": SECRET,
    }  # fmt: skip
    app = faust_app(PLAIN, tmp_path)
    credentials = app.conf.broker_credentials
    assert [str(url) for url in app.conf.broker] == ["kafka://k:1", "kafka://l:2"]
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    assert (credentials.username, credentials.password) == ("ann", SECRET)
    assert SECRET not in f"{PLAIN!r}{credentials!r}"


def test_tokens_of_an_issuer_reach_each_library(tmp_path):
    provider = OAUTH.aiokafka()["sasl_oauth_token_provider"]
    assert SECRET not in f"{provider!r}{provider._request!r}{OAUTH!r}"
    assert OAUTH.librdkafka() == {
        "bootstrap.servers": "k:1", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": "http://issuer/token",
        "sasl.oauthbearer.client.id": "ann", "sasl.oauthbearer.client.secret": SECRET, "sasl.oauthbearer.scope": "kafka",
    }  # fmt: skip
    assert faust_app(OAUTH, tmp_path).conf.broker_credentials.mechanism.value == "OAUTHBEARER"


def test_without_security_nothing_is_sent(tmp_path):
    plain = load().model_copy(update={"kafka_sasl_password": SecretStr(SECRET)}).kafka
    assert SECRET not in str(plain.aiokafka()) + str(plain.librdkafka())
    assert faust_app(plain, tmp_path).conf.broker_credentials is None


def test_a_file_that_cant_be_used_is_named(tmp_path):
    absent, other = tmp_path / "absent.pem", tmp_path / "other.pem"
    other.write_text("no certificate")
    with pytest.raises(AccessError, match=f"{absent} can't be read: No such file"):
        client_context(str(absent))
    with pytest.raises(AccessError, match=f"{other} holds no certificates"):
        client_context(str(other))
    with pytest.raises(AccessError, match=f"the certificate {other} can't be used with the key {other}"):
        client_context("", str(other))


def test_no_client_has_addresses_of_its_own():
    own = [path for path in (ROOT / "stream_app").rglob("*.py") if path.parent.name != "access"]
    assert own
    assert [
        str(path)
        for path in own
        if re.search(r"bootstrap_servers=(?!self\._bootstrap_servers)|[\"']bootstrap\.servers[\"']", path.read_text())
    ] == []
