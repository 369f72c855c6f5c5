"""Tasks beside the agents of an app."""

import asyncio

from mode import Service

from stream_app.faust_seam.app import App


class Background(Service):
    """Tasks of an app that run as long as it does (`add_future`); what fails in one crashes the app, and so ends the worker.

    A service of its own, for the app's own tasks end only after the app's `stops`, which close what the tasks use.
    """

    def __init__(self, app: App) -> None:
        super().__init__(beacon=app.beacon)

    async def on_stop(self) -> None:
        """Mode's hook. Mode itself cancels a task once; asyncio.wait_for of Python 3.11 can swallow a cancellation."""
        while self._futures:
            for future in self._futures:
                future.cancel()
            await asyncio.wait(self._futures, timeout=1)
