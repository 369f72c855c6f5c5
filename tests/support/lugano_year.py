"""An invented year of charging sessions in the shape of the file that `config/maps/lugano.toml` is for, the same at every run.

The utility's file of 2017 is not part of the repository. What is kept of it is its shape: 28 columns, CRLF, rows in the order of their start
with ids that are not, and what an importer may trip over:

- dates month first in two spellings, `01.04.17` to the 12th of a month and `01/14/2017` from the 13th
- `Sconosciuto` ("unknown") instead of a customer's id; an empty group just there
- no amount where nothing was paid; amounts of up to two decimals, without the zeros at their end
- quoted commas, letters beyond ASCII, numbers that are shown in several units
- sessions that end in another month than they begin in, the last of them in the next year; sessions of a few seconds, and of more than a day
- customers who charge twice within a minute

Customers, stations, groups, times and amounts are drawn by a seeded generator. Beyond the file's shape, some customers change their group
within the year, so that the latest one has to be found.
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

SEED = 2017
UNKNOWN = "Sconosciuto"

# Rows that a test may count on.
ROWS = 5_000
ROWS_UNKNOWN = 480
ROWS_UNPAID = 570  # no amount
SESSIONS_BY_MONTH = (150, 80, 80, 90, 130, 430, 550, 500, 550, 780, 750, 910)
MONTHS_OVERRUN = 5  # the last ones: their last session runs into the next month

HEADER = [
    "ChargeLogId",
    "UserId",
    "anno",
    "BeginDate",
    "BeginHour",
    "EndDate",
    "EndHour",
    "Duration",
    "Durata ore",
    "PowerConsumption",
    "Consumo kWh",
    "Durata min",
    "Debit",
    "Net Payout",
    "Parking fee",
    "Penalty",
    "Tariffa",
    "quota elettricità",
    "Currency",
    "TransactionType",
    "ChargingStationId",
    "ChargingStationName",
    "Paese",
    "Stazione",
    "Plug",
    "PlugType",
    "UserOperatorName",
    "UserOperatorId",
]

_NEW_YEAR = datetime(2017, 1, 1)  # noqa: DTZ001 - local times without a zone, as the file has them
_GROUPS = (("Corrènte", "401", 8), ("via-e", "52", 2), ("Verde Lago", "7", 1))  # name, id, weight
_TOWNS = ("Pianlago", "Montebello", "Cà Nuova", "Riva San Teo", "Valdoro")
_HOUR_WEIGHTS = (3, 1, 1, 0, 1, 15, 4, 26, 80, 98, 97, 98, 104, 94, 95, 82, 81, 80, 61, 54, 39, 15, 6, 6)
_WEIGHED_GROUPS = [group[:2] for group in _GROUPS for _ in range(group[2])]


def write(path: Path) -> Path:
    """Writes the year to the path, and gives the path back."""
    draw = Random(SEED)
    starts = _starts(draw)
    customers = _customers(draw)
    unknown = set(draw.sample(range(ROWS), ROWS_UNKNOWN))
    over_midnight = _last_of_months(starts)
    paid_for_certain = over_midnight | {0}
    unpaid = set(draw.sample(sorted(set(range(ROWS)) - paid_for_certain), ROWS_UNPAID))
    ids = _ids(draw)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(HEADER)
        customer = customers[0]
        for number, start in enumerate(starts):
            if number == 0 or start != starts[number - 1]:
                customer = draw.choice(customers)
            name, group = (UNKNOWN, ("", "")) if number in unknown else (customer[0], _group_at(customer, start))
            minutes = 90 if number in over_midnight else _minutes(draw)
            amount = (
                None if number in unpaid else draw.choice((1, 2, 3, draw.randint(4, 900), draw.randint(400, 6_900)))
            )
            writer.writerow(_row(draw, ids[number], name, group, start, minutes, amount))
    return path


def _starts(draw: Random) -> list[datetime]:
    """In order. Every tenth is that of the one before; the last of some months is half an hour before midnight."""
    starts: list[datetime] = []
    for month, count in enumerate(SESSIONS_BY_MONTH, 1):
        first = _NEW_YEAR.replace(month=month)
        days = ((first + timedelta(days=31)).replace(day=1) - first).days
        of_month: list[datetime] = []
        while len(of_month) < count:
            if of_month and len(of_month) % 10 == 0:
                of_month.append(of_month[-1])
            else:
                hour = draw.choices(range(24), _HOUR_WEIGHTS)[0]
                of_month.append(first + timedelta(days=draw.randrange(days), hours=hour, minutes=draw.randrange(60)))
        of_month.sort()
        if month > 12 - MONTHS_OVERRUN:
            of_month[-1] = first + timedelta(days=days) - timedelta(minutes=30)
        starts += of_month
    return sorted(starts)


def _last_of_months(starts: list[datetime]) -> set[int]:
    """Numbers of the rows that run into the next month."""
    last = {start.month: number for number, start in enumerate(starts)}
    return {last[month] for month in range(13 - MONTHS_OVERRUN, 13)}


def _customers(draw: Random) -> list[tuple[str, list[tuple[datetime, tuple[str, str]]]]]:
    """(id, groups with the time from which they count). One of ten changes the group once, between June and October."""
    customers = []
    for name in draw.sample(range(1, 1_100), 450):
        groups = [(_NEW_YEAR, draw.choice(_WEIGHED_GROUPS))]
        if draw.random() < 0.1:
            groups.append((_NEW_YEAR + timedelta(days=draw.randrange(150, 300)), draw.choice(_WEIGHED_GROUPS)))
        customers.append((str(name), groups))
    return customers


def _group_at(customer: tuple[str, list[tuple[datetime, tuple[str, str]]]], when: datetime) -> tuple[str, str]:
    return [group for since, group in customer[1] if since <= when][-1]


def _ids(draw: Random) -> list[str]:
    """Unique, of six digits, growing but for neighbours."""
    ids = sorted(draw.sample(range(150_000, 299_999), ROWS))
    for place in range(0, ROWS - 1, 7):
        ids[place], ids[place + 1] = ids[place + 1], ids[place]
    return [str(each) for each in ids]


def _minutes(draw: Random) -> int:
    """How long a session takes: often next to nothing, a few times more than a day."""
    return draw.choice(
        (0, 1, *(draw.randint(2, 240) for _ in range(3)), draw.randint(2, 2_500 if draw.random() < 0.05 else 240))
    )


def _row(
    draw: Random, log_id: str, customer: str, group: tuple[str, str], start: datetime, minutes: int, rappen: int | None
) -> list[str]:
    end = start + timedelta(minutes=minutes)
    seconds = minutes * 60 + draw.randrange(60)
    watt_hours = 0 if draw.random() < 0.15 else draw.randint(1, 60 + minutes * 120)
    station = draw.randrange(40)
    town = _TOWNS[station % len(_TOWNS)]
    station_name = f"N2 - {station:02d} - VIA {'ABCDEFGH'[station % 8]}. ROSSI"
    fee = _francs(draw.randrange(60)) if rappen else ""
    by_card = "Anderer" if rappen is None else draw.choice(("RFID", "RFID", "RFID", "App"))
    return [
        log_id,
        customer,
        "2017",
        *_date_and_hour(start),
        *_date_and_hour(end),
        str(seconds),
        f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}",
        str(watt_hours),
        f"{round(watt_hours / 1000)} kWh",
        f"{(_NEW_YEAR + timedelta(seconds=seconds)).strftime('%I:%M:%S %p').removeprefix('0')}",
        "" if rappen is None else _francs(rappen),
        "" if rappen is None else _francs(rappen - rappen // 10),
        fee,
        fee if draw.random() < 0.2 else "",
        draw.choice(("0.42", "0", "0.22", "0.5")),
        _francs(watt_hours // 50),
        "CHF",
        "Hubject Roaming" if customer == UNKNOWN and rappen else by_card,
        str(1_800 + station),
        station_name,
        town,
        f"{station_name}, {town}",
        draw.choice(("Destra", "Sinistra", "1")),
        draw.choice(("Mode3_Type2_Plug", "Mode3_Type1_Plug", "Mode1_T23")),
        *group,
    ]


def _date_and_hour(when: datetime) -> tuple[str, str]:
    """Month first, and spelled in one of two ways."""
    return when.strftime("%m.%d.%y" if when.day <= 12 else "%m/%d/%Y"), when.strftime("%H:%M")


def _francs(rappen: int) -> str:
    """100 -> "1", 150 -> "1.5", 155 -> "1.55"."""
    return f"{rappen / 100:.2f}".rstrip("0").rstrip(".")
