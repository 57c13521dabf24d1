"""Scalar functions: each one of the gate's allow-list, and those that stages are written with, as Spark has to say them."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from gongshu.compute.rules.spark.casts import Again
from gongshu.compute.rules.spark.kinds import (
    Kind,
    UnwritableError,
    Written,
    call,
    cast,
    either,
    is_null,
    paren,
    special,
    try_cast,
    whole,
    widest,
    words,
)

Scalar = Callable[[Sequence[Written], Again], Written]
SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
"""What DuckDB's TRIM takes for a space: Unicode's space separators."""
WHOLE_DOUBLE = "9007199254740992D"
"""From here on every double is a whole number."""
PATTERNS = {
    "Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "M": "mm", "S": "ss", "y": "yy", "j": "DDD", "B": "MMMM", "b": "MMM",
    "A": "EEEE", "a": "EEE", "p": "a", "I": "hh",
}  # fmt: skip
"""strftime's letters in Spark's patterns. The others have no equal."""
COUNTS_BY = {
    "year": lambda node: call("year", node),
    "quarter": lambda node: _sum(_times(call("year", node), 4), call("quarter", node.copy())),
    "month": lambda node: _sum(_times(call("year", node), 12), call("month", node.copy())),
}  # fmt: skip


def _times(node: exp.Expression, factor: int) -> exp.Expression:
    return exp.Mul(this=paren(node), expression=whole(factor))


def _sum(first: exp.Expression, second: exp.Expression) -> exp.Expression:
    return paren(exp.Add(this=first, expression=second))


def _less(first: exp.Expression, second: exp.Expression) -> exp.Expression:
    return paren(exp.Sub(this=paren(first), expression=paren(second)))


def stamp(given: Written) -> exp.Expression:
    """Write a date or a point in time as a point in time without zone."""
    return given.node if given.kind is Kind.STAMP else cast(given.node, "TIMESTAMP_NTZ")


def day(given: Written) -> exp.Expression:
    """Write a date or a point in time as a date."""
    return given.node if given.kind is Kind.DATE else cast(given.node, "DATE")


def micros(given: Written) -> exp.Expression:
    """Write the microseconds since 1970. The session's zone is UTC."""
    return call("unix_micros", cast(stamp(given), "TIMESTAMP_LTZ"))


def quotient(left: exp.Expression, right: exp.Expression, again: Again) -> exp.Expression:
    """Write a division of doubles; by zero it gives an infinity or no number, as IEEE 754 has it, where Spark has NULL."""
    divided = exp.Div(this=paren(left), expression=paren(right), typed=False, safe=True)
    if isinstance(right, exp.Cast) and isinstance(right.this, exp.Literal) and float(right.this.this) != 0:
        return paren(divided)
    endless = _sum(exp.Mul(this=paren(again(left)), expression=special("Infinity")), paren(again(right)))
    return call("coalesce", divided, endless)


def remainder(left: Written, right: Written, again: Again) -> exp.Expression:
    """Write ``%``; of doubles by zero it is no number, of whole numbers NULL."""
    made = exp.Mod(this=paren(left.node), expression=paren(right.node))
    if Kind.DOUBLE not in {left.kind, right.kind}:
        return paren(made)
    nothing = exp.Mul(
        this=exp.Mul(this=paren(again(left.node)), expression=paren(again(right.node))), expression=special("NaN")
    )
    return call("coalesce", made, nothing)


def whole_quotient(left: exp.Expression, right: exp.Expression, again: Again) -> exp.Expression:
    """Write ``//`` of whole numbers: towards zero, NULL by zero, exact to 32 digits."""
    rest = exp.Mod(this=paren(again(left)), expression=paren(again(right)))
    even = _less(left, rest)
    return try_cast(exp.Div(this=even, expression=paren(right), typed=False, safe=True), "DECIMAL(38, 0)")


def _plain(name: str, kind: Kind | None = None) -> Scalar:
    def write(given: Sequence[Written], _: Again) -> Written:
        found = kind or widest(one.kind for one in given)
        return Written(call(name, *(one.node for one in given)), found)

    return write


def _among(name: str) -> Scalar:
    def write(given: Sequence[Written], _: Again) -> Written:
        kind = widest(one.kind for one in given)
        if len(given) == 1:
            return Written(paren(given[0].node), kind)
        return Written(call(name, *(one.node for one in given)), kind)

    return write


def _text(name: str, kind: Kind = Kind.TEXT) -> Scalar:
    return _plain(name, kind)


