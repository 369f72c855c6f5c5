"""What a handshake says of a certificate that can't be trusted, and of servers that speak no TLS."""

import ssl
from collections.abc import Callable

import pytest

from stream_app.access.errors import AccessError
from stream_app.access.tls import Place, check_certificate, client_context, shake_hands
from stream_app.local.ports import HOST, free_port
from tests.support.secured import KEY_PASSWORD, Authority
from tests.support.tls import tls_proxy


@pytest.fixture
def shake(tmp_path) -> Callable[..., None]:
    """Shake hands with a server of a certificate, trusting the CA `ca`."""
    trusted = Authority(tmp_path, "ca")

    def make(issuing: Authority, *, host: str = HOST, **how) -> None:
        with tls_proxy(issuing.issue("server", **how), None, host) as port:
            shake_hands(Place("the server", host, port, str(trusted.file)), client_context(str(trusted.file)))

    make.trusted = trusted
    return make


def test_a_certificate_of_the_ca_is_taken(shake):
    shake(shake.trusted)


def test_an_expired_certificate_is_one_sentence(shake):
    with pytest.raises(AccessError, match=r"^the certificate of the server has expired$"):
        shake(shake.trusted, days=-1)


def test_a_certificate_of_a_foreign_ca_is_one_sentence(shake, tmp_path):
    with pytest.raises(
        AccessError, match=f"^the certificate of the server is signed by no CA that {shake.trusted.file} trusts$"
    ):
        shake(Authority(tmp_path / "other", "other"))


def test_a_ca_that_is_not_as_the_rfc_has_it_is_called_so_and_not_unknown(tmp_path):
    """Python holds certificates to RFC 5280 from 3.13 on: one of a CA whose own does not say that it may sign is refused there, though the CA is trusted."""
    ca = Authority(tmp_path, strict=False)
    context = client_context(str(ca.file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with tls_proxy(ca.issue("server"), None, HOST) as port:
        place = Place("the server", HOST, port, str(ca.file))
        with pytest.raises(AccessError, match=r"^the certificate of the server, or of its CA, is refused: .*key usage"):
            shake_hands(place, context)


def test_a_certificate_of_another_name_is_one_sentence(shake):
    with pytest.raises(AccessError, match=r"^the certificate of the server is for another address$"):
        shake(shake.trusted, host="127.0.0.2")


def test_who_is_away_refuses_nobody(tmp_path):
    with pytest.raises(ConnectionRefusedError):
        shake_hands(Place("nobody", HOST, free_port()), ssl.create_default_context())


def test_a_certificate_and_its_key_belong_together(tmp_path):
    ca = Authority(tmp_path)
    one, other = ca.issue("one", encrypted=True), ca.issue("other")
    check_certificate(str(one.cert), str(one.key), KEY_PASSWORD)
    for cert, key, password in ((one.cert, one.key, "wrong"), (one.cert, one.key, ""), (one.cert, other.key, "")):
        with pytest.raises(AccessError, match=f"^the certificate {cert} can't be used with the key {key}") as caught:
            check_certificate(str(cert), str(key), password)
        assert KEY_PASSWORD not in str(caught.value)
