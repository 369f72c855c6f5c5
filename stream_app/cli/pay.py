"""`stream-app pay`: one payment now, and when it shows. Thin: record and waiting are the simulator's."""

import asyncio
import random
import time
import uuid
from typing import Annotated

import typer

from config import settings as config
from stream_app.cli.access import need_kafka
from stream_app.cli.generation import generation_in_force, prepare_client
from stream_app.cli.simulate import CUSTOMERS, OPERATORS, SEED, source_topics
from stream_app.domain.money import major
from stream_app.formats.murmur2 import partition_for
from stream_app.local.errors import LocalError
from stream_app.simulator.network import build
from stream_app.simulator.payment import PaymentError, check_ids, minor_units, paid_now
from stream_app.simulator.send import Sender, SendError
from stream_app.simulator.shown import Shown, ShownError

SECONDS_MAX = 10.0


def command(
    operator: Annotated[str, typer.Option(help="The operator that is paid")],
    amount: Annotated[str, typer.Option(help="What it receives, in major units: 12.50")],
    customer: Annotated[
        str | None, typer.Option(help="Who pays; without it one of the simulated network, or a new one")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Becomes the only group of the customer, who is a new one unless named")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Without it the operator's")] = None,
) -> None:
    """Send one payment and its session, and say when the results hold it."""
    prepare_client()
    settings = config.load()
    who = customer if customer is not None else _somebody(operator, group)
    try:
        check_ids(operator, who, group)
        if currency is not None:
            minor_units(amount, currency)
        need_kafka(settings, "pay")
        asyncio.run(_pay(settings, operator, amount, who, group, currency))
    except (PaymentError, SendError, ShownError) as error:
        raise LocalError(f"{error}.") from None


def _somebody(operator_id: str, group: str | None) -> str:
    """A customer of the simulated network; a new one where a group is given, or the network lacks the operator."""
    for operator in build(SEED, OPERATORS, CUSTOMERS).operators if group is None else []:
        if operator.id == operator_id:
            customers = [customer.id for cohort in operator.cohorts for customer in cohort.customers]
            return random.choice(customers)  # noqa: S311  # anybody will do
    return f"new-{uuid.uuid4().hex[:8]}"


async def _pay(
    settings: config.Settings, operator: str, amount: str, customer: str, group: str | None, currency: str | None
) -> None:
    shown = Shown(settings.redis_address)
    try:
        currency = currency or await _currency_of(shown, operator)
        minor = minor_units(amount, currency)
        async with Sender(settings.kafka, source_topics(settings)) as sender:
            now_ms = int(time.time() * 1000)
            visit_id = f"pay-{uuid.uuid4().hex}"
            taken_ms = await sender.send(paid_now(operator, customer, visit_id, minor, currency, now_ms, group))
        began = time.monotonic()
        of_whom = customer + (f" of group {group}" if group is not None else "")
        print(f"{operator} received {major(minor, currency)} {currency} from {of_whom}: payment p-{visit_id}")
        partition = partition_for(operator.encode(), (await generation_in_force(settings)).events_partitions)
        if not await shown.wait([partition], taken_ms, SECONDS_MAX):
            raise LocalError(
                f"the payment is in Kafka, but after {SECONDS_MAX:.0f} s the results don't hold it: "
                f"see whether a worker runs (make up, {config.RUN / 'worker-1.log'}) and works off a backlog; it will be counted."
            )
        print(f"The results hold it after {(time.monotonic() - began) * 1000:.0f} ms")
        print(await _total(shown, operator, currency))
    finally:
        await shown.close()


async def _currency_of(shown: Shown, operator: str) -> str:
    entry = await shown.operator(operator)
    if entry is None:
        raise LocalError(
            f"the operator {operator!r} is not known yet: name its currency by --currency, or start with make demo."
        )
    return str(entry["currency"])


async def _total(shown: Shown, operator: str, currency: str) -> str:
    """What the newest month of the operator has received by now."""
    monthly = await shown.monthly(operator)
    if monthly is None or monthly["currency"] != currency:
        return f"What was received in {currency} is what monthlyIndex answers with currency={currency}"
    month = monthly["months"][-1]
    return f"{operator} received {month['receivedAmount']} {currency} in {month['month']} by now, in {month['paymentCount']} payments"
