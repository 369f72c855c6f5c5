"""Certificates and keys out of files, for both ends of TLS. What can't be used is one sentence."""

import ssl
from pathlib import Path

from stream_app.access.errors import AccessError


def client_context(cafile: str, certfile: str = "", keyfile: str = "", key_password: str = "") -> ssl.SSLContext:
    """TLS of a client that checks the server's certificate and name; "" is none, of `cafile` what the machine trusts.

    `Raises` AccessError for a file that can't be used.
    """
    _readable(cafile)
    try:
        context = ssl.create_default_context(cafile=cafile or None)
    except ssl.SSLError:
        raise AccessError(f"{cafile} holds no certificates of a CA in PEM") from None
    if certfile:
        _load(context, certfile, keyfile, key_password)
    return context


def check_certificate(certfile: str, keyfile: str, key_password: str) -> None:
    """`Raises` AccessError for a certificate and key that a server can't use."""
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certfile, keyfile, key_password)


def _load(context: ssl.SSLContext, certfile: str, keyfile: str, key_password: str) -> None:
    _readable(certfile)
    _readable(keyfile)
    try:
        # Without a password OpenSSL would ask the terminal for it.
        context.load_cert_chain(certfile, keyfile or None, password=lambda: key_password)
    except (ssl.SSLError, ValueError):
        raise AccessError(
            f"the certificate {certfile} can't be used with the key {keyfile or certfile}: "
            "they don't belong together, are no PEM, or the key's password is another one"
        ) from None


def _readable(file: str) -> None:
    if file:
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise AccessError(f"{file} can't be read: {error.strerror or error}") from None
