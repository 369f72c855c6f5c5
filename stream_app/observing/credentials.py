"""A connection to Kafka that proves the credentials, made before all others: clients say no more than that they can't connect.

Whoever is refused would be refused again, and each retry of each client would be a line in the log. A broker that is away refuses
nobody: the clients wait for it.
"""

import asyncio
from typing import Final

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    UnsupportedSaslMechanismError,
)
from aiokafka.errors import SaslAuthenticationFailed as SaslAuthenticationFailedError

from stream_app.access.errors import AccessError
from stream_app.access.kafka import KafkaAccess
from stream_app.access.tls import Place, shake_hands

_REFUSALS: Final = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
# ApiVersions, version 0, without a client id: what every broker answers.
_GREETING: Final = bytes.fromhex("0000000a 0012 0000 00000000 ffff")
_TIMEOUT_MS: Final = 5_000
_CLOSE_S: Final = 1.0


async def prove(kafka: KafkaAccess) -> bool:
    """Whether a broker took the credentials; no: none answers. `Raises` AccessError where one refuses them."""
    context = kafka.ssl_context()
    for host, port, _ in collect_hosts(kafka.servers):
        what = f"Kafka at {host}:{port}"
        try:
            if context is not None:
                place = Place(what, host, port, kafka.ssl_cafile, kafka.ssl_certfile)
                await asyncio.to_thread(shake_hands, place, context, _GREETING)
            await _connect(kafka, host, port)
        except _REFUSALS as error:
            raise AccessError(f"{what} refuses {principal(kafka)}: {_reason(error)}") from None
        except (OSError, KafkaError, TimeoutError):
            continue
        return True
    return False


async def _connect(kafka: KafkaAccess, host: str, port: int) -> None:
    """Connect, authenticate, and disconnect."""
    settings = kafka.aiokafka() | {"request_timeout_ms": _TIMEOUT_MS}
    del settings["bootstrap_servers"]
    connection = AIOKafkaConnection(host, port, **settings)
    was_open = True
    try:
        await connection.connect()
    except OSError:
        was_open = False
        raise
    finally:
        closed = connection.close()
        if was_open:
            await asyncio.wait([closed], timeout=_CLOSE_S)


def principal(kafka: KafkaAccess) -> str:
    """Who the credentials are of, for a sentence."""
    if kafka.uses_oauth:
        return f"the client {kafka.oauth_client_id}"
    if kafka.uses_sasl:
        return f"the user {kafka.sasl_username}"
    return f"the certificate {kafka.ssl_certfile}" if kafka.ssl_certfile else "a client without credentials"


def _reason(error: KafkaError) -> str:
    said = str(error).partition("] ")[2] or str(error)
    return said.partition(": ")[2] or said or type(error).__name__
