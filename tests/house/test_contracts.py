"""docs/contracts is what the code says."""

import json

import pytest
from jsonschema import Draft7Validator

from config.settings import ROOT, load
from docs.contract_files import FOLDER
from stream_app.cli.topics import topics_of
from tests.oracle import TOPICS
from tests.support.pages import run_script, section

ASYNCAPI = json.loads((FOLDER / "asyncapi.json").read_text())
CHANNELS = {channel["address"]: channel for channel in ASYNCAPI["channels"].values()}


def test_the_contracts_are_as_the_code_is():
    done = run_script("contract_files.py", "--check")
    assert done.returncode == 0, done.stderr


CHANGED = {
    "a figure": """
from stream_app.domain import figures
figures.FIGURES = figures.FIGURES[:-1]
""",
    "a table": """
from stream_app.domain import tables
tables.TABLES = tables.TABLES[:1]
""",
    "a field of a source event": """
import msgspec
from stream_app.sources import canonical
canonical.GroupName = msgspec.defstruct("GroupName", [("operator_id", str)])
""",
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_that_the_contracts_lack_is_seen(what):
    done = run_script("contract_files.py", "--check", code=CHANGED[what])
    assert done.returncode == 1
    assert done.stderr.endswith("not as the code is: make docs\n")


def references(part):
    """All references in a document."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_reference_of_asyncapi_leads_somewhere_and_no_schema_is_left_out():
    found = set(references(ASYNCAPI))
    files = {reference for reference in found if reference.startswith("./")}
    assert {FOLDER / reference for reference in files} == set(FOLDER.glob("*.json")) - {
        FOLDER / "asyncapi.json",
        FOLDER / "openapi.json",
    }
    for reference in found - files:
        part = ASYNCAPI
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_asyncapi_has_each_topic_of_the_contract_once_received_or_sent():
    received = {o["channel"]["$ref"] for o in ASYNCAPI["operations"].values() if o["action"] == "receive"}
    sent = {o["channel"]["$ref"] for o in ASYNCAPI["operations"].values() if o["action"] == "send"}
    assert received | sent == {f"#/channels/{name}" for name in ASYNCAPI["channels"]}
    assert {ASYNCAPI["channels"][name.rpartition("/")[2]]["address"] for name in received} == set(TOPICS.values())
    described = section(ROOT / "docs" / "integrating.md", "Topics")
    for name in sent - {"#/channels/dead_letters"}:
        assert f"| `{ASYNCAPI['channels'][name.rpartition('/')[2]]['address']}` |" in described


@pytest.mark.parametrize(
    "topic", [topic for topic in topics_of(load()) if topic.name in CHANNELS], ids=lambda topic: topic.name
)
def test_asyncapi_says_how_topics_of_ours_are_made_and_nothing_of_others(topic):
    binding = CHANNELS[topic.name]["bindings"]["kafka"]
    assert binding["topic"] == topic.name
    if topic.name in TOPICS.values():
        assert set(binding) == {"topic", "bindingVersion"}
        return
    assert (binding["partitions"], binding["replicas"]) == (topic.partitions, topic.replication_factor)
    config = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in binding["topicConfiguration"].items()
    }
    assert config == topic.config


@pytest.mark.parametrize("name", ASYNCAPI["components"]["messages"])
def test_keys_and_headers_of_messages_are_schemas(name):
    message = ASYNCAPI["components"]["messages"][name]
    Draft7Validator.check_schema(message["bindings"]["kafka"]["key"])
    if "schema" in message.get("headers", {}):
        Draft7Validator.check_schema(message["headers"]["schema"])
