"""The benchmarks, peers side by side in the same run: `make bench`, or `python -m bench whole latency --events 100000`.

They run on a stack of their own under `.run/bench`, with free ports; what somebody works with is neither used nor measured.
"""

import os
from pathlib import Path

# Before anything imports config: no benchmark may read the addresses or settings of a stack that somebody works with.
for _variable in [name for name in os.environ if name.startswith("STREAM_APP_")]:
    del os.environ[_variable]
for _variable in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "CLICKHOUSE_URL"):
    os.environ.pop(_variable, None)
os.environ["STREAM_APP_RUN"] = str(Path(__file__).resolve().parent.parent / ".run" / "bench")
