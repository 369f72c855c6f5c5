"""Certificates and keys out of files, for both ends of TLS. What can't be used is one sentence."""

import socket
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from stream_app.access.errors import AccessError

_TIMEOUT_S: Final = 5.0
# OpenSSL's codes of verification.
_REASONS: Final = {9: "is not valid yet", 10: "has expired", 62: "is for another name", 64: "is for another address"}
_UNTRUSTED: Final = {2, 18, 19, 20, 21, 27}  # the chain ends in no CA that is trusted
_NO_TLS: Final = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}


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


class Place(NamedTuple):
    """Who is spoken to where, and by which files; `what` names the server in sentences."""

    what: str
    host: str
    port: int
    cafile: str = ""
    certfile: str = ""


def shake_hands(place: Place, context: ssl.SSLContext, greeting: bytes = b"") -> None:
    """Connect by TLS once. With a `greeting` the answer is waited for: a server refuses a client's certificate only there.

    `Raises` AccessError where a certificate, the server's or ours, is refused, OSError where nobody answers. Blocks.
    """
    try:
        with (
            socket.create_connection((place.host, place.port), _TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=place.host) as secured,
        ):
            if greeting:
                secured.sendall(greeting)
                secured.recv(1)
    except ssl.SSLError as error:
        if refusal := _refusal(error, place):
            raise AccessError(refusal) from None
        raise


def _refusal(error: ssl.SSLError, place: Place) -> str:
    """The sentence for an error that stays; "" for one that may pass."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _REASONS:
            return f"the certificate of {place.what} {_REASONS[error.verify_code]}"
        if error.verify_code in _UNTRUSTED:
            return f"the certificate of {place.what} is signed by no CA that {place.cafile or 'this machine'} trusts"
        return f"the certificate of {place.what}, or of its CA, is refused: {error.verify_message}"
    reason = error.reason or ""
    if "_ALERT_" in reason:
        mine = f"the certificate {place.certfile}" if place.certfile else "a client without a certificate"
        return f"{place.what} refuses {mine}: {reason.partition('_ALERT_')[2].replace('_', ' ').lower()}"
    return f"{place.what} does not speak TLS" if reason in _NO_TLS else ""
