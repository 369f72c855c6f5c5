"""Compares what was read from each output with the truth: every function returns human-readable differences, none being right.

Each output is read here in its own way, by the contract's names only; nothing of the product is imported. Not compared: `asOf` and the
value of `version`, which depend on when things happened (that they are there and of the right type is).
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.oracle import Truth
from tests.oracle_room.reading import DIGITS, Record

Headers = Iterable[tuple[str, bytes | None]]
MONTHLY_TOPIC, HALF_HOUR_TOPIC, AS_OF_TOPIC = "crm-stats.monthly.v1", "crm-stats.half-hour.v1", "crm-stats.as-of.v1"
DEAD_LETTERS_TOPIC = "crm-stats.dead-letters"
MONTHLY_COLUMNS = [
    "received_amount", "discount_amount", "refunded_amount", "payment_count", "paying_customers", "per_capita_payment",
    "session_count", "charging_customers", "per_capita_frequency", "energy_kwh", "per_capita_energy", "anonymous_amount",
    "anonymous_session_count", "anonymous_energy_kwh",
]  # fmt: skip
MONEY = ("receivedAmount", "discountAmount", "refundedAmount", "perCapitaPayment", "anonymousAmount")
MONEY_COUNTS = ("paymentCount", "payingCustomers")
ENERGIES = ("energyKwh", "perCapitaEnergy", "anonymousEnergyKwh")
SESSION_FIGURES = ("sessionCount", "chargingCustomers", "perCapitaFrequency", "anonymousSessionCount", *ENERGIES)
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def encoded(an_id: str) -> str:
    """`%`, `|`, `{`, `}` and `+` of an id are percent-encoded in keys."""
    return "".join(f"%{ord(c):02X}" if c in "%|{}+" else c for c in an_id)


def decoded(text: str) -> str:
    """The id that a part of a key stands for."""
    return re.sub("%(25|7C|7B|7D|2B)", lambda found: chr(int(found[1], 16)), text)


def compare(expected: Any, found: Any, path: str = "") -> list[str]:
    """Differences of JSON values, by path; a true and a 1 are different."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for name in sorted(expected.keys() | found.keys())
            for line in (
                compare(expected[name], found[name], f"{path}.{name}")
                if name in expected and name in found
                else [f"{path}.{name}: {'missing' if name in expected else f'not expected: {found[name]!r}'}"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            line for n, pair in enumerate(zip(expected, found, strict=True)) for line in compare(*pair, f"{path}[{n}]")
        ]
    if type(expected) is type(found) and expected == found:
        return []
    return [f"{path}: expected {expected!r}, found {found!r}"]


def stripped(data: Mapping[str, Any], where: str, lines: list[str]) -> dict[str, Any]:
    """The data without partition, asOf and version, which are checked for their types only."""
    rest = dict(data)
    partition, as_of, version = (rest.pop(name, None) for name in ("partition", "asOf", "version"))
    if not isinstance(partition, int) or not 0 <= partition < 65536:
        lines.append(f"{where}: partition {partition!r}")
    if not isinstance(as_of, str) or not UTC_TIME.fullmatch(as_of):
        lines.append(f"{where}: asOf {as_of!r}")
    if not isinstance(version, int) or not 0 <= version <= 2**53:
        lines.append(f"{where}: version {version!r}")
    return rest


def no_figures(currency: str) -> dict[str, Any]:
    """The figures of a month in which nothing counts."""
    zero = f"{Decimal(0):.{DIGITS[currency]}f}"
    counts = dict.fromkeys(MONEY_COUNTS, 0) | dict.fromkeys(SESSION_FIGURES, 0)
    return dict.fromkeys(MONEY, zero) | counts | dict.fromkeys(ENERGIES, "0.000") | {"perCapitaFrequency": "0.00"}


def expected_row(truth: Truth, operator: str, group: str, month: str, currency: str) -> dict[str, Any]:
    """The figures of a monthly row, whether or not the truth needs it: of a currency not counted in it, the session columns."""
    row = truth.monthly.get((operator, group, month, currency))
    if row:
        return row
    live = truth.monthly.get((operator, group, month, truth.currency(operator)))
    return no_figures(currency) | ({name: live[name] for name in SESSION_FIGURES} if live else {})


def _monthly_rows(truth: Truth, found: Mapping[tuple[str, str, str, str], Mapping[str, Any]], where: str) -> list[str]:
    """Rows (operator, group, month, currency): figures. Rows past retention are as they last were, which is not known here."""
    lines = [f"{where} {key}: missing, expected {row}" for key, row in truth.monthly.items() if key not in found]
    for key, row in found.items():
        if key[2] >= truth.first_month(key[0]):
            lines += compare(expected_row(truth, *key), dict(row), f"{where} {key}")
    return lines


def _half_hours(truth: Truth, found: Mapping[tuple[str, str, str], list[int]], where: str) -> list[str]:
    lines = [f"{where} {key}: missing, expected {slots}" for key, slots in truth.half_hour.items() if key not in found]
    for key, slots in found.items():
        if date.fromisoformat(key[2]) >= truth.first_day(key[0]):
            expected = truth.half_hour.get(key, [0] * 48)
            if slots != expected:
                lines.append(f"{where} {key}: expected {expected}, found {slots}")
    return lines


def diff_redis(truth: Truth, client: Any) -> list[str]:
    """All of Redis, by a synchronous redis-py client: documents, groups, operators, as-of."""
    lines: list[str] = []
    as_of = {_text(k): _text(v) for k, v in client.hgetall("crm:as-of").items()}
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {"monthly": {}, "distribution": {}}
    for key in sorted(_text(k) for k in client.scan_iter("crm:{*}:*", count=1000)):
        match = re.fullmatch(r"crm:\{([^{}]*)\}:(monthly|distribution):(.*)", key, re.DOTALL)
        if not match:
            continue
        data = json.loads(client.get(key))
        if str(data.get("partition")) not in as_of:
            lines.append(f"Redis {key}: no as-of of partition {data.get('partition')!r} in {as_of}")
        found[match[2]][decoded(match[1]), decoded(match[3])] = stripped(data, f"Redis {key}", lines)
    for name, answer in (("monthly", truth.monthly_index), ("distribution", truth.charging_distribute)):
        for operator in truth.operators:
            for group in {"ALL"} | truth.groups_with_data(operator):
                lines += [] if (operator, group) in found[name] else [f"Redis: no {name} of {operator!r} {group!r}"]
        for (operator, group), data in found[name].items():
            lines += compare(answer(operator, group), data, f"Redis {name} {operator!r} {group!r}")
    for operator in truth.operators:
        groups = client.get(f"crm:{{{encoded(operator)}}}:groups")
        lines += compare(truth.groups(operator), groups and json.loads(groups), f"Redis groups {operator!r}")
    operators = {_text(k): json.loads(v) for k, v in client.hgetall("crm:operators").items()}
    return lines + compare(truth.operators, operators, "Redis operators")


def diff_clickhouse(truth: Truth, client: Any, database: str = "energy_smart_bi") -> list[str]:
    """The `_current` views, by a clickhouse_driver.Client."""
    names = [re.sub("_(.)", lambda found: found[1].upper(), column) for column in MONTHLY_COLUMNS]
    lines: list[str] = []
    monthly: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for operator, group, month, currency, *values in client.execute(
        f"SELECT operator_id, group_id, stat_month, currency, {', '.join(MONTHLY_COLUMNS)} "
        f"FROM {database}.ads_operation_crm_monthly_current"
    ):
        key = (operator, group, month.strftime("%Y-%m"), currency)
        if key in monthly or month.day != 1:
            lines.append(f"ClickHouse monthly {key}: twice, or not at the first day: {month}")
        monthly[key] = {
            name: f"{value:.{_digits(name, currency)}f}" if isinstance(value, Decimal) else value
            for name, value in zip(names, values, strict=True)
        }
    lines += _monthly_rows(truth, monthly, "ClickHouse monthly")
    days: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * 48)
    seen = set()
    for operator, group, day, slot, count in client.execute(
        f"SELECT operator_id, group_id, stat_date, slot, charge_count FROM {database}.ads_operation_crm_charging_distri_current"
    ):
        if (operator, group, day, slot) in seen:
            lines.append(f"ClickHouse half-hours {(operator, group, day, slot)}: twice")
        seen.add((operator, group, day, slot))
        days[operator, group, day.isoformat()][slot] = count
    return lines + _half_hours(truth, days, "ClickHouse half-hours")


