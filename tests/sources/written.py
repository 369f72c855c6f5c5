"""Records near good ones, as some serializer would write them."""

import json

from hypothesis import strategies as st

from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from tests.sources.samples import GOOD

KINDS = st.sampled_from([SESSION, PAYMENT, CDR, MEMBERSHIP, GROUP, OPERATOR])
TEXTS = st.text(max_size=8) | st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "ALL", "大客户", "\ud800", "\x7f", "\x85", "x" * 200, "x" * 201, "EUR", "COMPLETED", "SUCCEEDED", "FAILED", "UTC", "AD_HOC_USER", 'a\\b"c']
)  # fmt: skip
TIMES = st.integers(0, 1_793_800_000_000) | st.sampled_from(
    ["2026-11-03T08:29:59Z", "2026-11-03t08:29:59.999999+05:45", "2026-11-03 08:29:59z", "2016-12-31T23:59:60Z", "2026-11-03T08:29:59", "2027-01-01T00:00:00Z", "1969-12-31T23:00:00-01:00"]
)  # fmt: skip
NUMBERS = (
    st.integers()
    | st.integers(0, 3000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, 0, -1, 2**64])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | TIMES
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
ENERGIES = (
    st.decimals(-1, 1_000_001, allow_nan=False, allow_infinity=False).map(str)
    | st.sampled_from(
        ["12.4", "0", "0.0005", "999999.999", "1000000", "-0", "1e1", "012", "1.", 12.4, 0.0, 999_999, 1e6]
    )
    | NUMBERS
)
PRICES = st.fixed_dictionaries(
    {}, optional={"incl_vat": NUMBERS | JSON, "excl_vat": NUMBERS, "before_taxes": NUMBERS, "taxes": st.lists(st.fixed_dictionaries({}, optional={"amount": NUMBERS | JSON})) | JSON}
)  # fmt: skip
BY_FIELD = {
    "started_at": TIMES, "paid_at": TIMES, "start_date_time": TIMES, "end_date_time": TIMES, "version": st.integers(-1, 5), "total_cost": PRICES,
    "amount_received": st.integers(0, 3000), "amount_refunded": st.integers(0, 3000), "amount_discount": st.integers(0, 3000), "group_ids": st.lists(TEXTS, max_size=4),
    "status": st.sampled_from(["ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"]), "credit": st.booleans(),
    "credit_reference_id": TEXTS, "total_energy": ENERGIES, "energy_kwh": ENERGIES, "ended_at": TIMES, "session_id": TEXTS, "currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", "XXX"]),
    "cdr_token": st.fixed_dictionaries({}, optional={"contract_id": TEXTS, "type": TEXTS | SCALARS}),
}  # fmt: skip


@st.composite
def written(draw, kind):
    """A record near a good one, as some serializer would write it: fields changed, left out, doubled, in any order, escaped or not."""
    fields = [(name, value) for name, value in GOOD[kind].items()]
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([*GOOD[kind], "credit", "credit_reference_id", "unknown"]))
        change = draw(st.sampled_from(["plausible", "plausible", "plausible", "any", "drop", "null"]))
        if change == "drop":
            fields = [pair for pair in fields if pair[0] != name]
        else:
            value = None if change == "null" else draw(JSON if change == "any" else BY_FIELD.get(name, TEXTS))
            if draw(st.booleans()):
                fields = [pair for pair in fields if pair[0] != name]
            fields.insert(draw(st.integers(0, len(fields))), (name, value))
    ascii_only = draw(st.booleans())
    gap = draw(st.sampled_from(["", " ", "\n", "\r\n\t"]))
    body = f",{gap}".join(
        f"{json.dumps(name, ensure_ascii=ascii_only)}:{gap}{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in fields
    )
    return f"{gap}{{{body}}}{gap}".encode("utf-8", "surrogatepass")
