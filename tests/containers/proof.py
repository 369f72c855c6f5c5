"""What is shown of the images: compose.yaml runs them as it is, a worker that is killed comes back, and an older version is replaced under load, exact."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.containers.composed import WORKERS, Composed
from tests.containers.engine import Engine
from tests.containers.images import OLDER, TODAY
from tests.oracle import TOPICS
from tests.support import outputs
from tests.support.feed import epoch_ms
from tests.support.first_version import would_take
from tests.support.live import Watch, traffic
from tests.support.scenario import Send, build, send

ENTITIES = 1500
PER_SECOND = 60


class Step(NamedTuple):
    """Something that was done, and how long it took, in seconds."""

    name: str
    took_s: float


class Proof:
    """Runs it all on an engine. `steps`: what was done; an error ends it."""

    def __init__(self, engine: Engine, say: Callable[[str], None]) -> None:
        self._engine, self._say = engine, say
        self.steps: list[Step] = []

    def run(self) -> None:
        """Both stacks, one after the other."""
        self._engine.compose("down", "--volumes", "--remove-orphans")  # what a run left that was ended
        self._fresh()
        self._upgrade()

    def _fresh(self) -> None:
        """The image of today from nothing; a worker is killed under load."""
        with self._stack(TODAY, "up, from nothing") as stack:
            self._without_rights(stack)
            before, meanwhile = _parts(1, 0, 0.5)
            send(stack.kafka, before)
            with traffic(stack, meanwhile, per_second=PER_SECOND), self._step("worker killed: started again, well"):
                stack.kill(WORKERS[0])
                stack.wait_restarted(WORKERS[0], 1)
            self._exact(stack)
            with self._step("down and up, data kept"):
                self._engine.compose("down")
                stack.up()
            self._exact(stack)

    def _upgrade(self) -> None:
        """An older image is replaced by today's, a container after the other, as docs/operating.md says."""
        with self._stack(OLDER, "up, older version") as stack:
            before, meanwhile, later = _parts(2, 0, 0.4, 0.9)
            send(stack.kafka, before)
            stack.wait_as_of(stack.now_ms())
            with Watch(stack) as watch, traffic(stack, meanwhile, per_second=PER_SECOND), _oldest(stack) as ages_s:
                stack.use(TODAY)
                for name in (*WORKERS, "api", "monitor"):
                    with self._step(f"{name} replaced"):
                        stack.up(name)
            self.steps.append(Step("as-of at the oldest meanwhile", max(ages_s)))
            send(stack.kafka, later)
            self._exact(stack)
            assert watch.falls == [], watch.falls[:5]
            assert watch.looks > 20

    @contextmanager
    def _stack(self, image: str, name: str) -> Iterator[Composed]:
        with self._step(name):
            stack = Composed(self._engine, image)
        try:
            for topic in TOPICS.values():  # some records have timestamps of their own
                stack.keep_for_ever(topic)
            yield stack
        except BaseException:
            self._say(stack.logs())
            raise
        finally:
            stack.down()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps.append(Step(name, time.monotonic() - began))
        self._say(f"{name}: {self.steps[-1].took_s:.1f} s")

    def _exact(self, stack: Composed) -> None:
        """All outputs equal the oracle, and the monitor finds all well."""
        with self._step("all outputs equal the oracle"):
            sent_ms = stack.now_ms()
            stack.wait_as_of(sent_ms)
            records = outputs.source_records(stack)
            outputs.check(stack, lambda now_ms: outputs.expected(records, sent_ms, now_ms=now_ms))
            assert len(outputs.expected(records, sent_ms).monthly) > 300
            stack.run("monitor", "stream-app", "status")  # ends with 1 when something is not well

    def _without_rights(self, stack: Composed) -> None:
        """No container of ours may write to its root, or is root."""
        look = "import os; print(os.getuid()); open('/opt/x', 'w')"
        for name in (*WORKERS, "api", "monitor"):
            said = stack.refused(name, "python", "-c", look)
            assert said.startswith("10001\n"), said
            assert "Read-only file system" in said, said


@contextmanager
def _oldest(stack: Composed) -> Iterator[list[float]]:
    """Ages of Redis' as-of, of the partition that is behind most, while the block runs, in seconds."""
    ages_s: list[float] = []
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.2):
            if as_of := stack.as_of():
                ages_s.append(time.time() - epoch_ms(min(as_of.values())) / 1000)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ages_s
    finally:
        over.set()
        thread.join()


def _parts(seed: int, *shares: float) -> list[list[Send]]:
    """A scenario in parts, by where each begins; what only today's rules refuse comes last."""
    sends = sorted(build(seed, ENTITIES, int(time.time() * 1000)), key=lambda one: would_take(one.value))
    edges = [round(len(sends) * share) for share in (*shares, 1)]
    parts = [sends[start:end] for start, end in itertools.pairwise(edges)]
    return [[one._replace(partition=-1) for one in part] for part in parts]
