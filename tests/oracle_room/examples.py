"""Source values one by one: bad ones, each with its only reason, and odd ones that are nevertheless usable.

Shared by the oracle's own tests, the Hypothesis strategies and the end-to-end scenario. Every bad value but a too-late one stays bad
wherever and whenever it is sent.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple


class Example(NamedTuple):
    """A value for a kind of source topic (see reading.TOPICS); `reason` None: it can be used."""

    kind: str
    value: bytes | None
    reason: str | None
    about: str


FAR_FUTURE_MS = 7_258_118_400_000  # the year 2200
MISSING: Any = object()


def dumps(data: Any) -> bytes:
    """JSON in UTF-8, not escaped."""
    return json.dumps(data, ensure_ascii=False).encode()


def minimal(kind: str, number: int, at_ms: int) -> dict[str, Any]:
    """A usable value with all required fields and no others; the number makes it an entity of its own."""
    ids = {"operator_id": "M-bad"}
    found: dict[str, dict[str, Any]] = {
        "session": {**ids, "session_id": f"s-bad-{number}", "status": "COMPLETED", "started_at": at_ms},
        "payment": {
            **ids,
            "payment_id": f"p-bad-{number}",
            "status": "SUCCEEDED",
            "amount_received": 100,
            "currency": "EUR",
            "paid_at": at_ms,
        },
        "membership": {**ids, "customer_id": f"c-bad-{number}", "group_ids": ["vip"]},
        "group": {**ids, "group_id": f"g-bad-{number}", "name": "大客户"},
        "operator": {"operator_id": f"M-bad-{number}", "timezone": "Europe/Berlin", "currency": "EUR"},
        "cdr": {
            "country_code": "XX",
            "party_id": "BAD",
            "id": f"CDR-BAD-{number}",
            "session_id": "x",
            "start_date_time": ocpi_time(at_ms - 3_600_000),
            "end_date_time": ocpi_time(at_ms),
            "cdr_token": {"contract_id": "XX-BAD-C1"},
            "currency": "EUR",
            "total_cost": {"excl_vat": 1.5},
        },
    }
    return found[kind]


def ocpi_time(at_ms: int) -> str:
    """As OCPI writes it: UTC without a zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


REQUIRED = {
    "session": ["session_id", "operator_id", "status", "started_at"],
    "payment": ["payment_id", "operator_id", "status", "amount_received", "currency", "paid_at"],
    "membership": ["operator_id", "customer_id", "group_ids"],
    "group": ["operator_id", "group_id", "name"],
    "operator": ["operator_id", "timezone", "currency"],
    "cdr": ["country_code", "party_id", "id", "start_date_time", "end_date_time", "cdr_token", "currency", "total_cost"],
}  # fmt: skip
IDS = {
    "session": ["session_id", "operator_id", "customer_id"],
    "payment": ["payment_id", "operator_id", "customer_id"],
    "membership": ["operator_id", "customer_id"],
    "group": ["operator_id", "group_id"],
    "operator": ["operator_id"],
    "cdr": ["country_code", "party_id", "id"],
}
TIMES = {"session": ["started_at"], "payment": ["paid_at"], "cdr": ["start_date_time", "end_date_time"]}
BAD_IDS = ["", "x" * 201, "😀" * 201, "a\x00b", "a\nb", "a\x7fb", "a\x9fb", "a\ud800b"]
BAD_TIMES = [
    "", "yesterday", "2026-11-03", "2026-11-03T08:29+01:00", "2026-13-03T08:29:59Z", "2026-02-29T08:29:59Z", "2026-11-03T24:00:00Z",
    "2026-11-03T08:60:00Z", "2026-11-03T08:29:61Z", "2026-11-03T08:29:60Z", "2026-11-03T08:29:59+24:00", "2026-11-03T08:29:59+01:60",
    "2026-11-03T08:29:59+0100", "2026-11-03T08:29:59.Z", "2026-11-03T08:29:59,5Z", " 2026-11-03T08:29:59Z", "2026-11-03T08:29:59Z\n",
    "\uff12026-11-03T08:29:59Z", "26-11-03T08:29:59Z", "+2026-11-03T08:29:59Z", "1793693460000", "20261103T082959Z", "2026-W45-2T08:29:59Z",
]  # fmt: skip
NOT_JSON = [
    b"", b" ", b"{", b"nonsense", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[]", b"1", b"null", b'"text"', b"{} {}", b"{'a':1}", b'{"a":1,}',
]  # fmt: skip
# Put in as the value of a field that no result uses: the whole is no JSON.
BROKEN_INSIDE = [
    b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b".5", b"1.", b"1e", b"0x10", b"True", b'"a\nb"', b'"\\x41"', b'"\\u12g4"',
    b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"[1,]", b"{1:2}", b"/**/1", b"undefined",
]  # fmt: skip


