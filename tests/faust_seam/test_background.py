"""Tasks beside an app: a failure reaches the app, and the end waits for each task, in services of mode itself."""

import asyncio

from mode import Service

from stream_app.faust_seam.background import Background


class App(Service):
    """What an app is to its tasks: a service that ends them before what they use."""

    def __init__(self):
        super().__init__()
        self.background = Background(self)
        self.ended = []

    async def on_stop(self):
        await self.background.stop()
        self.ended.append("app")


async def test_a_task_that_fails_crashes_the_app():
    async with App() as app:

        async def fail():
            raise ValueError("the task's own")

        await app.background.add_future(fail())
        await app.wait_for_stopped(timeout=5)
        assert app.crashed
        assert str(app.crash_reason) == "the task's own"


async def test_a_task_ends_before_what_it_uses_and_no_end_is_no_failure():
    async def work():
        try:
            await asyncio.sleep(600)
        finally:
            app.ended.append("task")

    async with App() as app:
        app.background.add_future(work())
        await asyncio.sleep(0)
    assert app.ended == ["task", "app"]
    assert not app.crashed


async def test_a_task_whose_cancellation_is_swallowed_is_cancelled_again():
    """As asyncio.wait_for of Python 3.11 does when its result comes in the moment of the cancellation."""
    swallowed = 0

    async def work():
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    app = App()
    app.background.add_future(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await app.background.stop()
    assert swallowed == 2
