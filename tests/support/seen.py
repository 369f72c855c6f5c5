"""What the monitor of a whole deployment says."""

import json
import urllib.error
import urllib.request

from tests.support.waiting import wait_until


class Seen:
    """Asks the monitor that the deployment has started under this name."""

    def __init__(self, deployment) -> None:
        self.deployment = deployment
        self.base = f"http://127.0.0.1:{deployment.env['STREAM_APP_MONITOR_PORT']}"

    def get(self, path):
        with urllib.request.urlopen(self.base + path, timeout=10) as answer:
            return json.load(answer)

    def status(self):
        assert self.deployment.process("monitor").poll() is None, self.deployment.log("monitor")[-3000:]
        try:
            return self.get("/status")
        except urllib.error.URLError:
            return {"results": [], "groups": []}

    def stages(self):
        """Who is to blame, over all partitions; None where nothing was seen yet."""
        results = self.status()["results"]
        return {row["stage"] for row in results} if results else None

    def wait_stages(self, what, stages, seconds=60):
        try:
            wait_until(what, lambda: self.stages() == stages, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(self.status(), indent=1)[:6000]}") from None
