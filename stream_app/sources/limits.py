"""How large what is kept of a record may be, where its source decides that: a name, a list of groups."""

from typing import Final

import msgspec

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.events import GROUP, MEMBERSHIP, OPERATOR, Row
from stream_app.formats.limits import MEMBERSHIP_BYTES_MAX, NAME_BYTES_MAX

# By kind of events. All else that is kept of a record is bounded by the rules of its fields.
BYTES_MAX: Final = {MEMBERSHIP: MEMBERSHIP_BYTES_MAX, GROUP: NAME_BYTES_MAX, OPERATOR: NAME_BYTES_MAX}
_encode = msgspec.msgpack.Encoder().encode


def too_large(bytes_max: int, row: Row) -> Rejection | None:
    """Why a row is not kept; None if it is."""
    size = len(_encode(row))
    if size <= bytes_max:
        return None
    return Rejection(Reason.TOO_LARGE, f"what is kept of it has {size} bytes, must have {bytes_max} at most")
