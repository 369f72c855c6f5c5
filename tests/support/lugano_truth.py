"""What the year of `lugano_year` must give, computed in Polars straight from the CSV. Shares no code with the importer or the domain.

The file's times are local times of the operator, so months, dates and slots are read off them without any zone.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import polars as pl

UNKNOWN = "Sconosciuto"

Month = dict[str, str | int]


@dataclass(frozen=True)
class LuganoTruth:
    """The year: sessions with `day`, `slot`, `start_month`, `paid_month`, `rappen`, `customer`, `group`."""

    rows: pl.DataFrame
    groups: list[str]  # by id, ALL first
    months: dict[tuple[str, str], Month]  # (group, "2017-01"): the contract's fields but `month`

    def slots(self, group: str, first_date: date | str, last_date: date | str) -> list[int]:
        """Sessions by slot of the dates from first to last, both included."""
        first, last = (date.fromisoformat(str(day)) for day in (first_date, last_date))
        counts = _of(self.rows, group).filter(pl.col("day").is_between(first, last)).group_by("slot").len()
        by_slot = dict(counts.iter_rows())
        return [by_slot.get(slot, 0) for slot in range(48)]


def truth(csv_path: Path) -> LuganoTruth:
    """Computed anew. Fails when the file is not there."""
    rows = _read(csv_path)
    groups = ["ALL", *sorted(rows["group"].drop_nulls().unique().to_list())]
    all_months = sorted({*rows["start_month"].to_list(), *rows["paid_month"].drop_nulls().to_list()})
    months = {(group, month): _month(_of(rows, group), month) for group in groups for month in all_months}
    return LuganoTruth(rows, groups, months)


def _read(csv_path: Path) -> pl.DataFrame:
    raw = pl.read_csv(csv_path, infer_schema=False)
    known = pl.when(pl.col("UserId") != UNKNOWN).then(pl.col("UserId"))
    rows = raw.select(
        known.alias("customer"),
        pl.col("UserOperatorName").alias("shown_group"),
        _time("BeginDate", "BeginHour").alias("start"),
        _time("EndDate", "EndHour").alias("end"),
        pl.col("Debit").cast(pl.Decimal(12, 4)).alias("francs"),
        pl.col("PowerConsumption").cast(pl.Int64).alias("watt_hours"),
    )
    assert rows["start"].null_count() == rows["end"].null_count() == 0
    latest = (
        rows.filter(pl.col("customer").is_not_null() & pl.col("shown_group").is_not_null())
        .sort("start", maintain_order=True)
        .group_by("customer")
        .agg(pl.col("shown_group").last().alias("group"))
    )
    rows = rows.join(latest, on="customer", how="left").with_columns(
        pl.col("start").dt.date().alias("day"),
        (pl.col("start").dt.hour().cast(pl.Int32) * 2 + pl.col("start").dt.minute() // 30).alias("slot"),
        pl.col("start").dt.strftime("%Y-%m").alias("start_month"),
        pl.when(pl.col("francs").is_not_null()).then(pl.col("end").dt.strftime("%Y-%m")).alias("paid_month"),
        (pl.col("francs") * 100).cast(pl.Int64).alias("rappen"),
    )
    assert rows.filter(pl.col("rappen").cast(pl.Decimal(12, 4)) != pl.col("francs") * 100).is_empty()
    return rows


def _time(date_column: str, hour_column: str) -> pl.Expr:
    """Both spellings are month first."""
    text = pl.concat_str(pl.col(date_column), pl.lit(" "), pl.col(hour_column))
    spellings = ("%m.%d.%y %H:%M", "%m/%d/%Y %H:%M")
    return pl.coalesce([text.str.to_datetime(spelling, strict=False) for spelling in spellings])


def _of(rows: pl.DataFrame, group: str) -> pl.DataFrame:
    return rows if group == "ALL" else rows.filter(pl.col("group") == group)


def _month(rows: pl.DataFrame, month: str) -> Month:
    paid = rows.filter(pl.col("paid_month") == month)
    started = rows.filter(pl.col("start_month") == month)
    anonymous_paid, anonymous_started = (part.filter(pl.col("customer").is_null()) for part in (paid, started))
    received, anonymous = int(paid["rappen"].sum()), int(anonymous_paid["rappen"].sum())
    payers = paid.filter(pl.col("rappen") > 0)["customer"].drop_nulls().n_unique()
    chargers = started["customer"].drop_nulls().n_unique()
    watt_hours, anonymous_watt_hours = (int(part["watt_hours"].sum()) for part in (started, anonymous_started))
    return {
        "receivedAmount": _two_digits(received, 100),
        "discountAmount": "0.00",
        "refundedAmount": "0.00",
        "paymentCount": paid.height,
        "payingCustomers": payers,
        "perCapitaPayment": _two_digits(received - anonymous, 100 * payers),
        "sessionCount": started.height,
        "chargingCustomers": chargers,
        "perCapitaFrequency": _two_digits(started.height - anonymous_started.height, chargers),
        "energyKwh": _digits(watt_hours, 1000, 3),
        "perCapitaEnergy": _digits(watt_hours - anonymous_watt_hours, 1000 * chargers, 3),
        "anonymousAmount": _two_digits(anonymous, 100),
        "anonymousSessionCount": anonymous_started.height,
        "anonymousEnergyKwh": _digits(anonymous_watt_hours, 1000, 3),
    }


def _two_digits(numerator: int, denominator: int) -> str:
    return _digits(numerator, denominator, 2)


def _digits(numerator: int, denominator: int, digits: int) -> str:
    quotient = Decimal(numerator) / denominator if denominator else Decimal(0)
    return str(quotient.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
