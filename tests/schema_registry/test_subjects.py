"""Our contracts in a schema registry: each under its topic's name, once, with a mode that lets no change break who relies on it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.settings import ROOT, load
from stream_app.access.schema_registry import RegistryAccess
from stream_app.cli.contracts import contracts_of, register_contracts
from stream_app.local.errors import LocalError
from stream_app.local.ports import free_port
from tests.support.schema_registry import SchemaRegistry
from tests.support.waiting import wait_until

FOLDER = ROOT / "docs" / "contracts"
SECONDS_MAX = 0.1  # that a registry is waited for


@pytest.fixture
def registry():
    made = SchemaRegistry()
    yield made
    made.close()


def registered(registry):
    register_contracts(load(), RegistryAccess(registry.url), seconds_max=SECONDS_MAX)


def test_each_contract_is_registered_under_the_name_of_its_topic(registry):
    """The schemas of docs/contracts, but for what describes headers or all topics. What was registered by another team stays where it is."""
    registry.add('"int"', subject="of-others-value")
    registered(registry)
    others = {"asyncapi", "openapi", "crm-stats.dead-letters"}
    files = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json") if file.stem not in others}
    assert set(registry.subjects) == {f"{name}-value" for name in files} | {"of-others-value"}
    assert {name: registry.schema(f"{name}-value") for name in files} == files
    assert registry.modes == {
        f"{name}-value": "FORWARD" if name.startswith("crm-stats.") else "BACKWARD" for name in files
    }


def test_what_is_registered_is_so_once_and_a_mode_that_somebody_set_stays(registry):
    registry.modes["charging.sessions-value"] = "NONE"
    registered(registry)
    before = {subject: list(versions) for subject, versions in registry.subjects.items()}
    registered(registry)
    assert registry.subjects == before
    assert registry.modes["charging.sessions-value"] == "NONE"
    assert {
        method for method, _, _ in (asked.partition(" ") for asked, count in registry.asked.items() if count > 1)
    } == {"GET", "POST"}


def test_a_change_that_the_registry_does_not_take_is_one_sentence(registry):
    registry.incompatible.add("crm-stats.monthly.v1-value")
    sentence = r"does not take our schema of crm-stats\.monthly\.v1-value, whose compatibility is FORWARD: Schema being registered is incompatible"
    with pytest.raises(LocalError, match=sentence):
        registered(registry)


@pytest.mark.parametrize("answer", [(503, b""), None], ids=["broken", "away"])
def test_a_registry_that_does_not_answer_is_one_sentence(registry, answer):
    registry.broken = answer
    access = RegistryAccess(registry.url if answer else f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        LocalError, match=rf"^the schema registry does not answer, which is to get our schemas: {access.url}"
    ):
        register_contracts(load(), access, seconds_max=SECONDS_MAX)


def test_a_registry_that_is_on_its_way_is_waited_for(registry):
    registry.broken = (503, b"")
    with ThreadPoolExecutor(1) as waiting:
        done = waiting.submit(register_contracts, load(), RegistryAccess(registry.url), seconds_max=300)
        wait_until("it is asked again", lambda: registry.asked.total() > 1)
        registry.broken = None
        done.result()
    assert len(registry.subjects) == len(contracts_of(load()))


def test_topics_of_other_names_have_their_schemas(monkeypatch):
    monkeypatch.setenv("STREAM_APP_TOPIC_SESSIONS", "prod.sessions")
    (contract,) = [each for each in contracts_of(load()) if each.topic == "prod.sessions"]
    assert contract.schema["$id"].endswith(":prod.sessions")
