"""Typed, frozen settings: defaults.toml, overridden by .run/env, overridden by the environment.

Read by the composition roots only (cli, worker, api, monitor, importer, simulator), which hand values down.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from stream_app.access.kafka import KafkaAccess, Mechanism, Protocol
from stream_app.access.schema_registry import RegistryAccess
from stream_app.access.secret_files import read_secrets
from stream_app.access.stores import clickhouse_address, redis_address, without_password

ROOT = Path(__file__).resolve().parent.parent
RUN = Path(os.environ.get("STREAM_APP_RUN", ROOT / ".run"))  # of this checkout's local stack
LIB = ROOT / ".run" / "lib"  # programs downloaded for it, shared by all run folders

Count = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[int, Field(ge=1)]
Origin = Annotated[
    str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")
]  # as browsers write it: lower case, no path

_REPLICAS_OF_INSYNC = 3  # with two, a broker that is away would hold up every write


def _pattern(text: str) -> str:
    """A regular expression, as it is."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets, and addresses that may hold one, out of files that the environment names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: all are given at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Values by the names under which settings are looked for."""
        variables = {"REDIS_URL": ["REDIS_URL", "STREAM_APP_REDIS_URL"]}
        variables |= {"CLICKHOUSE_URL": ["CLICKHOUSE_URL", "STREAM_APP_CLICKHOUSE_URL"]}
        variables |= {name: [f"STREAM_APP_{name.upper()}"] for name in secret_names()}
        return dict(read_secrets(os.environ, variables))