def _digits(name: str, currency: str) -> int:
    """Digits after the point of a figure."""
    return DIGITS[currency] if name in MONEY else 3 if name in ENERGIES else 2


def diff_topics(truth: Truth, records: Mapping[str, Mapping[bytes | str, tuple[bytes | None, Headers]]]) -> list[str]:
    """The compacted results topics, {topic: {key: (value, headers)}}; see scenario.compacted."""
    lines: list[str] = []
    monthly: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for parts, value, where in _cells(records.get(MONTHLY_TOPIC, {}), lines):
        operator, group, month, currency = parts
        names = {"operatorId": operator, "groupId": group, "month": month, "currency": currency}
        names["timezone"] = truth.timezone(operator)
        if month >= truth.first_month(operator):
            lines += compare(names, {name: value.pop(name, None) for name in names}, where)
            monthly[operator, group, month, currency] = value
    days: dict[tuple[str, str, str], list[int]] = {}
    for parts, value, where in _cells(records.get(HALF_HOUR_TOPIC, {}), lines):
        operator, group, day = parts
        slots = value.pop("slots", [])
        names = {"operatorId": operator, "groupId": group, "date": day, "timezone": truth.timezone(operator)}
        if date.fromisoformat(day) >= truth.first_day(operator):
            lines += compare(names | {"total": sum(slots)}, value, where)
            days[operator, group, day] = slots
    for key, (value_bytes, _) in records.get(AS_OF_TOPIC, {}).items():
        data = json.loads(value_bytes or b"{}")
        if str(data.get("partition")) != _text(key) or not UTC_TIME.fullmatch(str(data.get("asOf"))):
            lines.append(f"{AS_OF_TOPIC} {key!r}: {value_bytes!r}")
    return lines + _monthly_rows(truth, monthly, MONTHLY_TOPIC) + _half_hours(truth, days, HALF_HOUR_TOPIC)


