"""Secrets out of files, as containers mount them: a variable with `_FILE` behind its name holds the path."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from stream_app.access.errors import AccessError

SUFFIX: Final = "_FILE"
_BYTES_MAX: Final = 1 << 20


def read_secrets(environment: Mapping[str, str], variables: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Secrets by name, of those whose file is given. `variables`: by name, what holds the secret itself.

    A line break at the end is none of the secret. `Raises` AccessError, which names the file and never its content.
    """
    found = {}
    for name, candidates in variables.items():
        for variable in candidates:
            path = environment.get(f"{variable}{SUFFIX}")
            if not path:
                continue
            try:
                with Path(path).open("rb") as opened:
                    found[name] = opened.read(_BYTES_MAX).decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise AccessError(f"{path}, which {variable}{SUFFIX} names, is not UTF-8") from None
            except OSError as error:
                reason = error.strerror or error
                raise AccessError(f"{path}, which {variable}{SUFFIX} names, can't be read: {reason}") from None
            break
    return found
