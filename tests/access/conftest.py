"""A CA, and Redis and ClickHouse with TLS and users, for all tests of this room."""

from collections.abc import Iterator

import pytest

from config.settings import ROOT
from tests.support.secured import Authority, Certificate
from tests.support.secured_clickhouse import SecuredClickHouse
from tests.support.secured_redis import SecuredRedis

STORE_PASSWORD = "pass/word:of@the?stores"


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def store_certificate(ca: Authority) -> Certificate:
    return ca.issue("stores")


@pytest.fixture(scope="session")
def secured_clickhouse(
    store_certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredClickHouse]:
    """The worker may do all, API and monitor only read."""
    users = {
        "worker": (STORE_PASSWORD, "default"),
        "api": (STORE_PASSWORD, "reads"),
        "monitor": (STORE_PASSWORD, "reads"),
    }
    folder = tmp_path_factory.mktemp("clickhouse") / "data"
    made = SecuredClickHouse(folder, ROOT / ".run" / "lib", store_certificate, users)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def redis_by_tls(
    ca: Authority, store_certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredRedis]:
    """Without users but the default one."""
    made = SecuredRedis(tmp_path_factory.mktemp("redis") / "data", ROOT / ".run" / "lib", store_certificate, ca.file)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def store_password() -> str:
    """With all that means something in an address."""
    return STORE_PASSWORD
