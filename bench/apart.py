"""What a program of the benchmarks imports before anything that imports config: it makes this process work under `.run/bench` alone.

Not in the package itself, for tests use parts of it on a stack of theirs.
"""

import os
from pathlib import Path

# Before anything imports config: no benchmark may read the addresses or settings of a stack that somebody works with.
for _variable in [name for name in os.environ if name.startswith("STREAM_APP_")]:
    del os.environ[_variable]
for _variable in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "CLICKHOUSE_URL"):
    os.environ.pop(_variable, None)
os.environ["STREAM_APP_RUN"] = str(Path(__file__).resolve().parent.parent / ".run" / "bench")