def _cells(
    topic: Mapping[bytes | str, tuple[bytes | None, Headers]], lines: list[str]
) -> Iterable[tuple[list[str], dict[str, Any], str]]:
    """(ids of the key, value without partition, asOf and version, where) of all records but tombstones."""
    for key, (value, headers) in topic.items():
        where = f"topic key {_text(key)!r}"
        lines += [f"{where}: {line}" for line in wrong_headers(_text(key), value, headers)]
        if value is not None:
            yield (
                [decoded(part) for part in _text(key).split("|")],
                stripped(json.loads(value), where, lines),
                where,
            )


def wrong_headers(key: str, value: bytes | None, headers: Headers) -> list[str]:
    """What CloudEvents 1.0 in binary mode asks of a record's headers."""
    found = {name: _text(text) for name, text in headers}
    lines = [
        f"header {name} is {found.get(name)!r}" for name in ("ce_id", "ce_source", "ce_type") if not found.get(name)
    ]
    if found.get("ce_specversion") != "1.0":
        lines.append(f"header ce_specversion is {found.get('ce_specversion')!r}")
    if value is not None and found.get("content-type") != "application/json":
        lines.append(f"header content-type is {found.get('content-type')!r}")
    if "ce_subject" in found and found["ce_subject"] != key:
        lines.append(f"header ce_subject is {found['ce_subject']!r}")
    return lines


