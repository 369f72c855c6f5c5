"""The certificates that this machine trusts, for what brings its own list, or none: a proxy may sign with one of the machine's."""

import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

_PASSWORD = "changeit"  # noqa: S105  # Java's own of such a file, which holds no secret
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def bundle() -> Path | None:
    """The file that OpenSSL's clients on this machine read, None where there is none."""
    named = os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_BUNDLES
    return next((Path(path) for path in named if path and Path(path).is_file()), None)


def java_options(folder: Path) -> list[str]:
    """Options by which a Java trusts what the machine trusts; its trust store is written into the folder. None where the machine has no list."""
    found = bundle()
    if found is None:
        return []
    trusted = [PKCS12Certificate(each, None) for each in x509.load_pem_x509_certificates(found.read_bytes())]
    store = folder / "certificates.p12"
    store.write_bytes(serialize_java_truststore(trusted, BestAvailableEncryption(_PASSWORD.encode())))
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={_PASSWORD}"]
