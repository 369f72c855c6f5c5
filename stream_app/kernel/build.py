"""Compiles the native library: `python -m stream_app.kernel.build [FOLDER]`, with `cc`, else with the compiler of the package ziglang, which may lie in FOLDER.

Says what it did in a sentence. 1 where no library came of it: the service works without.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from stream_app.kernel.library import FOLDER, NAME, SLOWER, path, sources

_FLAGS: Final = ("-O2", "-std=c11", "-shared", "-fPIC")
_ANY: Final = "-mcpu=baseline"  # zig compiles for the machine at hand, and an image may run on another one


def compiler(folder: Path | None) -> list[str] | None:
    """The command of the first compiler that is there."""
    cc = shutil.which("cc")
    if cc is not None:
        return [cc]
    zig = None if folder is None else folder / "ziglang" / "zig"
    return [str(zig), "cc", _ANY] if zig is not None and zig.exists() else None


def build(command: list[str]) -> None:
    """Compile the library, whole or not at all. `Raises` CalledProcessError."""
    target = path()
    part = target.with_suffix(f".{os.getpid()}")
    try:
        subprocess.run(
            [*command, *_FLAGS, "-o", str(part), *map(str, sources())], check=True, capture_output=True, text=True
        )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    for other in FOLDER.glob(f"{NAME}-*.so"):
        if other != target:
            other.unlink()


def main(arguments: list[str]) -> int:
    """See the module."""
    if path().exists():
        return 0
    command = compiler(Path(arguments[0]) if arguments else None)
    if command is None:
        sys.stderr.write(f"No C compiler is there (cc, or the package ziglang): {SLOWER}.\n")
        return 1
    try:
        build(command)
    except (OSError, subprocess.CalledProcessError) as exc:
        why = f"{exc} {getattr(exc, 'stderr', '')}"
        sys.stderr.write(f"The native library was not compiled by {command[0]}: {SLOWER}. {why}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
