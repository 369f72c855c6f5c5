"""Rows of restarts: from the start of the process until it is ready, with the state that the whole path left."""

import shutil

from bench.context import Context, Loaded, Row, say
from bench.load import load
from bench.meter import Meter

_SECONDS_MAX = 300.0


def rows(ctx: Context) -> list[Row]:
    """After a stop, after a kill, and from an empty disk."""
    loaded = load(ctx)
    of = f"the state of {loaded.records:,} records"
    stopped = _start(ctx, loaded, "after a stop")
    stopped.running.process.kill()
    stopped.running.process.wait(10)
    killed = _start(ctx, loaded, "after a kill")
    ctx.stack.stop(killed.running)
    shutil.rmtree(ctx.stack.state_dir(loaded.space))
    empty = _start(ctx, loaded, "with an empty disk")
    ctx.stack.stop(empty.running)
    session_s = loaded.space.settings.session_timeout_ms / 1000
    return [
        Row("restart", "start to ready, state on disk", _shown(stopped), f"{of}; {loaded.start_wall_s:.1f} s on empty topics"),
        Row("restart", "  after kill -9", _shown(killed), f"Kafka misses the killed one after {session_s:.0f} s (session_timeout_ms) at the latest"),
        Row("restart", "  from an empty disk", _shown(empty), f"{of} read back from the changelog"),
    ]  # fmt: skip


def _start(ctx: Context, loaded: Loaded, how: str) -> Meter:
    say(f"restart: one worker starts {how}")
    meter = Meter(ctx.stack, ctx.stack.start_worker(loaded.space))
    meter.until(ctx.stack.run.ready_file(meter.running.name).exists, f"starting {how}", _SECONDS_MAX)
    return meter


def _shown(meter: Meter) -> str:
    return f"{meter.wall_s:.1f} s, {meter.cpu_s:.1f} CPU-s"
