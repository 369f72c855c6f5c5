"""One command at a time in a run folder.

The lock belongs to the command's process alone: processes that it starts do not inherit it, so it ends with the
command.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from stream_app.local.errors import LocalError
from stream_app.local.run_folder import RunFolder


@contextmanager
def alone(run: RunFolder) -> Iterator[None]:
    """Wait until no other command works on this run folder, and keep others waiting meanwhile.

    `Raises` LocalError where the folder can't be written.
    """
    lock = FileLock(run.root / "lock")
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        print("Waiting for another make up, down or clean of this checkout", file=sys.stderr, flush=True)
        lock.acquire()
    except PermissionError as error:
        raise LocalError(f"{run.root} can't be written: run this as the user who made it.") from error
    try:
        yield
    finally:
        lock.release()
