"""The rights of docs/security.md in ClickHouse, on one of today: what programs do there works with exactly these, and what is missing is named."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_driver.errors import ServerException

from config.settings import ROOT
from stream_app.domain.figures import FIGURES
from stream_app.domain.tables import MONTHLY
from stream_app.sinks import clickhouse_client
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.clickhouse_migrations import Migrations
from stream_app.sinks.clickhouse_reader import ClickHouseReader
from stream_app.sinks.clickhouse_rights import CLICKHOUSE_ROLES, missing
from tests.support.clickhouse_today import Connection
from tests.support.fake_view import MONTH, example

DATABASE = "energy_smart_bi"
LINES = re.findall(r"^GRANT (.*) TO (\w+);$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
GRANTS = {role: [grant for grant, its in LINES if its == role] for role in CLICKHOUSE_ROLES}
# Everybody may read system.parts in a server without its packages' configuration.
LACKING = [(role, grant) for role, grants in GRANTS.items() for grant in grants if "system." not in grant]

Open = Callable[..., Connection]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Makes the connection of all who ask from now on: of a role, without some grants."""
    made: list[Connection] = []

    def close() -> None:
        for each in made:
            each.close()
        made.clear()

    def make(role: str, *without: str) -> Connection:
        close()
        granted = [grant for grant in GRANTS[role] if grant not in without]
        made.append(Connection(tmp_path, ROOT / ".run" / "lib", DATABASE, granted))
        monkeypatch.setattr(clickhouse_client, "Connection", lambda *_: made[0])
        return made[0]

    yield make
    close()


async def write(generation: int = 1) -> None:
    """All that a worker does, for two generations, of which the second has fewer partitions."""
    view, sink = example(), ClickHouseSink("", DATABASE, generation=generation, partitions=8)
    view.partition = 5
    await sink.write([(view, await sink.compare(view))])
    assert await sink.write_as_of({view.partition: 1_795_507_200_000}) == set()
    assert not (await sink.compare(view)).cells[MONTHLY.name], "what was written is found again"
    sink = ClickHouseSink("", DATABASE, generation=generation + 1, partitions=1)
    view.partition = 0
    await sink.write([(view, await sink.compare(view))])
    await sink.write_as_of({0: 1_795_507_300_000})


async def test_the_rights_of_the_page_are_enough(opened: Open) -> None:
    connection = opened("worker")
    assert missing(connection, "worker") == []
    Migrations(figures=[figure for figure in FIGURES if figure.since == 1]).run(connection)  # the first version's
    assert missing(connection, "worker") == []
    await write()
    with pytest.raises(ServerException, match="Not enough privileges"):
        connection.ask(f"DROP TABLE {DATABASE}.{MONTHLY.clickhouse_table}")
    for role in ("api", "monitor"):
        assert missing(opened(role), role) == []
        reader = ClickHouseReader("", DATABASE)
        known = await reader.operator("M1")
        assert known is not None
        assert (await reader.figures(MONTHLY, "M1", known, "ALL", [MONTH], "EUR"))["months"][0][
            "receivedAmount"
        ] == "10.01"
        with pytest.raises(ServerException, match="Not enough privileges"):
            Migrations()._run(opened(role), set())


async def test_who_may_make_nothing_writes_to_what_is_there(opened: Open) -> None:
    opened("worker")
    await write()
    making = [grant for grant in GRANTS["worker"] if re.match("CREATE|DROP|ALTER ADD", grant)]
    assert len(making) == 4
    assert missing(opened("worker", *making), "worker") == []
    await write(3)


@pytest.mark.parametrize(("role", "grant"), LACKING)
def test_each_right_that_is_taken_away_is_named(opened: Open, role: str, grant: str) -> None:
    assert missing(opened(role, grant), role) == [grant]