def _absolute(given: Sequence[Written], again: Again) -> Written:
    (one,) = given
    made = call("abs", one.node)
    if one.kind is Kind.INTEGER:  # the smallest BIGINT has no opposite
        made = either(exp.GTE(this=again(made), expression=whole(0)), made)
        made = paren(made)
    return Written(made, one.kind)


def _sign(given: Sequence[Written], _: Again) -> Written:
    return Written(cast(call("sign", given[0].node), "INT"), Kind.INTEGER)


def _towards(name: str) -> Scalar:
    """Write floor, ceil or trunc. Doubles pass through BIGINT only while they fit; larger ones are whole anyway."""

    def write(given: Sequence[Written], again: Again) -> Written:
        (one,) = given
        if one.kind is Kind.INTEGER:
            return Written(paren(one.node), one.kind)
        if one.kind is Kind.DECIMAL and name != "trunc":
            return Written(call(name, one.node), one.kind)
        if one.kind is Kind.DECIMAL:
            return Written(_less(again(one.node), exp.Mod(this=paren(one.node), expression=whole(1))), one.kind)
        is_small = exp.LT(this=call("abs", again(one.node)), expression=exp.Literal.number(f"{WHOLE_DOUBLE}"))
        moved = cast(again(one.node), "BIGINT") if name == "trunc" else call(name, again(one.node))
        return Written(paren(either(is_small, cast(moved, "DOUBLE"), one.node)), Kind.DOUBLE)

    return write


def _rounded(given: Sequence[Written], again: Again) -> Written:
    """Write ROUND. Doubles are scaled by a power of ten, rounded half away from zero and scaled back, as DuckDB does."""
    one = given[0]
    places = given[1].node if len(given) > 1 else whole(0)
    if one.kind is not Kind.DOUBLE:
        return Written(call("round", one.node, places), one.kind)
    if isinstance(places.this if isinstance(places, exp.Paren) else places, exp.Literal | exp.Neg):
        return Written(paren(_to_places(one.node, _number(Written(places, Kind.INTEGER)))), Kind.DOUBLE)
    name = exp.Identifier(this="p", quoted=False)
    size = exp.Column(this=name.copy())
    up, down = _scaled(again(one.node), size, is_up=True), _scaled(one.node, exp.Neg(this=size.copy()), is_up=False)
    body = either(exp.GTE(this=size.copy(), expression=whole(0)), up, down)
    made = call("transform", call("array", places), exp.Lambda(this=body, expressions=[name]))
    return Written(call("get", made, whole(0)), Kind.DOUBLE)


def _to_places(node: exp.Expression, places: int) -> exp.Expression:
    if places == 0:
        return call("round", node, whole(0))
    return _scaled(node, whole(abs(places)), is_up=places > 0)


def _scaled(node: exp.Expression, places: exp.Expression, *, is_up: bool) -> exp.Expression:
    factor = call("power", cast(whole(10), "DOUBLE"), places)
    if is_up:
        up = call("round", exp.Mul(this=paren(node), expression=factor), whole(0))
        return paren(exp.Div(this=up, expression=factor.copy(), typed=False, safe=True))
    down = call("round", exp.Div(this=paren(node), expression=factor, typed=False, safe=True), whole(0))
    return paren(exp.Mul(this=down, expression=factor.copy()))


def _logarithm(name: str) -> Scalar:
    """Write a logarithm: of zero minus infinity, of less no number, where Spark has NULL."""

    def write(given: Sequence[Written], again: Again) -> Written:
        (one,) = given
        is_zero = exp.EQ(this=paren(again(one.node)), expression=whole(0))
        otherwise = paren(either(is_zero, special("-Infinity"), call("sqrt", again(one.node))))
        return Written(call("coalesce", call(name, one.node), otherwise), Kind.DOUBLE)

    return write


def _number(given: Written) -> int:
    node = given.node.this if isinstance(given.node, exp.Paren) else given.node
    sign, node = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
    if not isinstance(node, exp.Literal) or node.is_string:
        raise UnwritableError("SUBSTRING (…)")
    return sign * int(str(node.this))


def _left(given: Sequence[Written], again: Again) -> Written:
    text, size = given[0].node, _number(given[1])
    if size >= 0:
        return Written(call("left", text, whole(size)), Kind.TEXT)
    kept = call("greatest", _less(call("length", again(text)), whole(-size)), whole(0))
    return Written(call("substring", text, whole(1), kept), Kind.TEXT)


