"""The monitor's process, as `stream-app monitor` begins it."""

import asyncio
import logging
import os
import sys

from stream_app.monitor.conf import VARIABLE, Conf
from stream_app.monitor.run import Monitor


async def _run(conf: Conf) -> None:
    await Monitor(conf).run()


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
for client in ("aiokafka", "clickhouse_driver"):  # what fails is said by /status, not each two seconds
    logging.getLogger(client).setLevel(logging.CRITICAL)
try:
    asyncio.run(_run(Conf.decoded(os.environ.pop(VARIABLE))))
except OSError as error:
    sys.exit(f"stream-app monitor: can't listen: {error.strerror or error}.")
