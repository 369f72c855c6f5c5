"""The report straight from raw orders in chDB, which is today's ClickHouse inside a process: a program, so that its memory is its own.

`raw_chdb.py FOLDER SECONDS`: makes the tables of FOLDER/*.parquet as FOLDER/create.json says, then asks the reports of FOLDER/reports.json in turn.
Prints how many it answered, and the answers of the first round.
"""

import json
import sys
import time
from pathlib import Path

from chdb.session import Session


def _main() -> None:
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    session = Session(str(folder / "chdb"))
    for statement in json.loads((folder / "create.json").read_text()):
        session.query(statement)
    for name in ("payments", "sessions"):
        session.query(f"INSERT INTO raw.{name} SELECT * FROM file('{folder / name}.parquet')")
        session.query(f"OPTIMIZE TABLE raw.{name} FINAL")
    reports = json.loads((folder / "reports.json").read_text())
    answers = [json.loads(str(session.query(report, "JSONCompact")))["data"] for report in reports]
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.query(reports[count % len(reports)], "JSONCompact")
        count += 1
    took = time.perf_counter() - started
    version = str(session.query("SELECT version()", "TSV")).strip()
    print(json.dumps({"count": count, "seconds": took, "answers": answers, "version": version}))


if __name__ == "__main__":
    _main()