def _right(given: Sequence[Written], _: Again) -> Written:
    text, size = given[0].node, _number(given[1])
    made = call("right", text, whole(size)) if size >= 0 else call("substring", text, whole(1 - size))
    return Written(made, Kind.TEXT)


def _substring(given: Sequence[Written], _: Again) -> Written:
    """Write SUBSTRING: a start of 0 lies before the first character."""
    text, start = given[0].node, _number(given[1])
    size = _number(given[2]) if len(given) > 2 else None
    if start == 0:
        start, size = 1, None if size is None else (size - 1 if size > 0 else size)
        if size is not None and size < 0:
            return Written(call("left", text, whole(0)), Kind.TEXT)
    if size is not None and size < 0:
        raise UnwritableError("SUBSTRING (…, < 0)")
    parts = (whole(size),) if size is not None else ()
    return Written(call("substring", text, whole(start), *parts), Kind.TEXT)


def _trimmed(side: str) -> Scalar:
    def write(given: Sequence[Written], _: Again) -> Written:
        characters = given[1].node if len(given) > 1 else words(SPACES)
        return Written(call(side, characters, given[0].node), Kind.TEXT)

    def write_both(given: Sequence[Written], _: Again) -> Written:
        characters = given[1].node if len(given) > 1 else words(SPACES)
        return Written(call(side, given[0].node, characters), Kind.TEXT)

    return write_both if side == "btrim" else write


def _joined(given: Sequence[Written], _: Again) -> Written:
    return Written(call("concat_ws", words(""), *(one.node for one in given)), Kind.TEXT)


def _weekday(given: Sequence[Written], _: Again) -> Written:
    return Written(_less(call("dayofweek", day(given[0])), whole(1)), Kind.INTEGER)


def _of_day(name: str, kind: Kind = Kind.INTEGER) -> Scalar:
    return lambda given, _: Written(call(name, day(given[0])), kind)


def _of_time(name: str) -> Scalar:
    return lambda given, _: Written(call(name, stamp(given[0])), Kind.INTEGER)


def _formatted(given: Sequence[Written], _: Again) -> Written:
    node = given[1].node
    pattern = _pattern(str(node.this)) if isinstance(node, exp.Literal) and node.is_string else None
    if pattern is None:
        raise UnwritableError("STRFTIME (…)")
    return Written(call("date_format", stamp(given[0]), words(pattern)), Kind.TEXT)


def _pattern(text: str) -> str | None:
    made, plain, rest = "", "", iter(text)
    for letter in rest:
        if letter != "%":
            plain += letter
            continue
        code = next(rest, "")
        if code == "%":
            plain += "%"
            continue
        if code not in PATTERNS:
            return None
        made, plain = made + _verbatim(plain) + PATTERNS[code], ""
    return made + _verbatim(plain)


def _verbatim(text: str) -> str:
    return "'" + text.replace("'", "''") + "'" if text else ""


def rounded_time(given: Written, unit: str) -> Written:
    """Write DATE_TRUNC; the result is a point in time."""
    made = call("date_trunc", words(unit.upper()), stamp(given))
    return Written(cast(made, "TIMESTAMP_NTZ"), Kind.STAMP)


def difference(late: Written, early: Written, unit: str, again: Again) -> Written:
    """Write DATE_DIFF: how many boundaries of ``unit`` lie between."""
    unit = unit.lower()
    if unit == "day":
        return Written(call("datediff", day(late), day(early)), Kind.INTEGER)
    if unit == "week":
        # Whole weeks between, not the Mondays that are crossed.
        days = call("datediff", day(late), day(early))
        return Written(paren(exp.IntDiv(this=days, expression=whole(7))), Kind.INTEGER)
    if unit == "hour":
        hours = [rounded_time(one, "hour").node for one in (early, late)]
        return Written(call("timestampdiff", exp.Var(this="HOUR"), *hours), Kind.INTEGER)
    if unit not in COUNTS_BY:
        raise UnwritableError(f"DATE_DIFF ('{unit}')")
    counts = [COUNTS_BY[unit](again(day(one))) for one in (late, early)]
    return Written(_less(*counts), Kind.INTEGER)


def _seconds(given: Sequence[Written], _: Again) -> Written:
    made = exp.Div(this=micros(given[0]), expression=cast(whole(1_000_000), "DOUBLE"), typed=False, safe=True)
    return Written(paren(made), Kind.DOUBLE)


def _from_micros(given: Sequence[Written], _: Again) -> Written:
    return Written(cast(call("timestamp_micros", given[0].node), "TIMESTAMP_NTZ"), Kind.STAMP)


