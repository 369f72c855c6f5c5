"""The SQL of small tables, word by word; tests/sinks/test_sql.py runs the statements of ours."""

from stream_app.domain.figures import COUNT, KWH, MONEY, PAYMENTS, RATIO, SESSIONS, Count, Figure, Unit
from stream_app.domain.tables import DAY, MONTH, CountTable, FigureTable
from stream_app.sinks import clickhouse_statements as statements

FIGURES = [
    Figure("receivedAmount", MONEY, PAYMENTS, ""),
    Count("paymentCount", PAYMENTS, ""),
    Figure("perCapitaFrequency", RATIO, SESSIONS, ""),
    Figure("energyKwh", KWH, SESSIONS, "", since=2),
]
NAMES = {"document": "", "path": "", "topic": "", "shown": 1, "meaning": ""}
BY_DAY = FigureTable("figures", "f", DAY, clickhouse_table="by_day", shown_max=1, **NAMES)
BY_MONTH = CountTable("counts", "c", MONTH, int, [{}] * 31, clickhouse_table="by_month", **NAMES)


def test_a_table_of_figures():
    assert statements.create_table(BY_DAY, "db", FIGURES) == (
        "CREATE TABLE IF NOT EXISTS db.by_day\n"
        "(\n"
        "    operator_id String,\n"
        "    group_id String,\n"
        "    stat_date Date,\n"
        "    currency String,\n"
        "    received_amount Decimal(38, 4),\n"
        "    payment_count UInt64,\n"
        "    per_capita_frequency Decimal(18, 2),\n"
        "    energy_kwh Decimal(38, 3),\n"
        "    partition UInt16,\n"
        "    as_of DateTime('UTC'),\n"
        "    version UInt64\n"
        ")\n"
        "ENGINE = ReplacingMergeTree(version)\n"
        "PARTITION BY toYYYYMM(stat_date)\n"
        "ORDER BY (operator_id, group_id, stat_date, currency)"
    )


def test_a_table_of_counts():
    assert statements.create_table(BY_MONTH, "db", FIGURES) == (
        "CREATE TABLE IF NOT EXISTS db.by_month\n"
        "(\n"
        "    operator_id String,\n"
        "    group_id String,\n"
        "    stat_month Date,\n"
        "    slot UInt8,\n"
        "    charge_count UInt64,\n"
        "    partition UInt16,\n"
        "    as_of DateTime('UTC'),\n"
        "    version UInt64\n"
        ")\n"
        "ENGINE = ReplacingMergeTree(version)\n"
        "PARTITION BY toYYYYMM(stat_month)\n"
        "ORDER BY (operator_id, group_id, stat_month, slot)"
    )


def test_a_view():
    assert statements.create_view(BY_MONTH, "db") == (
        "CREATE VIEW IF NOT EXISTS db.by_month_current AS\n"
        "SELECT\n"
        "    operator_id,\n"
        "    group_id,\n"
        "    stat_month,\n"
        "    slot,\n"
        "    charge_count,\n"
        "    partition,\n"
        "    as_of,\n"
        "    version\n"
        "FROM db.by_month FINAL\n"
        "WHERE operator_id != 'crm-stats.probe'"
    )
    assert statements.drop_view(BY_MONTH, "db") == "DROP TABLE IF EXISTS db.by_month_current"


def test_columns_are_added_where_they_stand_in_a_table_made_today():
    added = statements.add_columns(BY_DAY, "db", ["energy_kwh", "received_amount", "payment_count"], FIGURES)
    assert added == (
        "ALTER TABLE db.by_day\n"
        "    ADD COLUMN received_amount Decimal(38, 4) AFTER currency,\n"
        "    ADD COLUMN payment_count UInt64 AFTER received_amount,\n"
        "    ADD COLUMN energy_kwh Decimal(38, 3) AFTER per_capita_frequency"
    )


def test_an_insert_names_its_columns():
    assert statements.insert(BY_MONTH, "db") == (
        "INSERT INTO db.by_month\n"
        "(\n"
        "    operator_id,\n"
        "    group_id,\n"
        "    stat_month,\n"
        "    slot,\n"
        "    charge_count,\n"
        "    partition,\n"
        "    as_of,\n"
        "    version\n"
        ")\n"
        "SELECT\n"
        "    operator_id,\n"
        "    group_id,\n"
        "    stat_month,\n"
        "    toUInt8(slot - 1),\n"
        "    charge_count,\n"
        "    partition,\n"
        "    as_of,\n"
        "    version\n"
        "FROM cells\n"
        "ARRAY JOIN charge_counts AS charge_count, arrayEnumerate(charge_counts) AS slot"
    )
    names = ["operator_id", "group_id", "stat_month", "charge_counts", "partition", "as_of", "version"]
    assert [name for name, _ in statements.sent(BY_MONTH)] == names
    head, _, values = statements.insert(BY_DAY, "db").rpartition(")\n")
    assert (
        head
        == "INSERT INTO db.by_day\n(\n" + ",\n".join(f"    {name}" for name, _ in statements.columns(BY_DAY)) + "\n"
    )
    assert (values, statements.sent(BY_DAY)) == ("VALUES", [])


def test_sums_and_reads():
    assert statements.sum_rows(BY_MONTH, "db") == (
        "SELECT\n"
        "    operator_id,\n"
        "    arrayCount(first -> stat_month >= toDate(first), %(firsts)s) AS kept_by,\n"
        "    count() AS row_count,\n"
        "    sum(version) AS versions,\n"
        "    sum(charge_count)\n"
        "FROM db.by_month FINAL\n"
        "WHERE partition = %(partition)s AND stat_month >= toDate(%(first)s)\n"
        "GROUP BY operator_id, kept_by"
    )
    assert statements.read_counts(BY_MONTH, "db") == (
        "SELECT\n"
        "    slot,\n"
        "    sumIf(charge_count, stat_month BETWEEN toDate(%(from)s) AND toDate(%(to)s)) AS charges,\n"
        "    max(version) AS newest\n"
        "FROM db.by_month FINAL\n"
        "WHERE operator_id = %(operator)s AND group_id = %(group)s AND stat_month >= toDate(%(first)s)\n"
        "GROUP BY slot"
    )
    own = "".join(f"    {figure.column},\n" for figure in statements.stored_figures())
    assert statements.read_figures(BY_DAY, "db") == (
        f"SELECT\n    stat_date,\n    currency,\n{own}"
        "    toUnixTimestamp(as_of) AS as_of_seconds,\n"
        "    version\n"
        "FROM db.by_day FINAL\n"
        "WHERE operator_id = %(operator)s AND group_id = %(group)s AND stat_date >= toDate(%(first)s)"
    )


def test_a_unit_has_its_type():
    of = {MONEY: "Decimal(38, 4)", COUNT: "UInt64", RATIO: "Decimal(18, 2)", KWH: "Decimal(38, 3)"}
    assert {unit: statements.column_type(unit) for unit in of} == of
    assert statements.column_type(Unit("hours", 1)) == "Decimal(38, 1)"
    assert statements.column_type(Unit("minutes", 0)) == "UInt64"
