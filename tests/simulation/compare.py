"""What the lanes hold, held against the oracle."""

from collections.abc import Iterable

from stream_app.domain.local_time import date_of
from stream_app.domain.report import figure_row, groups_data, operator_entry, shown_groups
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.partition.frozen_rows import CommittedRows
from tests.oracle import Truth


def differences(truth: Truth, views: Iterable[CommittedRows]) -> list[str]:
    """Every difference, as a line; empty cells must be zeros, and nothing may be missing."""
    out: list[str] = []
    monthly, half_hours, operators, groups = {}, {}, {}, {}
    for view in views:
        for name in view.operators():
            operator = view.operator(name)
            assert operator is not None
            operators[name] = operator_entry(name, operator)
            groups[name] = groups_data(shown_groups(view.groups(name)))
            for key, cell in view.scan_cells(MONTHLY, name):
                assert operator.currency in cell.payments, "always a row of the operator's own currency"
                for currency, sums in cell.payments.items():
                    row = figure_row(MONTHLY, cell, key.period, currency)
                    monthly[name, key.group, row.pop("month"), currency] = row
                    if not row["paymentCount"] and any(sums):
                        out.append(f"{key} {currency}: no payment, but {sums}")
            for day, slots in view.scan_cells(HALF_HOUR, name):
                half_hours[name, day.group, HALF_HOUR.period.text(day.period)] = slots.slots
                if day.period < operator.first_day:
                    out.append(f"{day} is not kept any more, {date_of(operator.first_day)} is the first day")
    for key, row in truth.monthly.items():
        if monthly.get(key) != row:
            out.append(f"monthly {key}: expected {row}, found {monthly.get(key)}")
    for key, row in monthly.items():
        if key not in truth.monthly and (row["paymentCount"] or row["receivedAmount"].strip("0.")):
            out.append(f"monthly {key}: expected nothing, found {row}")
        if (key[0], key[1], key[2]) not in {k[:3] for k in truth.monthly} and row["sessionCount"]:
            out.append(f"monthly {key}: expected no session, found {row}")
        if key[2] < truth.first_month(key[0]):
            out.append(f"monthly {key}: past retention")
    for place, slots in truth.half_hour.items():
        if half_hours.get(place) != slots:
            out.append(f"half-hours {place}: expected {slots}, found {half_hours.get(place)}")
    out += [f"half-hours {p}: expected nothing" for p, s in half_hours.items() if p not in truth.half_hour and any(s)]
    if operators != truth.operators:
        out.append(f"operators: expected {truth.operators}, found {operators}")
    for name in truth.operators:
        if groups.get(name) != truth.groups(name):
            out.append(f"groups of {name}: expected {truth.groups(name)}, found {groups.get(name)}")
    return out
