"""The allow-lists of functions: scalar ones with their class, and aggregates as moment, order or listing.

Whatever is not here is refused. A function that could raise on some value is wrapped in ``TRY``: it gives NULL instead,
so that no message and no failure depends on a value.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.terms import NUMERIC, TEMPORAL, Shape


class Family(StrEnum):
    """What kind of argument a function takes. ``WHOLE``, ``WORDS``: a constant, written out."""

    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    SAME = "same"  # all arguments of one family, any
    WHOLE = "whole number"
    WORDS = "text constant"


def family(data_type: DataType | None) -> str:
    """Return the family in which values of ``data_type`` compare; NULL fits everywhere."""
    if data_type is None:
        return "null"
    if data_type in NUMERIC:
        return Family.NUMBER
    return Family.TIME if data_type in TEMPORAL else data_type.value


@dataclass(frozen=True)
class Scalar:
    """One scalar function. ``result`` ``None``: the type of the first argument."""

    name: str  # in DuckDB
    takes: tuple[Family, ...]
    result: DataType | None
    needed: int
    shape: Shape = Shape.OTHER
    may_fail: bool = False
    is_variadic: bool = False
    is_test: bool = False  # a condition on its first argument


def _scalar(
    name: str, *takes: Family, result: DataType | None = None, optional: int = 0, shape: Shape = Shape.OTHER,
    may_fail: bool = False, is_variadic: bool = False, is_test: bool = False,
) -> Scalar:  # fmt: skip
    return Scalar(name, takes, result, len(takes) - optional, shape, may_fail, is_variadic, is_test)


_N, _T, _D = Family.NUMBER, Family.TEXT, Family.TIME
_INT, _DEC, _TEXT, _BOOL = DataType.INTEGER, DataType.DECIMAL, DataType.TEXT, DataType.BOOLEAN

SCALARS: dict[str, Scalar] = {
    made.name: made
    for made in (
        _scalar("abs", _N, may_fail=True),
        _scalar("sign", _N, result=_INT),
        _scalar("floor", _N),
        _scalar("ceil", _N),
        _scalar("trunc", _N),
        _scalar("round", _N, Family.WHOLE, optional=1),
        _scalar("power", _N, _N, result=_DEC, may_fail=True),
        _scalar("sqrt", _N, result=_DEC, may_fail=True),
        _scalar("ln", _N, result=_DEC, may_fail=True),
        _scalar("log10", _N, result=_DEC, may_fail=True),
        _scalar("exp", _N, result=_DEC, may_fail=True),
        _scalar("least", Family.SAME, is_variadic=True),
        _scalar("greatest", Family.SAME, is_variadic=True),
        _scalar("nullif", Family.SAME, Family.SAME),
        _scalar("length", _T, result=_INT),
        _scalar("lower", _T),
        _scalar("upper", _T),
        _scalar("trim", _T, Family.WORDS, optional=1),
        _scalar("ltrim", _T, Family.WORDS, optional=1),
        _scalar("rtrim", _T, Family.WORDS, optional=1),
        _scalar("left", _T, Family.WHOLE),
        _scalar("right", _T, Family.WHOLE),
        _scalar("substring", _T, Family.WHOLE, Family.WHOLE, optional=1),
        _scalar("replace", _T, Family.WORDS, Family.WORDS),
        _scalar("concat", _T, is_variadic=True),
        _scalar("strpos", _T, Family.WORDS, result=_INT),
        _scalar("starts_with", _T, Family.WORDS, result=_BOOL, is_test=True),
        _scalar("ends_with", _T, Family.WORDS, result=_BOOL, is_test=True),
        _scalar("contains", _T, Family.WORDS, result=_BOOL, is_test=True),
        _scalar("year", _D, result=_INT, shape=Shape.AFFINE, may_fail=True),  # date rounding, written as a number
        _scalar("quarter", _D, result=_INT, may_fail=True),
        _scalar("month", _D, result=_INT, may_fail=True),
        _scalar("week", _D, result=_INT, may_fail=True),
        _scalar("day", _D, result=_INT, may_fail=True),
        _scalar("dayofweek", _D, result=_INT, may_fail=True),
        _scalar("dayofyear", _D, result=_INT, may_fail=True),
        _scalar("hour", _D, result=_INT, may_fail=True),
        _scalar("minute", _D, result=_INT, may_fail=True),
        _scalar("last_day", _D, result=DataType.DATE, shape=Shape.AFFINE, may_fail=True),
        _scalar("strftime", _D, Family.WORDS, result=_TEXT, may_fail=True),
    )
}

# How sqlglot names them: the keys of the arguments, in DuckDB's order.
PARSED: dict[type[exp.Expression], tuple[str, tuple[str, ...]]] = {
    exp.Abs: ("abs", ("this",)),
    exp.Sign: ("sign", ("this",)),
    exp.Floor: ("floor", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Trunc: ("trunc", ("this",)),
    exp.Round: ("round", ("this", "decimals")),
    exp.Pow: ("power", ("this", "expression")),
    exp.Sqrt: ("sqrt", ("this",)),
    exp.Ln: ("ln", ("this",)),
    exp.Exp: ("exp", ("this",)),
    exp.Least: ("least", ("this", "expressions")),
    exp.Greatest: ("greatest", ("this", "expressions")),
    exp.Nullif: ("nullif", ("this", "expression")),
    exp.Length: ("length", ("this",)),
    exp.Lower: ("lower", ("this",)),
    exp.Upper: ("upper", ("this",)),
    exp.Left: ("left", ("this", "expression")),
    exp.Right: ("right", ("this", "expression")),
    exp.Substring: ("substring", ("this", "start", "length")),
    exp.Replace: ("replace", ("this", "expression", "replacement")),
    exp.Concat: ("concat", ("expressions",)),
    exp.StrPosition: ("strpos", ("this", "substr")),
    exp.StartsWith: ("starts_with", ("this", "expression")),
    exp.EndsWith: ("ends_with", ("this", "expression")),
    exp.Contains: ("contains", ("this", "expression")),
    exp.Year: ("year", ("this",)),
    exp.Quarter: ("quarter", ("this",)),
    exp.Month: ("month", ("this",)),
    exp.Week: ("week", ("this",)),
    exp.Day: ("day", ("this",)),
    exp.DayOfWeek: ("dayofweek", ("this",)),
    exp.DayOfYear: ("dayofyear", ("this",)),
    exp.Hour: ("hour", ("this",)),
    exp.Minute: ("minute", ("this",)),
    exp.LastDay: ("last_day", ("this",)),
    exp.TimeToStr: ("strftime", ("this", "format")),
}
STEPS = frozenset({
    "sign", "floor", "ceil", "trunc", "round", "length", "strpos", "quarter", "month", "week", "day", "dayofweek",
    "dayofyear", "hour", "minute",
})  # fmt: skip
"""Functions that may have few values. A value that few units have is a condition on them."""
ANONYMOUS = {"prefix": "starts_with", "suffix": "ends_with", "weekday": "dayofweek", "log10": "log10"}
HARMLESS_FLAGS = frozenset({"ignore_nulls", "safe", "coalesce", "big_int", "_type"})
"""Marks of the parser that change nothing of the meaning in DuckDB."""

DATE_PARTS = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day", "dow": "dayofweek",
    "dayofweek": "dayofweek", "doy": "dayofyear", "dayofyear": "dayofyear", "hour": "hour", "minute": "minute",
}  # fmt: skip
ROUNDINGS = frozenset({"year", "quarter", "month", "week", "day", "hour"})
INTERVAL_UNITS = {"day": 366_000, "week": 52_000, "month": 12_000, "quarter": 4_000, "year": 1_000, "hour": 8_784_000}
"""Units of an interval with the most that may be added: beyond it dates overflow, which would be a condition."""
INTERVAL_DAYS = {"day": 1.0, "week": 7.0, "month": 31.0, "quarter": 92.0, "year": 366.0, "hour": 1 / 24}
SHIFT_DAYS_MAX = 1_000_000
"""All that is added to a date, one after the other: with a column's own ten thousand years it stays in the calendar."""
TEXT_CHARACTERS_MAX = 10_000
REPLACEMENT_CHARACTERS_MAX = 100
"""Texts that functions make longer are cut: a row that matches must not be able to use up the memory."""


