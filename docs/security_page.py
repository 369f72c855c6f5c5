"""Writes docs/security.md: the rights in Kafka stand once, in stream_app/cli/rights.py. `make docs`; a test calls --check."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security.md"
sys.path.insert(0, str(ROOT))

from config.settings import load  # noqa: E402  # after the path that it is found on
from stream_app.cli.rights import ROLES  # noqa: E402

REDIS = {
    "worker": "~crm:* ~{crm:*}:* ~{*}:crm:seen &crm:* +evalsha +script|load +info +get +set +del +hget +hset +hsetnx +hdel +hgetall +hkeys +hvals +publish",
    "api": "%R~crm:* ~crm-rate:* &crm:* +mget +hgetall +hmget +evalsha +script|load +time +hset +pexpire +subscribe +unsubscribe +ping",
    "monitor": "%R~crm:* +get +hgetall +hkeys",
}
GRANTS = {
    "worker": (
        "CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW",
        "SELECT, INSERT, ALTER ADD COLUMN, ALTER DELETE, ALTER DROP PARTITION",
    ),
    "api": ("SELECT",),
    "monitor": ("SELECT",),
}

INTRO = """# Security

For those who run the service where Kafka, Redis and ClickHouse ask who is there. Written by `make docs` from `docs/security_page.py` and `stream_app/cli/rights.py`.

## Encryption and credentials

