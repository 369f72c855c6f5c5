"""The operator that the monitor's probe pays, and nobody else.

It is real in every stage, and shown to nobody who does not ask for it by name.

It has a source topic of its own, so that it never makes another team's topic look alive. Left out where operators are
listed or all are meant: the hash of operators, the results topics, ClickHouse's views, tokens for all.
"""

from typing import Final

OPERATOR: Final = "crm-stats.probe"
PAYMENT: Final = "probe"  # always the same, in ever new versions, so that it leaves nothing behind
CURRENCY: Final = "EUR"