def diff_http(
    truth: Truth, get: Callable[[str, dict[str, Any]], dict[str, Any]], operators: Iterable[str] = ()
) -> list[str]:
    """The four answers, by `get(path, body) -> data`: of these operators (default all), each of their groups, defaults and others."""
    lines: list[str] = []

    def ask(path: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
        lines.extend(compare(expected, get(f"/smart-bi/crm/{path}", body), f"HTTP {path} {body}"))

    def ask_document(path: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
        data = stripped(get(f"/smart-bi/crm/{path}", body), f"HTTP {path} {body}", lines)
        lines.extend(compare(expected, data, f"HTTP {path} {body}"))

    ask("operators", {}, truth.operators_answer())
    for operator in operators or sorted(truth.operators):
        own = {"operatorId": operator}
        ask("groups", own, truth.groups(operator))
        ask_document("monthlyIndex", own, truth.monthly_index(operator))
        ask_document("chargingDistribute", own, truth.charging_distribute(operator))
        end_date = truth.first_day(operator).isoformat()
        currencies = {row[3] for row in truth.monthly if row[0] == operator} | {"JPY"}
        for group in sorted({"ALL", "nobody"} | truth.groups_with_data(operator)):
            body = own | {"groupId": group}
            months = truth.settings.retention_months
            for currency in sorted(currencies):
                ask_document(
                    "monthlyIndex", body | {"months": months, "currency": currency},
                    truth.monthly_index(operator, group, months, None, currency),
                )  # fmt: skip
            first = truth.first_month(operator)
            ask_document(
                "monthlyIndex", body | {"months": 1, "endMonth": first}, truth.monthly_index(operator, group, 1, first)
            )
            days = truth.settings.distribution_days
            ask_document("chargingDistribute", body | {"days": days}, truth.charging_distribute(operator, group, days))
            ask_document(
                "chargingDistribute", body | {"days": 1, "endDate": end_date},
                truth.charging_distribute(operator, group, 1, end_date),
            )  # fmt: skip
    return lines


def diff_dead_letters(truth: Truth, records: Iterable[Record]) -> list[str]:
    """Exactly the bad records, as they came, by the records of the dead-letter topic (one may be there twice, the same)."""
    lines: list[str] = []
    found = {_text(record.key): record for record in records}
    expected = {f"{topic}/{partition}/{offset}": (topic, partition, offset) for topic, partition, offset in truth.bad}
    for key, place in expected.items():
        if key not in found:
            lines.append(f"dead letters: {key} missing: {truth.bad[place]}, {truth.sources[place].value!r}"[:300])
    for key, record in found.items():
        headers = {name: _text(value) for name, value in record.headers}
        if key not in expected:
            lines.append(f"dead letters: {key} is there, but can be used: {headers}, {record.value!r}"[:600])
            continue
        place, source = expected[key], truth.sources[expected[key]]
        if (record.value or b"") != (source.value or b"") or record.value is None:
            lines.append(f"dead letters: {key} came as {source.value!r}, is {record.value!r}"[:600])
        if headers.get("reason") not in truth.faults[place]:
            lines.append(
                f"dead letters: {key} reason {headers.get('reason')!r}, expected {truth.faults[place]}: {source.value!r}"[
                    :600
                ]
            )
        names = {"source-topic": place[0], "source-partition": str(place[1]), "source-offset": str(place[2])}
        lines += [
            f"dead letters: {key} header {name} is {headers.get(name)!r}"
            for name, text in names.items()
            if headers.get(name) != text
        ]
        source_key = next((value for name, value in record.headers if name == "source-key"), None)
        if (source_key or b"") != (source.key or b""):
            lines.append(f"dead letters: {key} source-key {source_key!r}, expected {source.key!r}")
        if not headers.get("detail"):
            lines.append(f"dead letters: {key} without detail")
        if not _is_time(headers.get("failed-at", "")):
            lines.append(f"dead letters: {key} failed-at {headers.get('failed-at')!r}")
    return lines


def _is_time(text: str) -> bool:
    """RFC 3339, or epoch milliseconds."""
    try:
        moment = datetime.fromtimestamp(int(text) / 1000, UTC) if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None


def versions_never_fall(records: Iterable[Record], partitions: int | None = None) -> list[str]:
    """Of all records of a results topic as they were read: per key, versions never fall, and a content has one version.

    With the topic's number of partitions, also that a key stands in the partition of its murmur2.
    """
    lines: list[str] = []
    by_key: dict[tuple[str, bytes], list[Record]] = defaultdict(list)
    for record in records:
        by_key[record.topic, record.key or b""].append(record)
    for (topic, key), own in by_key.items():
        if len({record.partition for record in own}) > 1:
            lines.append(f"{topic} {key!r}: in partitions {sorted({record.partition for record in own})}")
        if partitions and own[0].partition != (murmur2(key) & 0x7FFFFFFF) % partitions:
            lines.append(f"{topic} {key!r}: in partition {own[0].partition}, not of its murmur2")
        last: dict[str, Any] | None = None
        for record in sorted(own, key=lambda r: (r.partition, r.offset)):
            if record.value is None:
                continue
            data = json.loads(record.value)
            if last is not None and "version" in data:
                if data["version"] < last["version"]:
                    lines.append(f"{topic} {key!r}: version {last['version']} then {data['version']}")
                if data["version"] == last["version"] and data != last:
                    lines.append(f"{topic} {key!r}: version {data['version']} of two contents: {last}, {data}")
            last = data if "version" in data else None
    return lines


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's default partitioner computes it (seed 0x9747b28c), unsigned."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    value = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * factor & mask
        part = (part ^ part >> 24) * factor & mask
        value = (value * factor & mask) ^ part
    if len(data) > whole:
        value = (value ^ int.from_bytes(data[whole:], "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""
