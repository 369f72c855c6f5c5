"""Random events: a visit to a charger (energy, duration, price), a customer who changes groups. Pure."""

from random import Random

from stream_app.simulator import records
from stream_app.simulator.network import Cohort, Customer, SimulatedOperator
from stream_app.simulator.records import SourceRecord, Visit

_FOREIGN = 0.03  # of the visits where an operator takes a second currency
_COUPON = 0.03
_COUPON_PERCENT = 10
KWH_MIN, KWH_MAX = 2.0, 95.0


def draw_visit(
    chance: Random, operator: SimulatedOperator, cohort: Cohort, customer: Customer | None, visit_id: str, start_ms: int
) -> Visit:
    """A random visit that begins at `start_ms`."""
    behaviour = cohort.behaviour
    kwh = round(min(KWH_MAX, max(KWH_MIN, chance.gauss(behaviour.kwh, behaviour.kwh / 3))), 1)
    minutes = kwh / behaviour.kw * 60 + chance.random() * 20
    currencies = list(operator.prices)
    currency = currencies[-1] if chance.random() < _FOREIGN else currencies[0]
    price = round(kwh * operator.prices[currency])
    percent = _COUPON_PERCENT if chance.random() < _COUPON else behaviour.discount_percent
    discount = price * percent // 100
    return Visit(
        visit_id,
        customer.id if customer else None,
        start_ms,
        start_ms + int(minutes * 60_000),
        kwh,
        price - discount,
        discount,
        currency,
    )


def draw_regrouping(
    chance: Random, operator: SimulatedOperator, cohort: Cohort, active: int, vips: set[tuple[str, str]], version: int
) -> SourceRecord | None:
    """A customer becomes a VIP, or is one no longer; None where that can't be. `vips`: (operator, customer) of who became one, kept up."""
    group, vip = operator.groups.get(cohort.kind), operator.groups.get("vip")
    customer = cohort.pick(active, chance.random())
    if not customer or not vip or group == vip:
        return None
    vips ^= {(operator.id, customer.id)}
    groups = [group[0]] if group else []
    if (operator.id, customer.id) in vips:
        groups.append(vip[0])
    return records.membership(operator.id, customer.id, groups, version)
