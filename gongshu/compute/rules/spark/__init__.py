"""A governed query in Spark's dialect: the same stages and the same final statement, rewritten node by node.

The gate writes DuckDB's SQL. Here its text is read again, every expression gets a kind (whole number, decimal, double, text …), and
each construct is written so that Spark gives what DuckDB gives, NULLs, infinities and rounding included. What has no rule
here is refused by name: nothing is passed on in the hope that it means the same.

Spark runs it with ANSI mode off: no operation on a value raises. Where DuckDB gives NULL or infinity that is written out,
and casts are TRY_CAST, so that an overflow gives NULL and never a wrapped number.
"""

from gongshu.compute.rules.spark.measured import MEASURED, beside, decide_measured, measurements
from gongshu.compute.rules.spark.statement import SPARK_OPERATORS, decide_spark

__all__ = ["MEASURED", "SPARK_OPERATORS", "beside", "decide_measured", "decide_spark", "measurements"]
