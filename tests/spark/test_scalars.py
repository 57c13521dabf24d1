"""Every scalar function and operator, over values at the edges: Spark gives what DuckDB gives."""

import duckdb
import pytest

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use
from tests.compared import Comparison
from tests.governed import THRESHOLDS

TYPES = {
    "n": DataType.INTEGER, "i": DataType.INTEGER, "j": DataType.INTEGER, "d": DataType.DECIMAL, "e": DataType.DECIMAL,
    "t": DataType.TEXT, "s": DataType.TEXT, "z": DataType.TEXT, "b": DataType.BOOLEAN, "day": DataType.DATE,
    "other": DataType.DATE, "moment": DataType.TIMESTAMP, "since": DataType.TIMESTAMP,
}  # fmt: skip
WRITTEN = {
    "n": "BIGINT", "i": "BIGINT", "j": "BIGINT", "d": "DECIMAL(18, 4)", "e": "DECIMAL(38, 10)", "t": "VARCHAR", "s": "VARCHAR",
    "z": "VARCHAR", "b": "BOOLEAN", "day": "DATE", "other": "DATE", "moment": "TIMESTAMP", "since": "TIMESTAMP",
}  # fmt: skip
EDGES = Relation(
    "edges", ResourceId("edges"), tuple(RelationColumn(name, kind) for name, kind in TYPES.items()),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(Use)) for name in TYPES), ()),
)  # fmt: skip
VALUES = {
    "i": ["0", "1", "-1", "7", "-7", "10", "999", "-12345", "9223372036854775807", "-9223372036854775808", "4503599627370497", None],
    "j": ["3", "0", "-3", "2", None, "-2", "1", "9223372036854775807", "5"],
    "d": ["0", "0.5", "-0.5", "1.5", "2.5", "-2.5", "2.675", "99999999999999.9999", "-0.0001", "1234.5678", "1.005", None],
    "e": ["0", "0.1", "-3.3333333333", "1234567890123456789012345678.0123456789", "5", "2", None],
    "t": ["", " ", "a", "  ab ", "\u3000中文\u00a0", "héllo wörld", "😀x😀", "Straße", "a%b_c", "back\\slash", "it's", "${x}", "tab\there", "line\nfeed", "ABC", "中华人民共和国", None],
    "s": ["12", " 12 ", "+12", "-12", "1.5", "2.5", "-1.5", "1e3", "1_000", "", "abc", "12abc", ".5", "5.", "inf", "NaN", "1e400", "99999999999999999999", "true", "T", "no", "TRUE ", "0", "1", None],
    "z": ["2020-01-02", "2020-1-2", " 2020-01-02 ", "2020/01/02", "2020-13-01", "2020-02-30", "2020-01-02 10:00", "2020-01-02 10:00:00", "2020-01-02T10:00:00Z", "2020-01-02 10:00:00.123456", "12020-01-01", "2020", "", "x", " 2020-01-02", "2020-01-02 ", "2020-01-02  10:00", "2020-01-02 10:60", "2020-01-02 9:5:7 Z ", "2020 01 02", "2020-01/02", None],
    "b": ["true", "false", None],
    "day": ["2020-01-31", "2020-02-29", "1999-12-31", "2021-01-03", "2021-01-04", "1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31", "2024-12-30", None],
    "other": ["2020-03-01", "2019-02-28", "2000-01-01", None, "2021-12-31", "2024-01-01", "1583-01-01"],
    "moment": ["2020-01-31 10:59:59.999999", "2020-02-29 00:00:00", "1999-12-31 23:59:59", "2021-01-03 12:30:00.5", "1969-12-31 23:00:00", None, "2024-12-30 01:02:03.000004"],
    "since": ["2020-01-31 11:00:00", "2019-12-31 00:00:01", None, "2021-01-04 00:00:00", "1970-01-01 00:00:00"],
}  # fmt: skip
ROWS = 180