def bad_examples(now_ms: int, *, late: bool = True) -> list[Example]:
    """Bad values of every kind. `late`: too-late ones among them, which are bad only when now is known."""
    found: list[Example] = []
    wrong: Any
    amount: Any

    def add(kind: str, reason: str, about: str, **change: Any) -> None:
        data = {**minimal(kind, len(found), now_ms - 86_400_000), **change}
        data = {name: value for name, value in data.items() if value is not MISSING}
        # Lone surrogates can only be written as escapes.
        found.append(Example(kind, json.dumps(data, ensure_ascii="\\ud" in json.dumps(data)).encode(), reason, about))

    for kind, required in REQUIRED.items():
        found.append(Example(kind, None, "tombstone", f"{kind}: null value"))
        found += [Example(kind, value, "not_json", f"{kind}: {value!r}") for value in NOT_JSON]
        body = dumps(minimal(kind, len(found), now_ms - 86_400_000))[:-1]
        found += [
            Example(kind, body + b', "x": ' + inside + b"}", "not_json", f"{kind}: {inside!r}")
            for inside in BROKEN_INSIDE
        ]
        for name in required:
            add(kind, "missing_field", f"{kind} without {name}", **{name: MISSING})
            add(kind, "missing_field", f"{kind} with {name} null", **{name: None})
            for wrong in (True, {"a": 1}) if name not in {"cdr_token", "total_cost"} else (True, "x", 12.5, []):
                if name in TIMES.get(kind, []):
                    add(kind, "wrong_type|bad_time", f"{kind} with {name} {wrong!r}", **{name: wrong})
                else:
                    add(kind, "wrong_type", f"{kind} with {name} {wrong!r}", **{name: wrong})
        for name in IDS[kind]:
            add(kind, "wrong_type", f"{kind} with {name} a number", **{name: 7})
            for wrong in BAD_IDS:
                add(kind, "bad_id", f"{kind} with {name} {wrong[:9]!r}", **{name: wrong})
        for name in TIMES.get(kind, []):
            for wrong in BAD_TIMES:
                add(kind, "bad_time", f"{kind} with {name} {wrong!r}", **{name: wrong})
        for wrong in (-1, 2**53 + 1, 10**30):
            add(kind, "out_of_range", f"{kind} of version {wrong}", version=wrong)
        for wrong in ("1", 1.0, True, [1]):
            add(kind, "wrong_type", f"{kind} of version {wrong!r}", version=wrong)
    for kind, name in (("session", "started_at"), ("payment", "paid_at")):
        add(kind, "in_the_future", f"{kind} of 2200", **{name: FAR_FUTURE_MS})
        add(kind, "in_the_future", f"{kind} of 2200 as text", **{name: "2200-01-01T00:00:00Z"})
        add(kind, "in_the_future", f"{kind} that counts nowhere, of 2200", status="PENDING", **{name: FAR_FUTURE_MS})
        if late:
            add(kind, "too_late", f"{kind} of three years ago", **{name: now_ms - 3 * 366 * 86_400_000})
            add(kind, "too_late", f"{kind} of 1969", **{name: "1969-07-20T20:17:40Z"})
        for status in ("completed", "", "DONE", "UNKNOWN"):
            add(kind, "unknown_status", f"{kind} with status {status!r}", status=status)
    add("session", "unknown_status", "a payment's status", status="SUCCEEDED")
    add("payment", "unknown_status", "a session's status", status="COMPLETED")
    add("cdr", "in_the_future", "CDR of 2200", end_date_time="2200-01-01T00:00:00Z")
    if late:
        add(
            "cdr", "too_late", "CDR of 2001", end_date_time="2001-01-01T00:00:00", start_date_time="2001-01-01T00:00:00"
        )
    for currency in ("eur", "EURO", "", "XXX", "XAU", "ABC", "DEM"):
        for kind in ("payment", "operator", "cdr"):
            add(kind, "unknown_currency", f"{kind} in {currency!r}", currency=currency)
    for name in ("amount_received", "amount_discount", "amount_refunded"):
        for amount in (-1, 2**53, 10**400):
            add("payment", "out_of_range", f"{name} {str(amount)[:20]}", **{name: amount})
        for amount in ("1", 1.0, True, []):
            add("payment", "wrong_type", f"{name} {amount!r}", **{name: amount})
    add("payment", "out_of_range", "refunded more than received", amount_refunded=101)
    for zone in ("europe/berlin", "CET+1", "Mars/Olympus", "", "../UTC", "Europe"):
        add("operator", "unknown_zone", f"zone {zone!r}", timezone=zone)
    add("operator", "wrong_type", "a number as name", name=5)
    add("group", "reserved_group", "a name for ALL", group_id="ALL")
    add("membership", "reserved_group", "member of ALL", group_ids=["vip", "ALL"])
    add("membership", "out_of_range", "member of 2,001 groups", group_ids=[f"g{n}" for n in range(2001)])
    for groups in ("vip", {"vip": 1}, [1], [["vip"]], ["vip", True]):
        add("membership", "wrong_type", f"groups {groups!r}", group_ids=groups)
    for wrong in BAD_IDS:
        add("membership", "bad_id", f"member of {wrong[:9]!r}", group_ids=["vip", wrong])
    add("cdr", "out_of_range", "a start after its end", start_date_time=ocpi_time(now_ms - 80_000_000))
    _bad_cdrs(add)
    return found