class AggregateClass(StrEnum):
    """What an aggregate gives away."""

    COUNT = "count"
    MOMENT = "moment"
    ORDER = "order"
    LISTING = "listing"


@dataclass(frozen=True)
class Aggregate:
    """One aggregate: its name in DuckDB, its class, how many arguments it takes."""

    name: str
    kind: AggregateClass
    arguments: int = 1


_MOMENT, _ORDER, _LISTING = AggregateClass.MOMENT, AggregateClass.ORDER, AggregateClass.LISTING

AGGREGATES: dict[type[exp.Expression], Aggregate] = {
    exp.Count: Aggregate("count", AggregateClass.COUNT),
    exp.CountIf: Aggregate("count_if", AggregateClass.COUNT),
    exp.ApproxDistinct: Aggregate("approx_count_distinct", AggregateClass.COUNT),  # counted exactly
    exp.Sum: Aggregate("sum", _MOMENT),
    exp.Avg: Aggregate("avg", _MOMENT),
    exp.VariancePop: Aggregate("var_pop", _MOMENT),
    exp.Variance: Aggregate("var_samp", _MOMENT),
    exp.StddevPop: Aggregate("stddev_pop", _MOMENT),
    exp.StddevSamp: Aggregate("stddev_samp", _MOMENT),
    exp.Stddev: Aggregate("stddev_samp", _MOMENT),
    exp.CovarPop: Aggregate("covar_pop", _MOMENT, 2),
    exp.CovarSamp: Aggregate("covar_samp", _MOMENT, 2),
    exp.Corr: Aggregate("corr", _MOMENT, 2),
    exp.RegrSlope: Aggregate("regr_slope", _MOMENT, 2),
    exp.RegrIntercept: Aggregate("regr_intercept", _MOMENT, 2),
    exp.RegrR2: Aggregate("regr_r2", _MOMENT, 2),
    exp.Min: Aggregate("min", _ORDER),
    exp.Max: Aggregate("max", _ORDER),
    exp.Median: Aggregate("median", _ORDER),
    exp.Quantile: Aggregate("quantile", _ORDER),
    exp.PercentileCont: Aggregate("quantile_cont", _ORDER),
    exp.ApproxQuantile: Aggregate("quantile_cont", _ORDER),
    exp.PercentileDisc: Aggregate("quantile_disc", _ORDER),
    exp.AnyValue: Aggregate("any_value", _LISTING),
    exp.First: Aggregate("first", _LISTING),
    exp.Last: Aggregate("last", _LISTING),
    exp.ArgMax: Aggregate("arg_max", _LISTING, 2),
    exp.ArgMin: Aggregate("arg_min", _LISTING, 2),
    exp.ArrayAgg: Aggregate("list", _LISTING),
    exp.GroupConcat: Aggregate("string_agg", _LISTING),
    exp.Mode: Aggregate("mode", _LISTING),
}
ANONYMOUS_AGGREGATES = {
    "mean": Aggregate("avg", _MOMENT),
    "histogram": Aggregate("histogram", _LISTING),
    "listagg": Aggregate("string_agg", _LISTING),
    "max_by": Aggregate("arg_max", _LISTING, 2),
    "min_by": Aggregate("arg_min", _LISTING, 2),
}

