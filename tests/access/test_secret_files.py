"""Secrets out of files that the environment names."""

import pytest

from config.settings import Settings, load, secret_names
from stream_app.access.errors import AccessError

SECRET = "no-one-reads-this"


def test_all_passwords_and_secrets_are_secrets():
    named = {name for name in Settings.model_fields if name.endswith(("_password", "_secret"))}
    assert named == set(secret_names())


@pytest.mark.parametrize("name", secret_names())
def test_each_secret_may_stand_in_a_file(name, tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv(f"STREAM_APP_{name.upper()}_FILE", str(file))
    settings = load()
    assert getattr(settings, name).get_secret_value() == SECRET
    assert SECRET not in f"{settings!r}{settings.model_dump_json()}"
    monkeypatch.setenv(f"STREAM_APP_{name.upper()}", "of the environment")
    assert getattr(load(), name).get_secret_value() == "of the environment"


@pytest.mark.parametrize("variable", ["REDIS_URL", "STREAM_APP_REDIS_URL"])
def test_an_address_with_a_password_may_stand_in_a_file(variable, tmp_path, monkeypatch):
    file = tmp_path / "url"
    file.write_text(f"redis://ann:{SECRET}@h:1/0\n")
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    settings = load()
    assert settings.redis_address == f"redis://ann:{SECRET}@h:1/0"
    assert SECRET not in repr(settings)


def test_a_file_that_cant_be_read_is_named_and_never_shown(tmp_path, monkeypatch):
    file = tmp_path / "secret"
    monkeypatch.setenv("STREAM_APP_JWT_SECRET_FILE", str(file))
    with pytest.raises(AccessError, match=f"{file}, which STREAM_APP_JWT_SECRET_FILE names, can't be read: No such"):
        load()
    file.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(AccessError, match="is not UTF-8") as caught:
        load()
    assert SECRET not in str(caught.value)
