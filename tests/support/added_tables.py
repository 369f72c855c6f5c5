"""Tables of results that exist only in tests: one of other slots, one of other periods. What is made of tables works with them, or names one."""

from stream_app.domain.tables import DAY, MONTH, CountTable, FigureTable

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
WEEKDAY = CountTable(
    "weekday",
    "w",
    MONTH,
    lambda local: (local // 96 + 3) % 7,  # day 0 is a Thursday
    [{"weekday": name} for name in WEEKDAYS],
    document="by-weekday",
    path="chargingWeekdays",
    topic="weekday.v1",
    clickhouse_table="ads_operation_crm_charging_weekday",
    shown=2,
    meaning="Charging sessions by weekday.",
)
DAILY = FigureTable(
    "daily",
    "d",
    DAY,
    document="daily",
    path="dailyIndex",
    topic="daily.v1",
    clickhouse_table="ads_operation_crm_daily",
    shown=2,
    shown_max=40,
    meaning="Key figures by day.",
)
