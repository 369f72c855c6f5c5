"""The run folder: where pid files, logs, data and downloads of one local stack lie, and its `env` file.

Invariant: `env` is replaced in one step, so that a reader sees the old addresses or the new ones. It is readable by its
owner only, for it holds the token secret. python-dotenv writes and reads it, as pydantic-settings does, so quotes mean
the same to both. Must not start or stop anything.
"""

from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values, set_key


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One stack's folder. `lib` holds downloaded programs, may be shared by several stacks, and survives `clean`."""

    root: Path
    lib: Path

    @property
    def data(self) -> Path:
        """Data of the servers."""
        return self.root / "data"

    @property
    def state(self) -> Path:
        """State of the workers, a folder a worker; Kafka holds it too."""
        return self.root / "state"

    @property
    def conf(self) -> Path:
        """Configuration files written at each start."""
        return self.root / "conf"

    def pid_file(self, name: str) -> Path:
        """Where the pid of the process of this name stands, and nothing else."""
        return self.root / f"{name}.pid"

    def start_file(self, name: str) -> Path:
        """Where pid, start and note of the process of this name stand, a line each."""
        return self.root / f"{name}.start"

    def log_file(self, name: str) -> Path:
        """The log file of the process of this name."""
        return self.root / f"{name}.log"

    def ready_file(self, name: str) -> Path:
        """The file that a worker creates once its partitions are recovered."""
        return self.root / f"{name}.ready"

    def forget(self, name: str) -> None:
        """Drop what says that a process of this name runs."""
        for file in (self.pid_file(name), self.start_file(name), self.ready_file(name)):
            file.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The processes that left a pid file, sorted."""
        return sorted(path.stem for path in self.root.glob("*.pid"))

    def read_env(self) -> dict[str, str]:
        """Variable -> value, as written last; empty before the first `up`."""
        return {name: value for name, value in dotenv_values(self.root / "env").items() if value is not None}

    def write_env(self, values: dict[str, str]) -> None:
        """Replace the file by these variables."""
        if self.read_env() == values:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        new = self.root / "env.new"
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text("# Written by make up: where its servers are. The environment counts more.\n", encoding="ascii")
        for name, value in sorted(values.items()):
            set_key(new, name, value)
        new.replace(self.root / "env")
