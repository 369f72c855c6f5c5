"""What happens to a site in a storm. A fault begins, says for how long it lasts, and ends.

Each holds what it concerns (a worker, the brokers, a sink), so that two faults at a time are never of the same.
"""

import signal
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, NamedTuple

from tests.storm.site import Site
from tests.support.cluster import BROKERS
from tests.support.proxy import CALM, Link, Links, Weather

Course = Iterator[float]  # yields once, the seconds that it lasts


class Fault(NamedTuple):
    """A kind of fault. `concerns`: "worker", "broker", "redis" or "clickhouse"."""

    kind: str
    concerns: str
    run: Callable[["Place"], Course]


class Place(NamedTuple):
    """Where a fault happens: `worker` is the number of one that nothing else happens to."""

    site: Site
    links: Links
    rng: Random
    worker: int


def _kill_worker(at: Place) -> Course:
    at.site.deployment.kill(f"worker-{at.worker}")
    yield at.rng.choice((0.0, at.rng.uniform(1, 12)))
    at.site.start_worker(at.worker)


def _pause_worker(at: Place) -> Course:
    process = at.site.deployment.process(f"worker-{at.worker}")
    process.send_signal(signal.SIGSTOP)
    yield at.rng.uniform(1, 20)  # its session ends after 6 s
    process.send_signal(signal.SIGCONT)


def _restart_worker(at: Place) -> Course:
    at.site.stop_worker(at.worker)
    yield 0.0
    at.site.start_worker(at.worker)


def _add_worker(at: Place) -> Course:
    number = max(at.site.workers) + 1
    at.site.start_worker(number)
    yield at.rng.uniform(8, 20)
    at.site.stop_worker(number)
    at.site.workers.discard(number)


def _kill_brokers(count: int, seconds: tuple[float, float]) -> Callable[[Place], Course]:
    def run(at: Place) -> Course:
        killed = at.rng.sample(BROKERS, count)
        for number in killed:
            at.site.cluster.kill(number)
        yield at.rng.uniform(*seconds)
        at.site.cluster.start_all(killed)

    return run


def _restart_broker(at: Place) -> Course:
    number = at.rng.choice(BROKERS)
    at.site.cluster.stop(number)
    yield 0.0
    at.site.cluster.start_all([number])


def _pause_broker(at: Place) -> Course:
    number = at.rng.choice(BROKERS)
    at.site.cluster.pause(number)
    yield at.rng.uniform(2, 15)
    at.site.cluster.resume(number)


def _restart_sink(name: str, *, empty: bool = False) -> Callable[[Place], Course]:
    def run(at: Place) -> Course:
        at.site.deployment.restart_server(name, empty=empty)
        yield 0.0

    return run


def _pause_sink(name: str) -> Callable[[Place], Course]:
    def run(at: Place) -> Course:
        at.site.signal_sink(name, signal.SIGSTOP)
        yield at.rng.uniform(2, 10)
        at.site.signal_sink(name, signal.SIGCONT)

    return run


def _weather(link_of: Callable[[Place], Link], weather_of: Callable[[Random], Weather]) -> Callable[[Place], Course]:
    def run(at: Place) -> Course:
        link = link_of(at)
        at.links.turn(link, weather_of(at.rng))
        yield at.rng.uniform(3, 15)
        at.links.turn(link, CALM)

    return run


def _delay(rng: Random) -> Weather:
    return Weather(delay_s=rng.uniform(0.02, 0.3))


def _break(_: Random) -> Weather:
    return Weather(breaks=True)


def _swallow(rng: Random) -> Weather:
    there, back = rng.choice(((True, False), (False, True), (True, True)))
    return Weather(swallows_there=there, swallows_back=back)


def _to_broker(at: Place) -> Link:
    return at.site.broker_links[at.rng.choice(BROKERS)]


FAULTS: Final = (
    Fault("worker killed", "worker", _kill_worker),
    Fault("worker paused, 1 to 20 s", "worker", _pause_worker),
    Fault("worker restarted", "worker", _restart_worker),
    Fault("worker added, and taken away", "worker", _add_worker),
    Fault("broker killed, away 3 to 30 s", "broker", _kill_brokers(1, (3, 30))),
    Fault("two brokers killed, away 3 to 15 s", "broker", _kill_brokers(2, (3, 15))),
    Fault("broker restarted", "broker", _restart_broker),
    Fault("broker paused, 2 to 15 s", "broker", _pause_broker),
    Fault("connections to a broker delayed", "broker", _weather(_to_broker, _delay)),
    Fault("connections to a broker broken", "broker", _weather(_to_broker, _break)),
    Fault("connections to a broker swallow", "broker", _weather(_to_broker, _swallow)),
    Fault("Redis killed", "redis", _restart_sink("redis")),
    Fault("Redis killed and emptied", "redis", _restart_sink("redis", empty=True)),
    Fault("Redis paused, 2 to 10 s", "redis", _pause_sink("redis")),
    *(
        Fault(f"connections to Redis {what}", "redis", _weather(lambda at: at.site.sink_links["redis"], weather))
        for what, weather in (("delayed", _delay), ("broken", _break), ("swallow", _swallow))
    ),
    Fault("ClickHouse killed", "clickhouse", _restart_sink("clickhouse")),
    Fault("ClickHouse paused, 2 to 10 s", "clickhouse", _pause_sink("clickhouse")),
    *(
        Fault(f"connections to ClickHouse {what}", "clickhouse", _weather(lambda at: at.site.sink_links["clickhouse"], weather))
        for what, weather in (("delayed", _delay), ("broken", _break), ("swallow", _swallow))
    ),
)  # fmt: skip
