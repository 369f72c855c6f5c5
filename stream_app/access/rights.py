"""Rights that a program needs in Kafka, in the words of Kafka's access lists.

Which program needs which is a list beside the settings; documentation, the check at each start and tests walk over it.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]
Resource = Literal["topic", "group", "transactional-id"]


class Right(NamedTuple):
    """An operation on a resource. `prefix`: the right is given for all names that begin so; "": for `name` alone."""

    operation: Operation
    resource: Resource
    name: str
    prefix: str = ""

    def command(self, principal: str) -> str:
        """The options of kafka-acls that give the right to a principal."""
        pattern = f" --resource-pattern-type prefixed --{self.resource} {self.prefix}" if self.prefix else ""
        named = pattern or f" --{self.resource} {self.name}"
        return f"--add --allow-principal {principal} --operation {self.operation}{named}"


def sentence(missing: Iterable[Right]) -> str:
    """What is missing, as the end of a sentence."""
    return ", ".join(f"{right.operation} on the {right.resource} {right.name}" for right in missing)