One set of settings is for all clients of Kafka: `kafka_security_protocol`, `kafka_sasl_…` and `kafka_ssl_…` ([settings.md](settings.md#kafkas-security)).

| Kafka's listener | settings |
| --- | --- |
| TLS | `STREAM_APP_KAFKA_SECURITY_PROTOCOL=SSL`, `STREAM_APP_KAFKA_SSL_CAFILE` where the brokers' CA is not one of the machine's |
| TLS with certificates of clients | the same, `STREAM_APP_KAFKA_SSL_CERTFILE`, `STREAM_APP_KAFKA_SSL_KEYFILE`, and `STREAM_APP_KAFKA_SSL_KEY_PASSWORD` of a key that is encrypted |
| user and password | `STREAM_APP_KAFKA_SECURITY_PROTOCOL=SASL_SSL`, `STREAM_APP_KAFKA_SASL_MECHANISM` (`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`), `STREAM_APP_KAFKA_SASL_USERNAME`, `STREAM_APP_KAFKA_SASL_PASSWORD` |
| tokens of an issuer | `STREAM_APP_KAFKA_SASL_MECHANISM=OAUTHBEARER`, `STREAM_APP_KAFKA_SASL_OAUTH_TOKEN_URL`, `…_CLIENT_ID`, `…_CLIENT_SECRET`, `…_SCOPE`, `…_CAFILE`: the grant of client credentials. A token is fetched anew before it expires |

| server | settings |
| --- | --- |
| Redis | `REDIS_URL=rediss://USER@HOST:6379/0` (`rediss+cluster://` for a cluster), `STREAM_APP_REDIS_PASSWORD`, `STREAM_APP_REDIS_CAFILE` |
| ClickHouse | `CLICKHOUSE_URL=clickhouses://USER@HOST:9440`, `STREAM_APP_CLICKHOUSE_PASSWORD`, `STREAM_APP_CLICKHOUSE_CAFILE` |
| the HTTP interface | `STREAM_APP_API_SSL_CERTFILE`, `STREAM_APP_API_SSL_KEYFILE`, `STREAM_APP_API_SSL_KEY_PASSWORD`; `STREAM_APP_API_SSL_CAFILE` for our own programs that ask it |

The name of a server is checked against its certificate, always. A secret may stand in a file: `STREAM_APP_KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka`; so may `REDIS_URL` and `CLICKHOUSE_URL`.
No secret is written to a log, to `/status`, or shown by `stream-app status`; a password that stands in an address is kept apart from it.

A program proves its credentials by one connection before all others, and asks Kafka for its rights. Who is refused ends with one sentence and exit code 1, which names what is missing:

```console
$ stream-app worker
stream-app worker: Kafka does not let the user worker work: it lacks Write on the topic crm-stats.monthly.v1 (docs/security.md).
```

A server that is away refuses nobody: it is waited for. Credentials of Redis and ClickHouse are proven by workers and API in the same way; a right that is missing there is one line in the log, with the server's own words,
and tried again with back-off: results are kept for it meanwhile. What expires or is taken away while a program runs is seen by its clients, which go on trying; the next start says it in one sentence.

"""

KAFKA = """## Least rights in Kafka

Options of `kafka-acls.sh --bootstrap-server … --command-config …`, one call a line. Names are those of the defaults; `User:worker` is who the broker takes the worker for: the name of a user, the name in a certificate
by `ssl.principal.mapping.rules`, the claim `sub` of a token. The API has no right in Kafka: it asks Redis and ClickHouse only. Topics are made beforehand ([operating.md](operating.md#topics)), but for the changelog, which
the first worker makes: without its right to Create, make the changelog, too. Prefixes are there for the next generation of a rebuild.
Not in these lists, and not tried with less than all rights: `rebuild`, `up`, and `dead-letters`, which reads and writes the dead letters and source topics by the transactional id `crm-stats-dead-letters`.

"""

EXPLAIN = {
    "worker": "`stream-app worker`",
    "monitor": '`stream-app monitor`; with `monitor_timestamps = "bisect"` Describe is enough in place of Read on what consumer groups read',
    "importer": "`stream-app import` and `simulate`; `import` asks only for the topics that its file feeds. `pay`, for local use, also has to Read `crm-stats.generations`",
}

STORES = """## Least rights in Redis

`crm-rate:*` are the windows of the rate limit. Without INFO a worker runs, and sees only at its next comparison that Redis was started with older data. In a cluster add `+cluster|slots +cluster|shards +cluster|nodes +readonly`.

"""

CLICKHOUSE = """## Least rights in ClickHouse

Of today's servers, whose rights are given in SQL. `energy_smart_bi` is `clickhouse_database`.

"""

END = """Where the database and its tables were made by somebody else, a worker gets along without the first line of its rights until the next migration.

ClickHouse 18.16 has no GRANT: users stand in its `users.xml`. There a worker needs a user with `<allow_databases>` of the database, `system` and `default`; API and monitor one whose profile says `<readonly>1</readonly>`.

## What was tested how

| what | how |
| --- | --- |
| Kafka's lists above | a broker 4.4.0 with the StandardAuthorizer: a worker, the monitor and `simulate` run the whole path with exactly these; each right is taken away once, and the sentence names it |
| Redis' | Valkey 9.1 with exactly these users: the whole path through a proxy that ends TLS, for this Valkey is built without; each right but INFO is taken away once, and the error names it |
| ClickHouse's GRANT | not run: no server of today was at hand, and 18.16 has none. With 18.16, whose own TLS was used: the whole path with password, a read-only profile for API and monitor |
| ways to authenticate to Kafka | a worker each by token of an issuer (ES256, checked by the broker against the issuer's keys), by certificate, and by SCRAM-SHA-512 over TLS; the monitor by PLAIN, `simulate` by SCRAM-SHA-256 |
| who is refused | wrong password (PLAIN, SCRAM), wrong secret of a client, certificates of a foreign CA, expired, of another name, and none: one sentence, exit code 1 |
"""


def page() -> str:
    """The page as it should be."""
    settings = load()
    lines = [INTRO + KAFKA.rstrip("\n"), ""]
    for role, rights in ROLES.items():
        lines += [f"{EXPLAIN[role]}:", "", "```"]
        lines += [right.command(f"User:{role}") for right in rights(settings)]
        lines += ["```", ""]
    lines += [STORES.rstrip("\n"), "", "```"]
    lines += [f"ACL SETUSER {role} reset on >PASSWORD {rights}" for role, rights in REDIS.items()]
    lines += ["```", "", CLICKHOUSE.rstrip("\n"), "", "```"]
    for role, grants in GRANTS.items():
        lines += [f"GRANT {grant} ON energy_smart_bi.* TO {role};" for grant in grants]
    lines += ["```", "", END]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if PAGE.exists() and PAGE.read_text() == page() else "docs/security.md is old: make docs")
    PAGE.write_text(page())
