"""Writes docs/security.md: the rights in Kafka stand once, in stream_app/cli/rights.py. `make docs`; a test calls --check."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security.md"
sys.path.insert(0, str(ROOT))

from config.settings import load  # noqa: E402  # after the path that it is found on
from stream_app.cli.rights import ROLES  # noqa: E402
from stream_app.sinks.clickhouse_rights import CLICKHOUSE_ROLES  # noqa: E402
from stream_app.sinks.redis_rights import REDIS_ROLES  # noqa: E402

INTRO = """# Security

For those who run the service where Kafka, Redis and ClickHouse ask who is there. Written by `make docs` from `docs/security_page.py`, `stream_app/cli/rights.py` and `stream_app/sinks/*_rights.py`.

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
| a schema registry | `STREAM_APP_SCHEMA_REGISTRY_URL=https://HOST:8081`, `STREAM_APP_SCHEMA_REGISTRY_USERNAME`, `STREAM_APP_SCHEMA_REGISTRY_PASSWORD`, `STREAM_APP_SCHEMA_REGISTRY_CAFILE` |
| the HTTP interface | `STREAM_APP_API_SSL_CERTFILE`, `STREAM_APP_API_SSL_KEYFILE`, `STREAM_APP_API_SSL_KEY_PASSWORD`; `STREAM_APP_API_SSL_CAFILE` for our own programs that ask it |

The name of a server is checked against its certificate, always. From Python 3.13 on certificates are held to RFC 5280 as well: one of an older CA of one's own, whose certificate lacks the key usage or the identifiers of keys, is refused there, with what it lacks in the sentence. A secret may stand in a file: `STREAM_APP_KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka`; so may `REDIS_URL` and `CLICKHOUSE_URL`.
No secret is written to a log, to `/status`, or shown by `stream-app status`; a password that stands in an address is kept apart from it.

A program proves its credentials by one connection before all others, and asks Kafka for its rights. Who is refused ends with one sentence and exit code 1, which names what is missing:

```console
$ stream-app worker
stream-app worker: Kafka does not let the user worker work: it lacks Write on the topic crm-stats.monthly.v1 (docs/security.md).
```

A server that is away refuses nobody: it is waited for. Workers, API and `rebuild` ask Redis and ClickHouse in the same way: Redis by commands that change nothing, ClickHouse by `CHECK GRANT`; one
that does not know that yet (before 24.11), by asking for no rows of each table that is there, and inserting none. A right that is taken away later is one line in the log, with the server's own words, and tried again
with back-off: results are kept for it meanwhile. What expires or is taken away while a program runs is seen by its clients, which go on trying; the next start says it in one sentence.

"""

KAFKA = """A schema registry is asked for schemas by their ids, and for the versions of subjects that these refer to: to read is enough for workers, `rebuild` and `map`. `up` registers our own contracts there
([integrating.md](integrating.md)), for which it reads and writes the subjects `TOPIC-value` and their modes; with
`STREAM_APP_SCHEMA_REGISTRY_CONTRACTS=false` it does not.

## Least rights in Kafka

Options of `kafka-acls.sh --bootstrap-server … --command-config …`, one call a line. Names are those of the defaults; `User:worker` is who the broker takes the worker for: the name of a user, the name in a certificate
by `ssl.principal.mapping.rules`, the claim `sub` of a token. The API has no right in Kafka: it asks Redis and ClickHouse only. Topics are made beforehand ([operating.md](operating.md#topics)), but for the changelog, which
the first worker makes: without its right to Create, make the changelog, too. Prefixes are there for the next generation of a rebuild.
`status` asks the monitor and `token` nobody. Each command asks for its rights at its start, and ends with the sentence above.

"""

EXPLAIN = {
    "worker": "`stream-app worker`",
    "monitor": '`stream-app monitor`; with `monitor_timestamps = "bisect"` Describe is enough in place of Read on what consumer groups read',
    "importer": "`stream-app import` and `simulate`; `import` asks only for the topics that its file feeds",
    "pay": "`stream-app pay` and `demo`",
    "dead-letters": "`stream-app dead-letters`; `list` and `show` need Read only",
    "rebuild": "`stream-app rebuild`, which reads and writes Redis and ClickHouse as a worker does; `--drop` needs Delete, and Read on `crm-stats.generations`, and nothing else does",
    "contract-test": "`stream-app contract-test`, with the names that `--topics` begins; `--check` asks nobody. Read is to see that the topics hold nothing else",
    "up": "`stream-app up` with `KAFKA_BOOTSTRAP_SERVERS`, which makes the topics that are missing; the workers and the monitor that it starts have its credentials, and so need their own lists, too. `--servers-only` starts none",
}

STORES = """## Least rights in Redis

`crm-rate:*` are the windows of the rate limit. Without INFO a worker runs, and sees only at its next comparison that Redis was started with older data. In a cluster add `+cluster|slots +cluster|shards +cluster|nodes +readonly`.

"""

CLICKHOUSE = """## Least rights in ClickHouse

Of today's servers, whose rights are given in SQL. `energy_smart_bi` is `clickhouse_database`.

"""

END = """Where the database and its tables are there as this version has them, made by another worker, a worker gets along without CREATE, DROP VIEW and ALTER ADD COLUMN until the next migration. `system.parts` may be read by everybody
unless the server's `select_from_system_db_requires_grant` says otherwise, as that of its packages does.

ClickHouse 18.16 has no GRANT: users stand in its `users.xml`. There a worker needs a user with `<allow_databases>` of the database, `system` and `default`; API and monitor one whose profile says `<readonly>1</readonly>`.

## What was tested how

| what | how |
| --- | --- |
| Kafka's lists above | a broker 4.4.0 with the StandardAuthorizer: `up`, workers, the monitor, `simulate`, `pay`, `dead-letters` and `rebuild` run the whole path with exactly these; each right is taken away once, and the sentence names it |
| Redis' | Redis 7.0 by its own TLS, with exactly these users: the whole path. Valkey 9.1: each right but INFO is taken away once, and the sentence at the start and the error later name it |
| ClickHouse's GRANT | ClickHouse 26.5 as a library (chDB): migrations, writing, reading and as-of with exactly these; each right is taken away once, and the check at the start names it. `system.parts` is free there, so that right is known from the server's source only. With 18.16, whose own TLS was used: the whole path with password, a read-only profile for API and monitor |
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
    for role, needs in REDIS_ROLES.items():
        lines.append(f"ACL SETUSER {role} reset on >PASSWORD {' '.join(need.right for need in needs)}")
    lines += ["```", "", CLICKHOUSE.rstrip("\n"), "", "```"]
    for role, grants in CLICKHOUSE_ROLES.items():
        lines += [f"GRANT {grant.on(settings.clickhouse_database)} TO {role};" for grant in grants]
    lines += ["```", "", END]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if PAGE.exists() and PAGE.read_text() == page() else "docs/security.md is old: make docs")
    PAGE.write_text(page())
