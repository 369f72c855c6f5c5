"""Statements for ClickHouse that have nothing to do with figures, a file each.

All of them run on 18.16 and on today's server.
"""

from functools import cache
from importlib.resources import files
from typing import Final

OTHER_TABLES: Final = {  # statement that makes it: its name
    "as_of": "ads_operation_crm_as_of",
    "operators": "ads_operation_crm_operators",
    "groups": "ads_operation_crm_groups",
}
MOVES: Final = "ads_operation_crm_moves"  # made by the statement `moves`
WRITES: Final = "ads_operation_crm_writes"  # made by migration 2.1
RECORD: Final = "migrations"  # makes the table of migrations that were run
RECORD_TABLE: Final = "ads_operation_crm_migrations"


@cache
def sql(name: str, database: str) -> str:
    """The statement of a file beside this one; parameters stay in it as `%(name)s`."""
    text = files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return text.format(database=database).strip()