class Settings(BaseSettings):
    """What can be set. Meaning and units stand in defaults.toml; `Raises` pydantic.ValidationError on a bad value."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix="STREAM_APP_",
        toml_file=ROOT / "config" / "defaults.toml",
        env_file=RUN / "env",
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    kafka_bootstrap_servers: str = Field(
        validation_alias=AliasChoices(
            "KAFKA_BOOTSTRAP_SERVERS", "STREAM_APP_KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers"
        )
    )
    redis_url: str = Field(validation_alias=AliasChoices("REDIS_URL", "STREAM_APP_REDIS_URL", "redis_url"))
    clickhouse_url: str = Field(
        validation_alias=AliasChoices("CLICKHOUSE_URL", "STREAM_APP_CLICKHOUSE_URL", "clickhouse_url")
    )
    kafka_security_protocol: Protocol
    kafka_sasl_mechanism: Mechanism
    kafka_sasl_username: str
    kafka_sasl_oauth_token_url: Annotated[str, Field(pattern="^(https?://.+)?$")]
    kafka_sasl_oauth_client_id: str
    kafka_sasl_oauth_scope: str
    kafka_sasl_oauth_cafile: str
    kafka_ssl_cafile: str
    kafka_ssl_certfile: str
    kafka_ssl_keyfile: str
    redis_cafile: str
    clickhouse_cafile: str
    schema_registry_url: Annotated[str, Field(pattern="^(https?://[^@]+)?$")]  # a password has its own setting
    schema_registry_username: str
    schema_registry_cafile: str
    schema_registry_contracts: bool
    api_host: str
    api_port: Annotated[int, Field(ge=1, le=65535)]
    api_ssl_certfile: str
    api_ssl_keyfile: str
    api_ssl_cafile: str

    app_id: str
    topic_sessions: str
    topic_payments: str
    topic_customer_groups: str
    topic_groups: str
    topic_operators: str
    topic_cdrs: str
    sources_dir: Path
    topic_events: str
    topic_dead_letters: str
    topic_monthly: str
    topic_half_hour: str
    topic_as_of: str
    topic_probe: str
    events_partitions: Annotated[int, Field(ge=1, le=65535)]
    replication_factor: Count
    generation: Annotated[int, Field(ge=1, le=4095)]
    events_generation: Annotated[int, Field(ge=1, le=4095)]
    topic_generations: str
    contract_test_topics: str
    ce_type_prefix: str
    ce_source: str

    retention_months: Count
    distribution_days: Count
    default_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    clock: Literal["wall", "stream"]
    clickhouse_database: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    ocpi_operators: dict[str, str]

    tick_ms: Milliseconds
    publish_ms: Milliseconds
    redis_ms: Milliseconds
    clickhouse_ms: Milliseconds
    frontier_ms: Milliseconds
    ingest_commit_ms: Milliseconds
    clock_skew_ms_max: Milliseconds
    session_timeout_ms: Milliseconds
    transaction_timeout_ms: Milliseconds
    state_dir: Path
    block_cache_mb: Count
    native: bool
    worker_metrics_host: str
    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)]
    tracing: bool

    jwt_jwks_url: Annotated[str, Field(pattern="^(https?://.+)?$")]
    jwt_jwks_seconds: Count
    jwt_issuer: str
    jwt_audience: str
    jwt_leeway_seconds: Annotated[int, Field(ge=0)]
    jwt_scope: Annotated[str, Field(min_length=1)]
    jwt_ops_scope: Annotated[str, Field(min_length=1)]
    jwt_scope_claim: Annotated[str, Field(min_length=1)]
    jwt_operators_claim: Annotated[str, Field(min_length=1)]
    api_rate: Count
    api_cors_origins: list[str]
    api_frame_ancestors: list[Origin]
    api_redis_timeout_ms: Milliseconds
    api_clickhouse_timeout_ms: Milliseconds
    api_monitor_url: Annotated[str, Field(pattern="^(https?://.+)?$")]
    api_monitor_timeout_ms: Milliseconds
    api_log_level: Literal["debug", "info", "warning", "error"]

    monitor_host: str
    monitor_port: Annotated[int, Field(ge=1, le=65535)]
    monitor_interval_ms: Milliseconds
    monitor_groups: list[Annotated[str, AfterValidator(_pattern)]]
    monitor_timestamps: Literal["log", "bisect"]
    monitor_partitions_max: Count
    monitor_probe_ms: Annotated[int, Field(ge=0)]
    monitor_api_url: Annotated[str, Field(pattern="^(https?://.+)?$")]

    jwt_secret: SecretStr | None = Field(
        default=None, description="Shared secret of HS256 tokens; `make up` makes one and keeps it in `.run/env`"
    )

    kafka_sasl_password: SecretStr | None = Field(default=None, description="Password of `kafka_sasl_username`")
    kafka_sasl_oauth_client_secret: SecretStr | None = Field(
        default=None, description="Secret of `kafka_sasl_oauth_client_id`"
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        default=None, description="Password of the private key in `kafka_ssl_keyfile`, where it is encrypted"
    )

    redis_password: SecretStr | None = Field(
        default=None, description="Password of the user in `redis_url`, where it does not stand there"
    )
    clickhouse_password: SecretStr | None = Field(
        default=None, description="Password of the user in `clickhouse_url`, where it does not stand there"
    )
    schema_registry_password: SecretStr | None = Field(
        default=None, description="Password of `schema_registry_username`"
    )
    api_ssl_key_password: SecretStr | None = Field(
        default=None, description="Password of the private key in `api_ssl_keyfile`, where it is encrypted"
    )

    @model_validator(mode="after")
    def _keep_passwords_apart(self) -> Self:
        """A password that stands in an address would be printed with it."""
        for url, secret in (("redis_url", "redis_password"), ("clickhouse_url", "clickhouse_password")):
            bare, password = without_password(getattr(self, url))
            if password:
                self.__dict__ |= {url: bare, secret: SecretStr(password)}  # these settings are not frozen yet
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, the environment, files it names, .run/env, defaults.toml: the first that says something counts."""
        del file_secret_settings, dotenv_settings
        run_env = DotEnvSettingsSource(settings_cls, env_file=RUN / "env")
        return init_settings, env_settings, _SecretFiles(settings_cls), run_env, TomlConfigSettingsSource(settings_cls)

    @property
    def redis_address(self) -> str:
        """Where Redis is, and as whom it is asked; with the password, so for a client only."""
        return redis_address(self.redis_url, _text(self.redis_password), self.redis_cafile)

    @property
    def clickhouse_address(self) -> str:
        """The same of ClickHouse."""
        return clickhouse_address(self.clickhouse_url, _text(self.clickhouse_password), self.clickhouse_cafile)

    @property
    def schema_registry(self) -> RegistryAccess | None:
        """How the schema registry is reached, and as whom; None: there is none."""
        if not self.schema_registry_url:
            return None
        return RegistryAccess(
            self.schema_registry_url,
            self.schema_registry_username,
            _text(self.schema_registry_password),
            self.schema_registry_cafile,
        )

    def secrets(self) -> list[str]:
        """The values of all secrets, in the order of the fields."""
        return [_text(value) for _, value in self if isinstance(value, SecretStr)]

    @property
    def kafka(self) -> KafkaAccess:
        """How Kafka is reached, and as whom."""
        return KafkaAccess(
            servers=self.kafka_bootstrap_servers,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=_text(self.kafka_sasl_password),
            oauth_token_url=self.kafka_sasl_oauth_token_url,
            oauth_client_id=self.kafka_sasl_oauth_client_id,
            oauth_client_secret=_text(self.kafka_sasl_oauth_client_secret),
            oauth_scope=self.kafka_sasl_oauth_scope,
            oauth_cafile=self.kafka_sasl_oauth_cafile,
            ssl_cafile=self.kafka_ssl_cafile,
            ssl_certfile=self.kafka_ssl_certfile,
            ssl_keyfile=self.kafka_ssl_keyfile,
            ssl_key_password=_text(self.kafka_ssl_key_password),
        )

    def of(self, generation: int, events_generation: int, events_partitions: int) -> Self:
        """These settings with another generation."""
        return self.model_copy(
            update={
                "generation": generation,
                "events_generation": events_generation,
                "events_partitions": events_partitions,
            }
        )

    @property
    def events(self) -> str:
        """The events topic of its generation."""
        return f"{self.topic_events}-{self.events_generation}"

    def source_topic(self, name: str) -> str:
        """The name in Kafka of a source topic, by its name in stream_app/sources/registry.py."""
        return str(getattr(self, f"topic_{name}"))

    def result_topic(self, table: str) -> str:
        """The results topic of a table, by its name."""
        return str(getattr(self, f"topic_{table}"))

    def contract_test_topic(self, kind: str) -> str:
        """The topic of golden records of a kind, such as monthly.v1."""
        return f"{self.contract_test_topics}.{kind}"

    @property
    def durability(self) -> dict[str, str]:
        """Settings of our topics by which no acknowledged record is lost with one broker, where there are brokers enough."""
        return {"min.insync.replicas": "2"} if self.replication_factor >= _REPLICAS_OF_INSYNC else {}

    @property
    def ingest_group(self) -> str:
        """Consumer group, and Faust app id, of ingest; with the generation of the events topic, but for the first."""
        return f"{self.app_id}-ingest" + (f"-{self.events_generation}" if self.events_generation > 1 else "")

    @property
    def ledger_group(self) -> str:
        """The same of the ledger; with the generation, for a rebuild reads beside it."""
        return f"{self.app_id}-ledger-{self.generation}"

    @property
    def api_url(self) -> str:
        """Where the API of this machine is asked."""
        return f"{'https' if self.api_ssl_certfile else 'http'}://{self.api_host}:{self.api_port}"

    @property
    def monitor_url(self) -> str:
        """Where the monitor is asked."""
        return self.api_monitor_url.rstrip("/") or f"http://{self.monitor_host}:{self.monitor_port}"


def secret_names() -> list[str]:
    """The settings that are secrets."""
    return [name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None]


def load() -> Settings:
    """The settings of this process."""
    return Settings()
