"""What a job that is done once has used, and its results, in STATE_DIR/done.json."""

import json
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BEGAN_S = time.monotonic()


class Done:
    """Takes CPU (of all threads) and time at the first record and after the last."""

    def __init__(self, state_dir: str) -> None:
        self._file = Path(state_dir) / "done.json"
        self._said: dict[str, Any] = {}

    def first(self) -> None:
        """The first record is here: what was used so far is the start."""
        self._said |= {"start_cpu_s": time.process_time(), "start_wall_s": time.monotonic() - _BEGAN_S}

    def last(self) -> None:
        """All is done; what follows is the check."""
        rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._said |= {"cpu_s": time.process_time(), "wall_s": time.monotonic() - _BEGAN_S, "rss_bytes": rss_bytes}

    def write(self, records: int, rows: Mapping[str, Sequence[Sequence[str | int]]]) -> None:
        """Tell it: records read, and by kind rows, the name of each first."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._said | {"records": records, "rows": rows}))
        new.rename(self._file)
