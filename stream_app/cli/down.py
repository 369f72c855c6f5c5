"""`stream-app down`: the local stack, stopped."""

from stream_app.cli.up import run_folder
from stream_app.local.lock import alone
from stream_app.local.stack import down


def command() -> None:
    """Stop what up and demo started; data stays."""
    run = run_folder()
    with alone(run):
        stopped = down(run)
    print("Stopped " + ", ".join(stopped) if stopped else "Nothing was running")
