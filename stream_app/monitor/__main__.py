"""The monitor's process, as `stream-app monitor` begins it."""

import asyncio
import logging
import os
import sys

from stream_app.monitor.conf import VARIABLE, Conf
from stream_app.monitor.run import Monitor

log = logging.getLogger("stream_app.monitor")


async def _run(conf: Conf) -> None:
    """Run the monitor and exit the process at once: threads that wait for an absent server would hold it for seconds, and nothing needs saving."""
    code = 0
    try:
        await Monitor(conf).run()
    except OSError as error:
        code = 1
        print(f"stream-app monitor: can't listen: {error.strerror or error}.", file=sys.stderr)  # noqa: T201
    except Exception:
        code = 1
        log.exception("the monitor can't go on")
    sys.stderr.flush()
    os._exit(code)


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
for client in ("aiokafka", "clickhouse_driver"):  # what fails is said by /status, not each two seconds
    logging.getLogger(client).setLevel(logging.CRITICAL)
asyncio.run(_run(Conf.decoded(os.environ.pop(VARIABLE))))
