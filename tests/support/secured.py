"""A Kafka broker with an authorizer, listeners for each way to authenticate, and a CA whose certificates are made at test time.

Listeners: ADMIN (plain text; who comes there is a super user), SASL, TLS (a client certificate is asked for) and SASLTLS.
"""

import datetime as dt
import ipaddress
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stream_app.local import downloads, kafka_server
from stream_app.local.ports import HOST, answers, free_port
from tests.support.waiting import SECONDS_MAX, wait_until

KEY_PASSWORD = "of the key, for tests"


class Certificate(NamedTuple):
    """Files in PEM; the key is encrypted with KEY_PASSWORD where that was asked for."""

    cert: Path
    key: Path


_SIGNS = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


class Authority:
    """A CA, and what it signs, as files of a folder. `strict`: as RFC 5280 has certificates, which Python holds them to from 3.13 on."""

    def __init__(self, folder: Path, name: str = "ca", *, strict: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        whole = self._builder(self._name, self._key.public_key(), days=30)
        whole = whole.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        if strict:
            whole = whole.add_extension(_SIGNS, critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(whole.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=60)).not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )  # fmt: skip

    def issue(self, name: str, *, days: int = 30, encrypted: bool = False) -> Certificate:
        """A certificate of 127.0.0.1 and localhost with this common name; `days` below zero: it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
        signed = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        made.cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if encrypted:
            how = serialization.BestAvailableEncryption(KEY_PASSWORD.encode())
        made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))
        return made


class Grant(NamedTuple):
    """An entry of the access list, in the words of kafka-acls."""

    principal: str
    operation: str
    resource: str  # topic, group, transactional-id or cluster
    name: str
    is_prefix: bool = False

    def binding(self) -> AclBinding:
        kinds = {
            "topic": ResourceType.TOPIC,
            "group": ResourceType.GROUP,
            "transactional-id": ResourceType.TRANSACTIONAL_ID,
            "cluster": ResourceType.BROKER,
        }
        words = "".join(f"_{letter}" if letter.isupper() else letter for letter in self.operation).strip("_").upper()
        pattern = ResourcePatternType.PREFIXED if self.is_prefix else ResourcePatternType.LITERAL
        return AclBinding(
            kinds[self.resource], self.name, pattern, self.principal, "*", AclOperation[words], AclPermissionType.ALLOW
        )


class SecuredBroker:
    """See the module. `users`: passwords by name, for PLAIN and SCRAM; `jwks`: address of the keys that sign tokens."""

    def __init__(
        self, path: Path, lib: Path, users: Mapping[str, str], *, jwks: str = "", ca: Authority | None = None
    ) -> None:
        self._path, self._lib, self.users = path, lib, users
        self.ca = Authority(path / "tls") if ca is None else ca
        self.server = self.ca.issue("broker")
        self._jwks = jwks
        self._ports = {name: free_port() for name in ("ADMIN", "SASL", "TLS", "SASLTLS", "CONTROLLER")}
        java, jars = downloads.java(lib), kafka_server.install(lib)
        command = [str(java), "-cp", f"{jars}/*", "-Dlog4j2.level=WARN", "-Xmx512m", "-XX:+UseSerialGC"]
        command += [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks}"] if jwks else []
        properties = self._properties()
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties)]
        subprocess.run([*command, *storage], check=True, stdout=subprocess.DEVNULL)
        with (path / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
        wait_until("the broker answers", self._is_ready)
        self.admin = AdminClient({"bootstrap.servers": self.address("ADMIN")})
        self._add_scram_users()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log()[-3000:]
        return answers(self._ports["SASL"])

    def log(self) -> str:
        return (self._path / "log").read_text(errors="replace")

    def address(self, listener: str) -> str:
        return f"{HOST}:{self._ports[listener]}"

    def close(self) -> None:
        del self.admin
        self._process.kill()
        self._process.wait()

    def _properties(self) -> Path:
        listeners = ",".join(f"{name}://{HOST}:{port}" for name, port in self._ports.items())
        known = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        module = "org.apache.kafka.common.security"
        keystore = self._path / "broker-both.pem"
        keystore.write_bytes(self.server.key.read_bytes() + self.server.cert.read_bytes())
        values: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self._ports['CONTROLLER']}",
            "listeners": listeners,
            "advertised.listeners": listeners.rpartition(",")[0],
            "inter.broker.listener.name": "ADMIN",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL",
            "log.dirs": self._path / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.ca.file,
            "listener.name.tls.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        }
        mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", *(["OAUTHBEARER"] if self._jwks else [])]
        for listener in ("sasl", "sasltls"):
            at = f"listener.name.{listener}"
            values[f"{at}.sasl.enabled.mechanisms"] = ",".join(mechanisms)
            values[f"{at}.plain.sasl.jaas.config"] = f"{module}.plain.PlainLoginModule required {known};"
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                values[f"{at}.{mechanism}.sasl.jaas.config"] = f"{module}.scram.ScramLoginModule required;"
            if self._jwks:
                values |= {
                    f"{at}.oauthbearer.sasl.jaas.config": f"{module}.oauthbearer.OAuthBearerLoginModule required;",
                    f"{at}.oauthbearer.sasl.server.callback.handler.class": f"{module}.oauthbearer.OAuthBearerValidatorCallbackHandler",
                    f"{at}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self._jwks,
                    f"{at}.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
                    f"{at}.oauthbearer.sasl.oauthbearer.expected.issuer": "https://issuer.example",
                }
        path = self._path / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return path

    def _add_scram_users(self) -> None:
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one of a user in a request
            upserts = [
                UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password.encode())
                for name, password in self.users.items()
            ]
            for future in self.admin.alter_user_scram_credentials(upserts).values():
                future.result(SECONDS_MAX)

    def make_topics(self, topics: Mapping[str, int]) -> None:
        for future in self.admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()]).values():
            future.result(SECONDS_MAX)

    def grant(self, grants: Iterable[Grant]) -> None:
        """Allow; in force when this is back."""
        for future in self.admin.create_acls([grant.binding() for grant in grants]).values():
            future.result(SECONDS_MAX)
