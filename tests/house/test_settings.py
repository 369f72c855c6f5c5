"""Every setting stands once, is explained, and is in the docs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import ROOT, Settings, load
from docs.settings_page import entries, secrets

DEFAULTS = tomllib.loads((ROOT / "config" / "defaults.toml").read_text())


def test_every_setting_has_a_default_or_is_described_as_given_from_outside():
    assert set(DEFAULTS) | set(secrets()) == set(Settings.model_fields)
    for name, meaning in secrets().items():
        assert meaning, f"{name} has no default: Field(description=...) says what it is"
        assert not Settings.model_fields[name].is_required(), f"{name} has no default and is required"


def test_every_default_is_explained():
    explained = {entry.name: entry.text for entry in entries()}
    assert set(explained) == set(DEFAULTS)
    assert [name for name, text in explained.items() if not text] == []


def test_the_docs_show_the_settings_as_they_are():
    subprocess.run([sys.executable, ROOT / "docs" / "settings_page.py", "--check"], check=True, cwd=Path("/"))


def test_the_environment_counts_more_than_the_file_and_a_wrong_value_is_named(monkeypatch):
    assert load().tick_ms == DEFAULTS["tick_ms"]
    monkeypatch.setenv("STREAM_APP_TICK_MS", "77")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9")
    assert (load().tick_ms, load().kafka_bootstrap_servers) == (77, "kafka.example:9")
    monkeypatch.setenv("STREAM_APP_TICK_MS", "soon")
    with pytest.raises(ValidationError, match="tick_ms"):
        load()


def test_no_secret_is_printed(monkeypatch):
    monkeypatch.setenv("STREAM_APP_JWT_SECRET", "do-not-print-this-one")
    settings = load()
    assert "do-not-print" not in repr(settings) + settings.model_dump_json()
