"""TRY_CAST as DuckDB means it: halves round, spellings of numbers and dates are DuckDB's, whatever does not fit is NULL."""

from collections.abc import Callable

from sqlglot import exp

from gongshu.compute.rules.spark.kinds import Kind, UnwritableError, Written, call, either, try_cast, words

Again = Callable[[exp.Expression], exp.Expression]
"""Copies a part that has to stand twice, and counts what was copied."""

NUMBER = r"^\s*[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d+)?\s*$"
SPECIAL = r"^\s*[-+]?(?i:inf|infinity|nan)\s*$"
DAY = r"(\d{4,6})([-/\\ ])(\d{1,2})\2(\d{1,2})"
TIME = r"(\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d{1,6})?)?)\d*"
CLOCK = rf"[ T]\s*{TIME}(?:\s*Z)?\s*"
DATE, STAMP = rf"^\s*{DAY}(?:\s*|{CLOCK})$", rf"^\s*{DAY}(?:{CLOCK})?$"
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")

WHOLE_TYPES = {"TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INT", "BIGINT": "BIGINT", "UBIGINT": "BIGINT"}
BEYOND = "9223372036854775808D"
WHOLE_MAX_TYPE = "DECIMAL(38, 0)"


def target_of(to: exp.Expression) -> tuple[str, Kind]:
    """Return the name in Spark and the kind of a type of DuckDB."""
    name = to.this.name if isinstance(to.this, exp.DType) else str(to.this)
    if name in WHOLE_TYPES:
        return WHOLE_TYPES[name], Kind.INTEGER
    if name == "INT128":
        return WHOLE_MAX_TYPE, Kind.INTEGER
    if name == "DECIMAL":
        sizes = [str(size.this.this) for size in to.expressions] or ["18", "3"]
        return f"DECIMAL({', '.join(sizes)})", Kind.DECIMAL
    known = {
        "FLOAT": ("FLOAT", Kind.DOUBLE), "DOUBLE": ("DOUBLE", Kind.DOUBLE), "TEXT": ("STRING", Kind.TEXT),
        "VARCHAR": ("STRING", Kind.TEXT), "DATE": ("DATE", Kind.DATE), "BOOLEAN": ("BOOLEAN", Kind.BOOLEAN),
        "TIMESTAMP": ("TIMESTAMP_NTZ", Kind.STAMP), "TIMESTAMPNTZ": ("TIMESTAMP_NTZ", Kind.STAMP),
    }  # fmt: skip
    if name not in known:
        raise UnwritableError(f"CAST AS {name}")
    return known[name]


def convert(given: Written, to: exp.Expression, again: Again) -> Written:
    """Write ``TRY_CAST(given AS to)``."""
    name, kind = target_of(to)
    return Written(_converted(given, name, kind, again), kind)


def _converted(given: Written, name: str, kind: Kind, again: Again) -> exp.Expression:
    node = given.node
    if given.kind is Kind.TEXT:
        return _from_text(node, name, kind, again)
    if given.kind in {kind, Kind.NOTHING}:
        return try_cast(node, name)
    match given.kind, kind:
        case (Kind.DOUBLE, Kind.INTEGER):
            return _from_double(node, name, again)
        case (Kind.DECIMAL, Kind.INTEGER):
            return try_cast(call("round", node, exp.Literal.number(0)), name)
        case (Kind.DOUBLE, Kind.TEXT):
            raise UnwritableError("CAST (DOUBLE AS VARCHAR)")
        case (Kind.INTEGER | Kind.DECIMAL | Kind.DOUBLE | Kind.BOOLEAN, Kind.INTEGER | Kind.DECIMAL | Kind.DOUBLE):
            return try_cast(node, name)
        case (Kind.INTEGER | Kind.DECIMAL | Kind.DOUBLE, Kind.BOOLEAN):
            return try_cast(node, name)
        case (Kind.INTEGER | Kind.DECIMAL | Kind.DATE | Kind.STAMP | Kind.BOOLEAN, Kind.TEXT):
            return try_cast(node, name)
        case (Kind.DATE, Kind.STAMP) | (Kind.STAMP, Kind.DATE):
            return try_cast(node, name)
    raise UnwritableError(f"CAST ({given.kind.upper()} AS {name})")


def _from_double(node: exp.Expression, name: str, again: Again) -> exp.Expression:
    """Round halves to even. Spark lets 2 ** 63 pass as the largest BIGINT, and reads decimals from the shortest spelling of a double."""
    if name not in {"BIGINT", WHOLE_MAX_TYPE}:
        return try_cast(call("rint", node), name)
    small = try_cast(call("nullif", call("rint", again(node)), exp.Literal.number(BEYOND)), "BIGINT")
    return small if name == "BIGINT" else call("coalesce", try_cast(small, name), try_cast(call("rint", node), name))


def _from_text(node: exp.Expression, name: str, kind: Kind, again: Again) -> exp.Expression:
    match kind:
        case Kind.TEXT:
            return node
        case Kind.INTEGER | Kind.DECIMAL:
            digits = call("replace", node, words("_"), words(""))
            exact = try_cast(digits, WHOLE_MAX_TYPE if kind is Kind.INTEGER else name)
            return either(_matches(again(node), NUMBER), exact if name == WHOLE_MAX_TYPE else try_cast(exact, name))
        case Kind.DOUBLE:
            digits = call("replace", node, words("_"), words(""))
            return either(_matches(again(node), f"{NUMBER}|{SPECIAL}"), try_cast(digits, name))
        case Kind.DATE:
            moment = try_cast(_rewritten(node, DATE, "$1-$3-$4 $5"), "TIMESTAMP_NTZ")
            return either(_matches(again(node), DATE), try_cast(moment, name))
        case Kind.STAMP:
            return either(_matches(again(node), STAMP), try_cast(_rewritten(node, STAMP, "$1-$3-$4 $5"), name))
        case Kind.BOOLEAN:
            return exp.Case(
                ifs=[_spelled(again(node), TRUE, is_true=True), _spelled(again(node), FALSE, is_true=False)]
            )
    raise UnwritableError(f"CAST (VARCHAR AS {name})")


def _spelled(node: exp.Expression, spellings: tuple[str, ...], *, is_true: bool) -> exp.Expression:
    test = exp.In(this=call("lower", node), expressions=[words(spelling) for spelling in spellings])
    return exp.If(this=test, true=exp.Boolean(this=is_true))


def _matches(node: exp.Expression, pattern: str) -> exp.Expression:
    return call("regexp_like", node, words(pattern))


def _rewritten(node: exp.Expression, pattern: str, form: str) -> exp.Expression:
    return call("trim", call("regexp_replace", node, words(pattern), words(form)))
