"""One command at a time in a run folder.

The lock belongs to the command's process alone: processes that it starts do not inherit it, so it ends with the command.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream_app.local.errors import LocalError
from stream_app.local.run_folder import RunFolder


@contextmanager
def alone(run: RunFolder) -> Iterator[None]:
    """Wait until no other command works on this run folder, and keep others waiting meanwhile.

    `Raises` LocalError where the folder can't be written.
    """
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        lock = (run.root / "lock").open("w")
    except PermissionError as error:
        raise LocalError(f"{run.root} can't be written: run this as the user who made it.") from error
    with lock as file:  # Python opens files so that exec closes them
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make up, down or clean of this checkout", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
