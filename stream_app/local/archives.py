"""Archives as the makers of a program publish them, with their checksums: the way of a machine whose distribution has no package.

Proxies are those of the environment, and the certificates those that the machine trusts. What does not agree with its checksum is never unpacked.
"""

import hashlib
import re
import shutil
import ssl
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from stream_app.local import certificates
from stream_app.local.errors import LocalError

_SECONDS_MAX = 60.0  # without a byte
_DIGEST = hashlib.sha512
_DIGITS = 128


def unpack(url: str, folder: Path, wanted: Callable[[str], str | None]) -> None:
    """Fetch a tar archive, and unpack files of it: `wanted` gives, by the path in the archive, the name in the folder, None for the others.

    The checksum lies beside it, at the same address with .sha512. `Raises` LocalError where either can't be had, or they don't agree.
    """
    name = url.rsplit("/", 1)[1]
    path = folder / name
    try:
        with _open(f"{url}.sha512") as answer:
            digest = _digest(answer.read(1 << 16).decode("ascii", "replace"), name)
        found = _DIGEST()
        with _open(url) as answer, path.open("wb") as out:
            while some := answer.read(1 << 20):
                found.update(some)
                out.write(some)
    except OSError as error:  # of urllib, too
        if isinstance(error, HTTPError):
            error.close()
        raise LocalError(f"{url} could not be fetched ({getattr(error, 'reason', error)})") from error
    if found.hexdigest() != digest:
        path.unlink()
        raise LocalError(f"{url} does not agree with its checksum")
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and (as_name := wanted(member.name)) and (content := archive.extractfile(member)):
                with (folder / as_name).open("wb") as out:
                    shutil.copyfileobj(content, out)
    path.unlink()


def _open(url: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  # what urllib gives has no type of its own
    bundle = certificates.bundle()
    context = ssl.create_default_context(cafile=None if bundle is None else str(bundle))
    return urlopen(url, timeout=_SECONDS_MAX, context=context)  # noqa: S310  # addresses are ours


def _digest(text: str, name: str) -> str:
    """The digest in a checksum file: digits and the file's name, or the name and digits in groups, as Apache writes them."""
    digits = "".join(re.findall(r"\b[0-9A-Fa-f]+\b", text.replace(name, "")))
    if len(digits) != _DIGITS:
        raise LocalError(f"the checksum of {name} can't be read")
    return digits.lower()
