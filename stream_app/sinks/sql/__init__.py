"""Every statement for ClickHouse, a file each. All of them run on 18.16 and on today's server."""

from functools import cache
from importlib.resources import files
from typing import Final

TABLES: Final = (
    "database",
    "monthly",
    "monthly_current",
    "charging_distri",
    "charging_distri_current",
    "as_of",
    "operators",
    "groups",
)


@cache
def sql(name: str, database: str) -> str:
    """The statement of a file beside this one; parameters stay in it as `%(name)s`."""
    text = files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return text.format(database=database).strip()