def _is_finite(given: Sequence[Written], _: Again) -> Written:
    # Spark, like DuckDB, puts what is no number above everything.
    return Written(paren(exp.LT(this=call("abs", given[0].node), expression=special("Infinity"))), Kind.BOOLEAN)


def hashed(given: Sequence[Written], again: Again) -> Written:
    """Write the hash of a group's keys. Spark's passes over NULLs, so that they are hashed as well."""
    parts: list[exp.Expression] = []
    for one in given:
        parts += [is_null(again(one.node)), cast(one.node, "DECIMAL(38, 0)") if one.kind is Kind.INTEGER else one.node]
    return Written(call("xxhash64", *parts), Kind.INTEGER)


def _element(given: Sequence[Written], _: Again) -> Written:
    index = exp.Sub(this=paren(given[1].node), expression=whole(1))
    kind = Kind.INTEGER if given[0].kind is Kind.UNITS else Kind.DOUBLE
    return Written(call("get", given[0].node, cast(index, "INT")), kind)


def _slice(given: Sequence[Written], _: Again) -> Written:
    start, end = _number(given[1]), _number(given[2])
    return Written(call("slice", given[0].node, whole(start), whole(end - start + 1)), given[0].kind)


def _length(given: Sequence[Written], _: Again) -> Written:
    name = "array_size" if given[0].kind in {Kind.LIST, Kind.UNITS} else "length"
    return Written(call(name, given[0].node), Kind.INTEGER)


def _distinct(given: Sequence[Written], _: Again) -> Written:
    return Written(call("array_distinct", call("array_compact", given[0].node)), given[0].kind)


def _sorted(given: Sequence[Written], _: Again) -> Written:
    return Written(call("sort_array", given[0].node), given[0].kind)


def _flat(given: Sequence[Written], _: Again) -> Written:
    return Written(call("flatten", given[0].node), Kind.UNITS)


def _list_sum(given: Sequence[Written], _: Again) -> Written:
    names = [exp.Identifier(this=name, quoted=False) for name in ("a", "b")]
    added = exp.Add(this=exp.Column(this=names[0].copy()), expression=exp.Column(this=names[1].copy()))
    made = call("aggregate", given[0].node, cast(whole(0), "DOUBLE"), exp.Lambda(this=added, expressions=names))
    return Written(made, Kind.DOUBLE)


SCALARS: dict[str, Scalar] = {
    "abs": _absolute, "sign": _sign, "floor": _towards("floor"), "ceil": _towards("ceil"), "trunc": _towards("trunc"),
    "round": _rounded, "power": _plain("power", Kind.DOUBLE), "sqrt": _plain("sqrt", Kind.DOUBLE), "ln": _logarithm("ln"),
    "log10": _logarithm("log10"), "exp": _plain("exp", Kind.DOUBLE), "least": _among("least"),
    "greatest": _among("greatest"), "nullif": lambda given, _: Written(
        call("nullif", *(one.node for one in given)), given[0].kind
    ),
    "coalesce": _plain("coalesce"), "length": _length, "lower": _text("lower"), "upper": _text("upper"),
    "trim": _trimmed("btrim"), "ltrim": _trimmed("ltrim"), "rtrim": _trimmed("rtrim"), "left": _left, "right": _right,
    "substring": _substring, "replace": _text("replace"), "concat": _joined, "strpos": _text("instr", Kind.INTEGER),
    "starts_with": _text("startswith", Kind.BOOLEAN), "ends_with": _text("endswith", Kind.BOOLEAN),
    "contains": _text("contains", Kind.BOOLEAN), "year": _of_day("year"), "quarter": _of_day("quarter"),
    "month": _of_day("month"), "week": _of_day("weekofyear"), "day": _of_day("day"), "dayofweek": _weekday,
    "dayofyear": _of_day("dayofyear"), "hour": _of_time("hour"), "minute": _of_time("minute"),
    "last_day": _of_day("last_day", Kind.DATE), "strftime": _formatted, "epoch": _seconds, "make_timestamp": _from_micros,
    "isfinite": _is_finite, "hash": hashed, "list_extract": _element, "list_slice": _slice, "list_sum": _list_sum,
    "list_distinct": _distinct, "list_sort": _sorted, "flatten": _flat, "len": _length,
    "list_contains": _text("array_contains", Kind.BOOLEAN),
}  # fmt: skip
"""By DuckDB's names."""
