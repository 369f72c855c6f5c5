"""Whether the rows of an operator are all of one state: a table with a mark of each operator's last write.

ClickHouse has no transactions: what is written at a time goes into several tables and months, one insert after the
other. So an operator's mark is raised before the first of its rows is inserted and again behind the last one. Who reads
it before and behind some rows, finds it the same and of a finished write, has read rows of one state.

A mark is twice the version of the state that is written, and one more when all is there: marks of a writer that lost its
partition are below those of the next owner. A write that was cut off is found by the next comparison, and finished.
"""

from collections.abc import Iterable

from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_rows import Columns, as_columns


class WriteUnderWay(Exception):  # noqa: N818  # a state that passes, not a fault
    """The rows of an operator are being written: what can be read is of two states."""


def begun(versions: Iterable[tuple[str, int]]) -> Columns:
    """Rows that say of operators that a state with this version is being written."""
    return as_columns([(operator_id, 2 * version) for operator_id, version in versions])


def finished(versions: Iterable[tuple[str, int]]) -> Columns:
    """Rows that say of operators that all rows of a state with this version are there."""
    return as_columns([(operator_id, 2 * version + 1) for operator_id, version in versions])


def read_mark(to: Connection, operator_id: str) -> int:
    """The mark of an operator, 0 for one that was not written since there are marks.

    `Raises` WriteUnderWay.
    """
    ((mark,),) = to.run("read_write", operator=operator_id)
    if mark and mark % 2 == 0:
        raise WriteUnderWay(operator_id)
    return int(mark)


def check_mark(to: Connection, operator_id: str, mark: int) -> None:
    """`Raises` WriteUnderWay, if an operator was written since its mark was read."""
    if read_mark(to, operator_id) != mark:
        raise WriteUnderWay(operator_id)


def unfinished(to: Connection) -> set[str]:
    """Operators whose last write was cut off, or is under way."""
    return {operator_id for (operator_id,) in to.run("unfinished_writes")}
