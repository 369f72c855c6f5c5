"""Faust tables that recover by themselves: named, with a compacted changelog that they declare, up to date before streams run.

Faust decides when (a rebalance), and which partitions; the table reads its changelog in its own way (`recover`). What fails there
crashes the app. Changelogs are not subscribed by the worker.
"""

from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables import manager, recovery, table
from mode import Service

_AGENTS_S = 0.01  # between two looks


class RecoveringTable(table.Table[Any, Any]):
    """A table whose partitions are those of one source topic."""

    def __init__(self, app: Any, *, source: str, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.source = source

    async def recover(self, partitions: set[int]) -> None:
        """Own exactly these partitions, up to date with the changelog."""
        raise NotImplementedError


class Recovery(recovery.Recovery):
    """Faust's Recovery, whose replay of changelogs is replaced by each table's own `recover`."""

    @Service.task
    async def _restart_recovery(self) -> None:
        while not await self.wait_for_stopped(self.signal_recovery_start):  # type: ignore[arg-type]  # as Faust does
            self.signal_recovery_start.clear()
            generation_id = self._generation_id
            try:
                self._set_recovery_started()
                owned: dict[str, set[int]] = {}
                for tp in self.app.assignor.assigned_actives():
                    owned.setdefault(tp.topic, set()).add(tp.partition)
                for each in self.tables.values():
                    await each.recover(owned.get(each.source, set()))
                if generation_id == self.app.consumer_generation_id:
                    await self._wait(self.on_recovery_completed(generation_id))  # seeks, then lets streams run
            except (recovery.RebalanceAgain, IllegalStateError):
                continue
            except recovery.ServiceStopped:
                break

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Nothing comes through Faust's changelog queue."""


class TableManager(manager.TableManager):
    """Faust's TableManager, with this recovery, which starts as soon as agents read their topics."""

    async def on_start(self) -> None:
        """Start tables, which begins the subscription, as soon as the topics of all agents are known.

        Faust waits a second for agents instead, at each start; a topic that it hears of behind the subscription it subscribes to 45 s later.
        """
        while not self.should_stop and not self._subscribed() >= self._read_by_agents():
            await self.sleep(_AGENTS_S)
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    def _subscribed(self) -> set[str]:
        return {name for topic in self.app.topics for name in topic.topics}

    def _read_by_agents(self) -> set[str]:
        return {name for agent in self.app.agents.values() for name in agent.channel.topics}

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery  # type: ignore[return-value]

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for each in self.values():
            await each.maybe_start()
        self._tables_registered.set()
