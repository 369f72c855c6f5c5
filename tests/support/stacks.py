"""Where the tasks of a worker wait, as Faust writes it into the log at a SIGUSR1: a line for each place, in place of thousands."""

import re
from collections import Counter
from pathlib import Path

_FRAME = re.compile(r'\s+File "(.+)", line (\d+), in (\w+)')


def told(log: str) -> list[str]:
    """Each place at which tasks wait, outermost call first, with their number."""
    places: Counter[str] = Counter()
    for stack in log.split("Stack for <Task")[1:]:
        frames = [_FRAME.match(line) for line in stack.splitlines()]
        calls = [f"{Path(found[1]).name}:{found[2]} {found[3]}" for found in frames if found]
        places[" > ".join(calls)] += 1
    return [f"{count} x {place}" for place, count in places.most_common()]
