"""The invented network: operators, their groups and customers, made from a seed.

Before `plan` and `live`. Invariant: an operator of a seed is the same whatever the number of operators, and its customers begin the same
whatever their number. Pure.
"""

from bisect import bisect
from collections.abc import Mapping
from itertools import accumulate
from math import ceil
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from stream_app.simulator.rhythm import KINDS, WALK_UP, Behaviour

FOUNDERS: Final = 0.55  # of the customers were there before the first month
DAYS_PER_MONTH: Final = 30.4


def rng(*parts: object) -> Random:
    """A random generator for what is named, independent of all others: draws of one do not move another's."""
    return Random("|".join(map(str, parts)))  # noqa: S311  # nothing here is a secret


class Customer(NamedTuple):
    """A driver. `joined`: the part of the history that was over then, 0 for founders."""

    id: str
    joined: float


class Cohort(NamedTuple):
    """Customers of one kind, by `joined`, with the sums of their monthly visits. Without customers: walk-ups."""

    kind: str
    behaviour: Behaviour
    customers: list[Customer]
    visits: list[float]

    def active(self, progress: float) -> int:
        """Number of customers who had joined by then."""
        return bisect(self.customers, progress, key=lambda customer: customer.joined)

    def pick(self, active: int, draw: float) -> Customer | None:
        """One of the first `active` customers, by the frequency of their visits; None is anonymous."""
        if not self.customers or not active:
            return None
        return self.customers[min(bisect(self.visits, draw * self.visits[active - 1]), active - 1)]


class SimulatedOperator(NamedTuple):
    """An invented operator of chargers.

    `prices`: minor units a kWh by currency, its own first. `groups`: kind -> (group id, name). `party`: country and party of an
    operator that sends OCPI only.
    """

    id: str
    name: str
    zone: ZoneInfo
    prices: Mapping[str, float]
    groups: Mapping[str, tuple[str, str]]
    cohorts: list[Cohort]
    party: tuple[str, str] | None = None

    @property
    def currency(self) -> str:
        """The operator's own currency, the first of its prices."""
        return next(iter(self.prices))

    def daily_visits(self, cohort: Cohort, progress: float) -> float:
        """Visits of a cohort on an average day."""
        cohorts = self.cohorts[:-1] if cohort is self.cohorts[-1] else [cohort]  # walk-ups come in proportion
        months = sum(each.visits[active - 1] for each in cohorts if (active := each.active(progress)))
        return months / DAYS_PER_MONTH * (WALK_UP.share if cohort is self.cohorts[-1] else 1)


class _Model(NamedTuple):
    name: str
    zone: str
    prices: Mapping[str, float]
    size: float  # customers, in proportion to the first operator's
    customer_id: str
    groups: Mapping[str, tuple[str, str]]


_MODELS: Final = (
    _Model(
        "Stadtwerke Musterstadt",
        "Europe/Berlin",
        {"EUR": 52, "CHF": 49},
        1.0,
        "K-{:05d}",
        {
            "vip": ("vip", "大客户"),
            "fleet": ("fleet", "Flottenkunden 车队"),
            "commuter": ("pendler", "Pendler"),
            "resident": ("anwohner", "Anwohner"),
            "night": ("夜间", "夜间充电 (Nachtstrom)"),
        },
    ),
    _Model(
        "虹桥充电",
        "Asia/Shanghai",
        {"CNY": 145},
        0.9,
        "客户-{:05d}",
        {
            "vip": ("大客户", "大客户"),
            "fleet": ("车队", "物流车队"),
            "commuter": ("通勤", "通勤客户"),
            "night": ("夜间", "夜间充电"),
        },
    ),
    _Model(
        "さくらチャージ",
        "Asia/Tokyo",
        {"JPY": 55},
        0.5,
        "会員/{:05d}",
        {"vip": ("vip", "プレミアム会員"), "fleet": ("法人", "法人"), "resident": ("住民", "住民")},
    ),
    _Model(
        "Gulf Volt",
        "Asia/Kuwait",
        {"KWD": 32},
        0.25,
        "gv:{:05d}",
        {"vip": ("vip", "كبار العملاء"), "fleet": ("taxi & limo", "Taxi & Limo")},
    ),
    _Model(
        "Golden Gate Charging",
        "America/Los_Angeles",
        {"USD": 48},
        0.6,
        "gg {:05d}+ev",
        {"vip": ("vip", "Gold ⚡"), "fleet": ("fleet", "Fleet"), "commuter": ("bay|bridge", "Bay Bridge commuters")},
    ),
    _Model(
        "Deccan Charge",
        "Asia/Kolkata",
        {"INR": 1900},
        0.4,
        "dc-{:05d}",
        {"vip": ("vip", "वीआईपी"), "fleet": ("autos", "Auto rickshaws"), "resident": ("society", "Housing societies")},
    ),
)
_ROAMING: Final = _Model("Alfa Roaming", "Europe/Amsterdam", {"EUR": 59}, 0.15, "NL-ALF-C{:06d}-X", {})
ROAMING_PARTY: Final = ("NL", "ALF")

PRICES: Final = {currency: price for model in (_ROAMING, *_MODELS) for currency, price in model.prices.items()}


class Network(NamedTuple):
    """All operators. The last one sends OCPI only, the others our topics."""

    seed: int
    operators: list[SimulatedOperator]


def build(seed: int, operators: int, customers: int) -> Network:
    """The network of a seed: operators M1 and on, and one of OCPI. `customers`: of M1, the largest; the others have fewer."""
    built = []
    for number in range(operators):
        model, again = _MODELS[number % len(_MODELS)], number // len(_MODELS)
        name = f"{model.name} {again + 1}" if again else model.name
        built.append(_operator(seed, f"M{number + 1}", name, model, customers))
    roaming = _operator(seed, "-".join(ROAMING_PARTY), _ROAMING.name, _ROAMING, customers)
    return Network(seed, [*built, roaming._replace(party=ROAMING_PARTY)])


def _operator(seed: int, operator_id: str, name: str, model: _Model, customers: int) -> SimulatedOperator:
    chance, count = rng(seed, operator_id), ceil(customers * model.size)
    kinds = list(KINDS)
    shares = list(accumulate(behaviour.share for behaviour in KINDS.values()))
    members: dict[str, list[tuple[Customer, float]]] = {kind: [] for kind in kinds}
    for number in range(1, count + 1):
        kind = kinds[min(bisect(shares, chance.random() * shares[-1]), len(kinds) - 1)]
        joined = 0.0 if chance.random() < FOUNDERS else chance.random()
        visits = KINDS[kind].visits * chance.lognormvariate(0, 0.4)
        members[kind].append((Customer(model.customer_id.format(number), joined), visits))
    cohorts = []
    for kind, some in members.items():
        some.sort(key=lambda each: each[0].joined)
        visits_so_far = list(accumulate(visits for _, visits in some))
        cohorts.append(Cohort(kind, KINDS[kind], [customer for customer, _ in some], visits_so_far))
    cohorts.append(Cohort("walk-up", WALK_UP, [], []))
    return SimulatedOperator(operator_id, name, ZoneInfo(model.zone), model.prices, model.groups, cohorts)