def _bad_cdrs(add: Any) -> None:
    add("cdr", "missing_field", "token without contract_id", cdr_token={"type": "RFID"})
    add("cdr", "missing_field", "ad hoc token without contract_id", cdr_token={"type": "AD_HOC_USER"})
    add("cdr", "wrong_type", "contract_id a number", cdr_token={"contract_id": 9})
    for wrong in BAD_IDS:
        add("cdr", "bad_id", f"contract_id {wrong[:9]!r}", cdr_token={"contract_id": wrong})
    add("cdr", "missing_field", "a total of nothing", total_cost={})
    add("cdr", "missing_field", "a total of nulls", total_cost={"incl_vat": None, "excl_vat": None})
    add("cdr", "out_of_range", "a negative total", total_cost={"excl_vat": 2, "incl_vat": -0.5})
    add("cdr", "out_of_range", "a negative total by taxes", total_cost={"before_taxes": 1, "taxes": [{"amount": -2}]})
    add("cdr", "out_of_range", "a total too large", total_cost={"excl_vat": 90071992547409.92})
    add("cdr", "out_of_range", "a total far too large", total_cost={"excl_vat": 1e300})
    add("cdr", "wrong_type", "a total as text", total_cost={"excl_vat": "1.50"})
    add("cdr", "wrong_type", "taxes no list", total_cost={"before_taxes": 1, "taxes": 2})
    add("cdr", "wrong_type", "a tax as text", total_cost={"before_taxes": 1, "taxes": [{"amount": "1"}]})
    add("cdr", "wrong_type", "credit as text", credit="true")
    add("cdr", "missing_field", "credit of nothing", credit=True)
    add("cdr", "bad_id", "credit of an empty id", credit=True, credit_reference_id="")
    add("cdr", "wrong_type", "credit of a number", credit=True, credit_reference_id=5)
    add("cdr", "missing_field", "credit without currency", credit=True, credit_reference_id="X", currency=MISSING)
    add("cdr", "missing_field", "credit without total", credit=True, credit_reference_id="X", total_cost=None)


