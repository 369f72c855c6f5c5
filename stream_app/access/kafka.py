"""Access to a Kafka cluster: addresses, protocol and credentials, and of these the settings of each client library.

A value of this type is what all clients of Kafka are made of: aiokafka's, librdkafka's, Faust's driver. Secrets are in
no `repr`.
"""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from stream_app.access.oauth import TokenProvider, TokenRequest
from stream_app.access.tls import client_context

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Bootstrap servers, apart by commas, and the credentials of one principal; "" is none.

    `ssl_cafile`: "" trusts what the machine trusts.
    """

    servers: str
    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism = "PLAIN"
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    oauth_token_url: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    oauth_scope: str = ""
    oauth_cafile: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_key_password: str = field(default="", repr=False)

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def uses_sasl(self) -> bool:
        """Whether a user or client authenticates by SASL."""
        return self.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    @property
    def uses_oauth(self) -> bool:
        """Whether a token of an issuer stands for the principal."""
        return self.uses_sasl and self.sasl_mechanism == "OAUTHBEARER"

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS of Python's clients; None: no encryption. `Raises` AccessError for a file that can't be used."""
        if not self.uses_tls:
            return None
        return client_context(self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile, self.ssl_key_password)

    def token_provider(self) -> TokenProvider:
        """The tokens of OAUTHBEARER, as aiokafka asks for them."""
        return TokenProvider(
            TokenRequest(
                self.oauth_token_url,
                self.oauth_client_id,
                self.oauth_client_secret,
                self.oauth_scope,
                self.oauth_cafile,
            )
        )

    def aiokafka(self) -> dict[str, Any]:
        """Settings of every client of aiokafka. `Raises` AccessError for a file that can't be used."""
        settings: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context(),
        }
        if self.uses_oauth:
            settings |= {"sasl_mechanism": self.sasl_mechanism, "sasl_oauth_token_provider": self.token_provider()}
        elif self.uses_sasl:
            settings |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return settings

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """Settings of every client of librdkafka."""
        settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.servers,
            "security.protocol": self.security_protocol,
        }
        if self.uses_tls:
            settings |= _given(
                {
                    "ssl.ca.location": self.ssl_cafile,
                    "ssl.certificate.location": self.ssl_certfile,
                    "ssl.key.location": self.ssl_keyfile,
                    "ssl.key.password": self.ssl_key_password,
                }
            )
        if self.uses_oauth:
            settings |= {"sasl.mechanism": self.sasl_mechanism, "sasl.oauthbearer.method": "oidc"}
            settings |= _given(
                {
                    "sasl.oauthbearer.token.endpoint.url": self.oauth_token_url,
                    "sasl.oauthbearer.client.id": self.oauth_client_id,
                    "sasl.oauthbearer.client.secret": self.oauth_client_secret,
                    "sasl.oauthbearer.scope": self.oauth_scope,
                    "https.ca.location": self.oauth_cafile,
                }
            )
        elif self.uses_sasl:
            settings |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password,
            }
        return settings


def _given(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}
