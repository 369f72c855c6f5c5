"""`stream-app clean`: the local stack, stopped and emptied."""

from stream_app.cli.up import run_folder
from stream_app.local.lock import alone
from stream_app.local.stack import down, drop_data


def command() -> None:
    """Stop what up and demo started and drop its data, and nothing else."""
    run = run_folder()
    with alone(run):
        down(run)
        drop_data(run)
    print("The local stack is stopped and its data gone")
