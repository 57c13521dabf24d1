"""Counts usage records on a Spark cluster. Run as a program by ``cluster``: a JSON request on standard input, rows on standard output.

It runs in an interpreter that has ``pyspark`` and imports nothing of ours.
"""

import json
import sys
from typing import Any

SETTINGS = {"spark.sql.session.timeZone": "UTC", "spark.sql.parquet.inferTimestampNTZ.enabled": "true"}

RETRIES = {"max_retries": 5, "initial_backoff": 200, "max_backoff": 5_000, "backoff_multiplier": 2.0}
"""A cluster that is away for longer than some ten seconds is away. Milliseconds."""


def main() -> None:
    """Count once."""
    from pyspark.sql.connect import functions as f  # noqa: PLC0415 - only this interpreter has it
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    asked = json.load(sys.stdin)
    session: Any = SparkSession.builder.remote(asked["remote"]).create()
    session.client.set_retry_policies([DefaultPolicy(**RETRIES)])
    try:
        for name, value in SETTINGS.items():
            session.conf.set(name, value)
        marks = [f.lit(mark).cast("timestamp_ntz") for mark in asked["marks"]]
        called_at = f.col("called_at")
        rows = session.read.parquet(*asked["urls"]).where((called_at >= marks[0]) & (called_at < marks[-1]))
        if asked["contract"]:
            rows = rows.where(f.col("contract") == f.lit(asked["contract"]))
        span = f.lit(0)
        for mark in marks[1:-1]:
            span += (called_at >= mark).cast("int")
        keys = (f.col("contract"), f.col("contract_digest"), span.alias("span"), f.col("result"), f.col("is_charged"))
        counted = rows.groupBy(*keys).agg(f.count(f.lit(1)).alias("records"))
        found = [list(row) for row in counted.collect()]
    finally:
        session.stop()
    json.dump(sorted(found), sys.stdout)


if __name__ == "__main__":
    main()
