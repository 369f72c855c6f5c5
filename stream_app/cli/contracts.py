"""Our contracts, by the names of this deployment's topics, into its schema registry. Must not make any: `stream_app.contracts` does."""

import asyncio

from config.settings import Settings
from stream_app.access.schema_registry import RegistryAccess
from stream_app.contracts.results import as_of_schema, record_schema
from stream_app.contracts.sources import source_schema
from stream_app.domain.tables import TABLES
from stream_app.local.errors import LocalError
from stream_app.schema_registry.client import RegistryAwayError, RegistryClient
from stream_app.schema_registry.subjects import READ_BY_OTHERS, READ_BY_US, Contract, RefusedError, register
from stream_app.schema_registry.waiting import until_the_registry_answers
from stream_app.sources.registry import TEAMS


def contracts_of(settings: Settings) -> list[Contract]:
    """Those of source events and of results. Values of dead letters are as they came, and have none."""
    sources = {settings.source_topic(topic.name): topic for topic in TEAMS if topic.number == 0}
    return [
        *(Contract(name, source_schema(topic, name), READ_BY_US) for name, topic in sources.items()),
        *(Contract(settings.result_topic(table.name), record_schema(table), READ_BY_OTHERS) for table in TABLES),
        Contract(settings.topic_as_of, as_of_schema(), READ_BY_OTHERS),
    ]


def register_contracts(settings: Settings, access: RegistryAccess, *, seconds_max: float) -> None:
    """Register our contracts, with a registry that may be on its way for so long. `Raises` LocalError, AccessError."""
    asyncio.run(_register(RegistryClient(access), contracts_of(settings), seconds_max))


async def _register(client: RegistryClient, contracts: list[Contract], seconds_max: float) -> None:
    try:
        await until_the_registry_answers(lambda: register(client, contracts), seconds_max)
    except RegistryAwayError as error:
        raise LocalError(f"the schema registry does not answer, which is to get our schemas: {error}") from None
    except RefusedError as error:
        raise LocalError(f"{error}.") from None
    finally:
        await client.close()