WINDOWS: dict[type[exp.Expression], tuple[str, int, int]] = {
    exp.RowNumber: ("row_number", 0, 0),
    exp.Rank: ("rank", 0, 0),
    exp.DenseRank: ("dense_rank", 0, 0),
    exp.PercentRank: ("percent_rank", 0, 0),
    exp.CumeDist: ("cume_dist", 0, 0),
    exp.Ntile: ("ntile", 1, 1),
    exp.Lag: ("lag", 1, 3),
    exp.Lead: ("lead", 1, 3),
    exp.FirstValue: ("first_value", 1, 1),
    exp.LastValue: ("last_value", 1, 1),
    exp.NthValue: ("nth_value", 2, 2),
    exp.Sum: ("sum", 1, 1),
    exp.Avg: ("avg", 1, 1),
    exp.Count: ("count", 0, 1),
    exp.Min: ("min", 1, 1),
    exp.Max: ("max", 1, 1),
    exp.StddevSamp: ("stddev_samp", 1, 1),
    exp.Stddev: ("stddev_samp", 1, 1),
    exp.StddevPop: ("stddev_pop", 1, 1),
    exp.Variance: ("var_samp", 1, 1),
    exp.VariancePop: ("var_pop", 1, 1),
    exp.Median: ("median", 1, 1),
}
"""Window functions: name, fewest and most arguments."""
WINDOWS_OF_NUMBERS = frozenset({"sum", "avg", "stddev_samp", "stddev_pop", "var_samp", "var_pop"})
"""The engine adds up nothing else."""
WINDOWS_OF_A_ROW = frozenset({"lag", "lead", "first_value", "last_value", "nth_value", "min", "max", "sum"})
"""Windows that give a value of the type of their argument."""
WINDOW_TYPES = dict.fromkeys(("row_number", "rank", "dense_rank", "ntile", "count"), DataType.INTEGER)
WINDOWS_IN_ORDER = frozenset({
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value",
    "nth_value",
})  # fmt: skip
"""Windows that mean nothing without an ORDER BY."""

CAST_TYPES: dict[str, DataType] = {
    "TINYINT": DataType.INTEGER, "SMALLINT": DataType.INTEGER, "INT": DataType.INTEGER, "BIGINT": DataType.INTEGER,
    "INT128": DataType.INTEGER, "FLOAT": DataType.DECIMAL, "DOUBLE": DataType.DECIMAL, "DECIMAL": DataType.DECIMAL,
    "TEXT": DataType.TEXT, "VARCHAR": DataType.TEXT, "DATE": DataType.DATE, "TIMESTAMP": DataType.TIMESTAMP,
    "BOOLEAN": DataType.BOOLEAN,
}  # fmt: skip
WRITTEN_TYPES: dict[DataType, str] = {
    DataType.INTEGER: "BIGINT", DataType.DECIMAL: "DOUBLE", DataType.TEXT: "TEXT", DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP", DataType.BOOLEAN: "BOOLEAN",
}  # fmt: skip


def known_functions() -> str:
    """Return the names on the allow-lists, for a message."""
    aggregates = {made.name for made in AGGREGATES.values() if made.kind is not AggregateClass.LISTING}
    special = {"coalesce", "date_trunc", "date_diff", "extract", "cast"}
    return ", ".join(sorted(aggregates | special | set(SCALARS)))