EXPRESSIONS = {
    "whole numbers": [
        "abs(i)", "sign(i)", "floor(i)", "ceil(i)", "trunc(i)", "round(i)", "round(i, -2)", "-i", "i + j", "i - j", "i * j",
        "i * i * i", "i / j", "i // j", "i % j", "i // 2", "i % 7", "i / 3", "least(i, j)", "greatest(i, j, 4)", "nullif(i, j)",
        "coalesce(i, j, 0)", "i + 1.5", "i * 0.25", "i / 0", "i % 0", "power(i, 2)", "power(2, j)", "sqrt(i)", "ln(i)", "log10(i)",
        "exp(j)", "i > j", "i = j", "i IS DISTINCT FROM j", "i BETWEEN -5 AND 1000", "i IN (1, 7, 999)", "i NOT IN (1, 7)",
        "i IS NULL", "CASE WHEN i > 0 THEN i ELSE -1 END", "if(i > j, i, j)", "CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END",
    ],
    "decimals": [
        "abs(d)", "sign(d)", "floor(d)", "ceil(d)", "trunc(d)", "round(d)", "round(d, 2)", "round(d, -2)", "-d", "d + i", "d * 2",
        "d / 3", "d / 0", "d % 2", "d // 2", "d - e", "e * 2", "least(d, 1.5)", "greatest(d, e)", "nullif(d, 2.5)", "coalesce(d, 0)",
        "power(d, 2)", "sqrt(d)", "ln(d)", "log10(d)", "exp(least(d, 100))", "d > 1.5", "d = 2.5", "d > i", "d < e", "d IN (0.5, 2.5)",
        "floor(e)", "ceil(e)", "round(e, 3)", "trunc(e)", "floor(d / 3)", "ceil(d / 3)", "trunc(d / 3)", "round(d / 3, 2)",
        "round(d / 3, -1)", "floor(power(i, 3))", "CASE WHEN d > 1 THEN d ELSE i END", "sqrt(-1 * d) > 1", "d / 0 > 1",
    ],
    "casts of numbers": [
        "CAST(i AS INTEGER)", "CAST(i AS SMALLINT)", "CAST(i AS TINYINT)", "CAST(i AS DOUBLE)", "CAST(i AS DECIMAL(18, 2))", "CAST(i AS BOOLEAN)",
        "CAST(i AS VARCHAR)", "CAST(d AS BIGINT)", "CAST(d AS DOUBLE)", "CAST(d AS DECIMAL(10, 1))", "CAST(d AS VARCHAR)", "CAST(d AS BOOLEAN)",
        "CAST(d / 3 AS BIGINT)", "CAST(d / 2 AS INTEGER)", "CAST(d / 3 AS DECIMAL(18, 3))", "CAST(i * 1.0 AS BIGINT)", "CAST(b AS INTEGER)",
        "CAST(b AS VARCHAR)", "CAST(2.5 AS BIGINT)", "CAST(i / 2 AS BIGINT)", "TRY_CAST(e AS DECIMAL(18, 4))", "CAST(i AS HUGEINT) * 10",
    ],
    "texts": [
        "length(t)", "lower(t)", "trim(t)", "ltrim(t)", "rtrim(t)", "trim(t, 'ab ')", "ltrim(t, 'h')", "rtrim(t, 'd')", "left(t, 2)", "left(t, 0)",
        "right(t, 2)", "left(t, -2)", "right(t, -2)", "substring(t, 2)", "substring(t, 2, 3)", "substring(t, 0, 2)", "substring(t, -2)",
        "substring(t, -3, 2)", "substring(t, -100, 2)", "replace(t, 'l', 'LL')", "replace(t, '\\', '/')", "t || 'x'", "concat(t, s)",
        "t || t || '''' || '\\'", "strpos(t, 'l')", "strpos(t, '')", "starts_with(t, 'a')", "ends_with(t, 'd')", "contains(t, '中')", "contains(t, '%')",
        "t LIKE 'a%'", "t LIKE '%\\%'", "t LIKE 'a\\%b%'", "t LIKE '_😀%' OR t LIKE '😀_😀'", "t LIKE '%\n%'", "t ILIKE 'ab%'", "t ILIKE '%HÉL%'",
        "t NOT LIKE '%b%'", "t = 'it''s'", "t IN ('a', '${x}', 'back\\slash')", "t < 'b'", "t > s", "coalesce(t, s, 'none')", "nullif(t, 'a')",
        "least(t, s)", "greatest(t, 'm')", "t = '中华人民共和国'", "CASE WHEN t = 'a\tb' THEN 1 WHEN t = 'tab\there' THEN 2 END", "length(t) * 2",
    ],
    "casts of texts": [
        "TRY_CAST(s AS BIGINT)", "TRY_CAST(s AS INTEGER)", "TRY_CAST(s AS HUGEINT)", "TRY_CAST(s AS DOUBLE)", "TRY_CAST(s AS DECIMAL(18, 2))",
        "TRY_CAST(s AS BOOLEAN)", "TRY_CAST(z AS DATE)", "TRY_CAST(z AS TIMESTAMP)", "CAST(t AS BIGINT)", "CAST('2020-02-30' AS DATE)",
        "DATE '2020-02-29'", "TIMESTAMP '2020-02-29 10:00:00'",
    ],
    "dates": [
        *(f"{part}({column})" for part in ("year", "quarter", "month", "week", "day", "dayofweek", "dayofyear", "hour", "minute") for column in ("day", "moment")),
        *(f"date_trunc('{unit}', {column})" for unit in ("year", "quarter", "month", "week", "day", "hour") for column in ("day", "moment")),
        *(f"date_diff('{unit}', other, day)" for unit in ("year", "quarter", "month", "week", "day")),
        *(f"date_diff('{unit}', since, moment)" for unit in ("year", "quarter", "month", "week", "day", "hour")),
        "day - other", "day + INTERVAL 1 MONTH", "day - INTERVAL 30 DAY", "day + INTERVAL 2 WEEK", "day + INTERVAL 1 QUARTER", "day + INTERVAL 5 HOUR",
        "moment + INTERVAL 1 YEAR", "moment - INTERVAL 5 HOUR", "last_day(day)", "last_day(moment)", "extract(year FROM day)", "day > other", "day = DATE '2020-02-29'",
        "moment > since", "moment >= day", "day IN ('2020-01-31', '1970-01-01')", "least(day, other)", "greatest(moment, since)", "coalesce(day, other)",
        "CAST(day AS TIMESTAMP)", "CAST(moment AS DATE)", "CAST(day AS VARCHAR)", "CAST(moment AS VARCHAR)",
        "strftime(moment, '%Y-%m-%d %H:%M:%S')", "strftime(moment, '%y%j %B %b %A %a %p %I%%')", "strftime(moment, 'it''s %Y 年')",
    ],
    "truths": [
        "b", "NOT b", "b AND i > 0", "b OR i > 0", "b IS TRUE", "b IS FALSE", "b IS NOT TRUE", "b IS NULL", "b = (i > 0)", "coalesce(b, i > 3)",
        "CASE WHEN b THEN 1 WHEN NOT b THEN 0 END", "1 = 1", "NULL", "TRUE", "'x'", "1.50", "0.1 + 0.2", "7 / 2", "7 // 2", "-7 % 3",
    ],
}  # fmt: skip


def edges() -> duckdb.DuckDBPyConnection:
    """Make the table: each column walks through its values at a pace of its own, so that they meet in many pairs."""
    engine = duckdb.connect()
    engine.execute(f"CREATE TABLE edges ({', '.join(f'{name} {WRITTEN[name]}' for name in TYPES)})")
    rows = [
        [str(row), *(values[row * (place + 1) % len(values)] for place, values in enumerate(VALUES.values()))]
        for row in range(ROWS)
    ]
    engine.executemany(f"INSERT INTO edges VALUES ({', '.join('?' for _ in TYPES)})", rows)
    return engine


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_scalar_expressions_are_the_same_at_the_edges(comparison: Comparison, kind: str) -> None:
    comparison.hold(edges(), ["edges"])
    items = ", ".join(f'{text} AS "{position}: {_plain(text)}"' for position, text in enumerate(EXPRESSIONS[kind]))
    decision = decide_query((EDGES,), THRESHOLDS, f"SELECT n, {items} FROM edges")
    assert isinstance(decision, Permitted), [(r.code, dict(r.facts)) for r in decision.reasons]
    assert comparison.differences(decision.value, (EDGES,)) == []


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter != '"' else "?" for letter in text)