def odd_examples(at_ms: int) -> list[Example]:
    """Usable values that a careless reader refuses or misreads. All of operator M-odd or XX-ODD, of one instant."""
    found: list[Example] = []
    at = datetime.fromtimestamp(at_ms // 1000, UTC)

    def add(kind: str, about: str, raw: bytes | None = None, **change: Any) -> None:
        data = minimal(kind, len(found), at_ms)
        if "operator_id" in data:
            data["operator_id"] = "M-odd"
        if kind == "cdr":
            data["party_id"] = "ODD"
        data |= change
        found.append(Example(kind, raw if raw is not None else dumps(data), None, about))

    def inside(kind: str, about: str, extra: bytes) -> None:
        add(kind, about, raw=dumps({**minimal(kind, len(found), at_ms), "operator_id": "M-odd"})[:-1] + extra + b"}")

    nested: Any = 1
    for _ in range(90):
        nested = [nested]
    add(
        "session",
        "unknown fields of any shape",
        x={"y": [None, 1e5, {"deep": nested}]},
        ended_at="never",
        energy_kwh=-7,
    )
    for energy in (None, "", "12,4", "1e1", "-1", "1000000", True, [], {"kwh": 1}, -0.001, 1e6, 999999.9991):
        add("session", f"an energy of {energy!r} is unknown", energy_kwh=energy)
        add("cdr", f"an energy of {energy!r} is unknown", total_energy=energy)
        add("cdr", f"an energy of {energy!r} without a session is unknown, not 0", session_id=None, total_energy=energy)
    for energy in ("12.4", "0012.40", "0.0005", "0", "-0.0", 0, 12, 12.3456, 0.0004, 1e-7, "999999.999", 999999.999):
        add("session", f"an energy of {energy!r}", energy_kwh=energy)
        add("cdr", f"an energy of {energy!r}", total_energy=energy)
        add("cdr", f"an energy of {energy!r} without a session", session_id=None, total_energy=energy)
    inside("session", "an energy of more digits than a float has", b', "energy_kwh": 0.00049999999999999999999999')
    inside("session", "an energy written with escapes", b', "energy_kwh": "1\\u002e5"')
    inside("session", "an exponent that no arithmetic takes", b', "energy_kwh": 1e-99999999999999999999')
    for end in (None, "", "later", -5, 10**30, 1.5, True, [], at_ms - 1, at.isoformat()):
        add("session", f"an end of {end!r}", ended_at=end)
    add("payment", "session_id is not checked", session_id=["what", {"ever": None}])
    inside("session", "of doubled keys the last counts", b', "status": "NONSENSE", "status": "COMPLETED"')
    inside("payment", "a bad field, doubled by a good one", b', "paid_at": true, "paid_at": %d' % at_ms)
    inside("payment", "keys written with escapes", b', "\\u0061mount_discount": 7')
    inside("session", "a huge unknown number", b', "x": ' + b"9" * 5000 + b', "y": 1e999999, "z": -0.0')
    inside("session", "white space", b'\r\n\t , \t\n"x" :\r1 ')
    inside("session", "a lone surrogate in an unknown field", b', "x": "\\ud800"')
    inside("session", "null in optional fields", b', "customer_id": null, "version": null')
    inside("payment", "null amounts are 0", b', "amount_discount": null, "amount_refunded": null, "customer_id": null')
    add("session", "the highest version", version=2**53)
    add(
        "payment",
        "the highest amounts",
        amount_received=2**53 - 1,
        amount_discount=2**53 - 1,
        amount_refunded=2**53 - 2,
    )
    add("payment", "a payment of zero", amount_received=0, customer_id="c-zero")
    add("session", "an id of 200 code points", session_id="😀" * 200, customer_id="é" * 200)
    add("session", "an id of one space", session_id=" ", customer_id="\u200b")
    add("session", "an escaped pair is one code point", raw=json.dumps(
        {"operator_id": "M-odd", "session_id": "😀" * 200, "status": "COMPLETED", "started_at": at_ms, "version": 2}
    ).encode())  # fmt: skip
    for text in (
        at.strftime("%Y-%m-%dt%H:%M:%Sz"),
        at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        at.strftime("%Y-%m-%dT%H:%M:%S.0Z"),
        at.strftime("%Y-%m-%dT%H:%M:%S-00:00"),
        at.astimezone(timezone(timedelta(hours=14))).isoformat(),
        at.astimezone(timezone(-timedelta(hours=23, minutes=59))).isoformat(),
        at.astimezone(timezone(timedelta(hours=23, minutes=59))).isoformat(),
    ):
        add("session", f"started at {text}", started_at=text, customer_id="c-time")
        add("payment", f"paid at {text}", paid_at=text, customer_id="c-time")
    add("operator", "a name of null", operator_id="M-odd", name=None)
    add("group", "an empty name", name="")
    add(
        "membership", "doubled groups count once", customer_id="c-time", group_ids=["g", "all", "g", " ", "大客户|{}%+"]
    )
    add("membership", "no groups", customer_id="c-none", group_ids=[])
    for currency in ("JPY", "KWD", "CLF", "UYW", "BGN", "HRK", "ZWL"):
        add("payment", f"in {currency}", currency=currency, amount_received=12345)
        add("cdr", f"in {currency}", currency=currency, total_cost={"excl_vat": 12.34565})
    _odd_cdrs(add)
    return found


def _odd_cdrs(add: Any) -> None:
    add("cdr", "lower case", country_code="xx", party_id="odd", id="cdr-lower-é", cdr_token={"contract_id": "xx-odd-é"})
    add("cdr", "incl_vat before excl_vat", total_cost={"excl_vat": 10, "incl_vat": 11.9})
    add("cdr", "an excl_vat that is not used", total_cost={"excl_vat": "ten", "incl_vat": 11.9})
    add("cdr", "2.3.0", total_cost={"before_taxes": 10.005, "taxes": [{"name": "VAT", "amount": 1.9}, {"amount": 0.1}]})
    add("cdr", "2.3.0 without taxes", total_cost={"before_taxes": 10, "taxes": None})
    add("cdr", "half-up, where floats are below the half", total_cost={"excl_vat": 1.005})
    add("cdr", "a total of zero", total_cost={"excl_vat": 0})
    add("cdr", "with an exponent", total_cost={"excl_vat": 1e-7, "incl_vat": 1.25e2})
    add("cdr", "ad hoc", cdr_token={"contract_id": "XX-ODD-C1", "type": "AD_HOC_USER"})
    add("cdr", "another type of token", cdr_token={"contract_id": "XX-ODD-C1", "type": "RFID"})
    add("cdr", "a reservation never used", session_id=None, total_energy=0)
    add("cdr", "a reservation never used, 0.0", session_id=None, total_energy=0.0)
    add("cdr", "energy without a session", session_id=None, total_energy=0.5)
    add("cdr", "a session without energy", total_energy=0)
    add("cdr", "credit null", credit=None, credit_reference_id=5)
    add("cdr", "no credit", credit=False, credit_reference_id="CDR-LOWER-É")
    add(
        "cdr",
        "a credit, its amounts not checked",
        credit=True,
        credit_reference_id="cdr-NONE",
        currency=7,
        total_cost="x",
    )
    add("cdr", "a credit with a negative total", credit=True, credit_reference_id="none2", total_cost={"excl_vat": -5})
