"""The operations page in a real Chromium, on a real API, whose monitor says what a real one said once, or nothing."""

import http.server
import json
import signal
import threading
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import expect

from stream_app.api.app import Stores, create_app
from stream_app.api.guard.rate_window import LocalWindow
from stream_app.local.processes import find
from tests.api.serving import listening
from tests.api.worlds import FakeCells, FakeDocuments, settings, token
from tests.dashboard.page.viewing import Dashboard
from tests.dashboard.page.viewing import chromium_on as dashboard_on

RECORDED = Path(__file__).parent / "recorded"
OPS = {"scope": "ops:read", "operators": None}


def recorded(name):
    """What a monitor of a whole deployment said: well, redis (frozen for 40 s), ingest (the only worker killed 40 s ago)."""
    return json.loads((RECORDED / f"{name}.json").read_text())


class Monitor:
    """Answers as the monitor does; `says` may be changed, and `status` be an HTTP status that is no answer."""

    def __init__(self, says, port=0):
        self.says, self.status, self.asked = says, 200, 0
        self.operators = recorded("operators")
        self.talks = threading.Event()  # while it is not set, it takes connections and says nothing
        self.talks.set()
        monitor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                monitor.asked += self.path == "/status"
                monitor.talks.wait()
                self.send_response(monitor.status)
                self.end_headers()
                said = monitor.says if self.path == "/status" else monitor.operators
                self.wfile.write(said if isinstance(said, bytes) else json.dumps(said).encode())

            def log_message(self, *_):
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.talks.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@contextmanager
def monitor_that_says(says, port=0):
    monitor = Monitor(says, port)
    try:
        yield monitor
    finally:
        monitor.close()


async def _nothing():
    return None


@asynccontextmanager
async def api_on(monitor_url, port=0, **changes):
    """The address of an API that asks this monitor."""
    chosen = settings(api_monitor_url=monitor_url, **changes)
    app = create_app(chosen, Stores(FakeDocuments(), FakeCells(), LocalWindow(), _nothing))
    async with listening(app, port=port, lifespan="on") as base:
        yield base


@contextmanager
def frozen(deployment, server):
    """A server that takes connections and answers nothing."""
    process = find(deployment.run, server).process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class Page(Dashboard):
    """The page, as a test sees it."""

    async def open(self, given=None, query="", **claims):
        """With a token for operations, or one of other claims, or the one given; "" is none."""
        given = token(**(OPS | claims)) if given is None else given
        await self.page.goto(f"{self.base}/ops{query}" + (f"#token={given}" if given else ""))
        return self

    async def until(self, phase="shown", trust=None):
        await expect(self.page.locator("body")).to_have_attribute("data-phase", phase)
        if trust:
            await expect(self.page.locator("body")).to_have_attribute("data-trust", trust)
        return self

    async def text(self, selector):
        return "\n".join(self.tidy(await self.page.locator(selector).filter(visible=True).all_inner_texts()))

    async def rows(self, table):
        """The cells of a table's rows, as they are read."""
        rows = await self.page.locator(f"#{table} table").first.locator("tbody tr").all()
        return [self.tidy(await row.locator("> *").all_inner_texts()) for row in rows]

    async def node(self, stage):
        return self.tidy([await self.page.locator(f"[data-stage={stage}]").inner_text()])[0]

    async def blamed(self):
        """Names of the stages that are marked."""
        nodes = self.page.locator(".node.blame:visible")
        return [await node.get_attribute("data-stage") for node in await nodes.all()]

    @staticmethod
    def tidy(texts):
        return [" ".join(text.split()) for text in texts]


@asynccontextmanager
async def chromium_on(base, **context):
    """The page in a browser of its own; `context`: as Playwright has it."""
    async with dashboard_on(base, **({"timezone_id": "Europe/Berlin"} | context)) as dashboard:
        yield Page(dashboard.page, base)
