"""Access to a schema registry: its address, whom it is asked as, and whom its certificate is signed by."""

import ssl
from dataclasses import dataclass, field

from stream_app.access.tls import client_context


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """The registry, and the credentials of HTTP's basic authentication; "" is none. `cafile`: "" trusts what the machine trusts."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    cafile: str = ""

    def ssl_context(self) -> ssl.SSLContext | bool:
        """TLS of its clients; True: no encryption is asked for. `Raises` AccessError for a file that can't be used."""
        return client_context(self.cafile) if self.url.startswith("https:") else True

    @property
    def who(self) -> str:
        """Whom it is asked as, for a sentence."""
        return self.username or "a client without a name"
