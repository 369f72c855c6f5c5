"""A stand-in for the monitor that says what a real one said once, or nothing."""

import http.server
import json
import threading
from contextlib import contextmanager
from pathlib import Path

from stream_app.local.ports import free_port

RECORDED = Path(__file__).parent / "recorded"


def recorded(name):
    """What a monitor of a whole deployment said: well, redis (frozen for 40 s), ingest (the only worker killed 40 s ago)."""
    return json.loads((RECORDED / f"{name}.json").read_text())


class Monitor:
    """Answers as the monitor does; `says` may be changed, and `status` be an HTTP status that is no answer."""

    def __init__(self, says, port=None):
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

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port or free_port()), Handler)
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
def monitor_that_says(says, port=None):
    monitor = Monitor(says, port)
    try:
        yield monitor
    finally:
        monitor.close()
