"""Questions to Kafka about what a principal may do, asked before the work begins: later each client would stumble over a right of its own.

Asks with the principal's own credentials and needs no right for it. Changes nothing: of a transactional id it asks with a name that nobody uses.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from aiokafka.protocol.transaction import InitProducerIdRequest
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.access.kafka import KafkaAccess
from stream_app.access.rights import Right
from stream_app.clients.client import Client
from stream_app.clients.waiting import ClusterError
from stream_app.observing.client import TIMEOUT_S, client_settings, cluster_errors

_DENIED: Final = {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}
_TRANSACTIONAL_ID_DENIED: Final = 53
_ALL: Final = frozenset({"READ", "WRITE", "DELETE", "DESCRIBE", "DESCRIBECONFIGS"})
# Of what may not be described, no more is known: each right that lets describe it is missing.
_UNSEEN: Final = frozenset({"DESCRIBECONFIGS"})


async def missing(kafka: KafkaAccess, rights: Sequence[Right]) -> list[Right]:
    """Those of the rights that the principal does not have. Of a topic that does not exist yet only Create is known.

    `Raises` ClusterError.
    """
    admin = AdminClient(client_settings(kafka))
    allowed = {
        "topic": await _operations(admin.describe_topics, _names(rights, "topic"), TopicCollection),
        "group": await _operations(admin.describe_consumer_groups, _names(rights, "group"), list),
    }
    creatable = await _creatable(admin, {right.name for right in rights if right.operation == "Create"})
    ids = await _ids(kafka, _names(rights, "transactional-id"))

    def has(right: Right) -> bool:
        if right.resource == "transactional-id":
            return right.name in ids
        if right.operation == "Create":
            return right.name in creatable
        return right.operation.upper() in allowed[right.resource][right.name]

    return [right for right in rights if not has(right)]


def _names(rights: Iterable[Right], resource: str) -> list[str]:
    return sorted({right.name for right in rights if right.resource == resource})


async def _operations(
    describe: Callable[..., dict[str, Any]], names: list[str], wrapped: Callable[[list[str]], Any]
) -> dict[str, AbstractSet[str]]:
    """Operations that are allowed, by name, in capitals and without underscores."""
    futures = describe(wrapped(names), include_authorized_operations=True, request_timeout=TIMEOUT_S) if names else {}
    out: dict[str, AbstractSet[str]] = {}
    for name, answer in (await _answers(futures)).items():
        if not isinstance(answer, KafkaException):
            out[name] = {operation.name.replace("_", "") for operation in answer.authorized_operations or ()}
        elif answer.args[0].name() in _DENIED:
            out[name] = _UNSEEN
        elif answer.args[0].name() == "UNKNOWN_TOPIC_OR_PART":
            out[name] = _ALL
        else:
            raise ClusterError(str(answer)) from answer
    return out


async def _creatable(admin: AdminClient, names: Iterable[str]) -> set[str]:
    """Those topics that the principal may create, whether or not they exist. Creates none."""
    wanted = [NewTopic(name, 1) for name in names]
    futures = admin.create_topics(wanted, validate_only=True, request_timeout=TIMEOUT_S) if wanted else {}
    return {
        name
        for name, answer in (await _answers(futures)).items()
        if not (isinstance(answer, KafkaException) and answer.args[0].name() in _DENIED)
    }


async def _answers(futures: Mapping[str, Any]) -> dict[str, Any]:
    found = await asyncio.gather(*map(asyncio.wrap_future, futures.values()), return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException) and not isinstance(answer, KafkaException):
            raise answer
    return dict(zip(futures, found, strict=True))


async def _ids(kafka: KafkaAccess, names: Sequence[str]) -> set[str]:
    """Those transactional ids that a producer of the principal may take."""
    if not names:
        return set()
    client = Client(**kafka.aiokafka(), request_timeout_ms=int(TIMEOUT_S * 1000))
    try:
        with cluster_errors():
            await client.bootstrap()
            node = client.get_random_node()
            answers = [await client.send(node, InitProducerIdRequest(name, 1000)) for name in names]
    finally:
        await client.close()
    return {name for name, answer in zip(names, answers, strict=True) if answer.error_code != _TRANSACTIONAL_ID_DENIED}
