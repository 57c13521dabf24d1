"""Aggregates and windows for Spark: exact sums, quantiles, the largest parts, and what degenerate groups give."""

from collections.abc import Callable

from sqlglot import exp

from gongshu.compute.rules import functions as allowed
from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.spark.expressions import Scope, handles, only, write
from gongshu.compute.rules.spark.functions import micros
from gongshu.compute.rules.spark.kinds import (
    Kind,
    UnwritableError,
    Written,
    call,
    cast,
    is_null,
    paren,
    special,
    words,
)
from gongshu.compute.rules.terms import conjunction

Over = Callable[[exp.Expression], exp.Expression]
"""Puts the FILTER on a call."""

AGGREGATES = {
    kind: known.name for kind, known in allowed.AGGREGATES.items() if known.kind is not AggregateClass.LISTING
}
AGGREGATES |= {
    exp.ArgMin: "arg_min", exp.ArgMax: "arg_max", exp.ArrayAgg: "list", exp.GroupConcat: "string_agg",
    exp.AnyValue: "any_value", exp.LogicalOr: "bool_or",
}  # fmt: skip
REFUSED: dict[type[exp.Expression], str] = {
    exp.Mode: "MODE", exp.First: "FIRST", exp.FirstValue: "FIRST", exp.Last: "LAST", exp.LastValue: "LAST",
}  # fmt: skip
"""Which of several rows is meant follows from their order in DuckDB alone."""
NOT_A_NUMBER = frozenset({"corr", "regr_slope"})
"""Of groups without spread DuckDB says that this is no number, where Spark says NULL."""
UNORDERED = frozenset(
    {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"}
)
"""Window functions that Spark computes in an order only."""
WITHOUT_FRAME = UNORDERED - {"nth_value"}
BY = {"arg_min": "min_by", "arg_max": "max_by"}
COUNTING = frozenset({"row_number", "rank", "dense_rank", "ntile"})
SHARES = frozenset({"percent_rank", "cume_dist"})


@handles(*AGGREGATES)
def _aggregate(scope: Scope, node: exp.Expression) -> Written:
    return aggregate(scope, node, None)


@handles(exp.IgnoreNulls)
def _ignoring(scope: Scope, node: exp.Expression) -> Written:
    return aggregate(scope, node, None)


@handles(exp.Filter)
def _filtered(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "expression")
    test = write(scope, node.expression.this).node
    return aggregate(scope, node.this, test)


def aggregate(scope: Scope, node: exp.Expression, test: exp.Expression | None) -> Written:
    """Write an aggregate, over the rows where ``test`` holds."""
    if isinstance(node, exp.IgnoreNulls) and isinstance(node.this, exp.AnyValue):
        node = node.this
    name = AGGREGATES.get(type(node))
    if name is None:
        raise UnwritableError(REFUSED.get(type(node), type(node).__name__.upper()))

    def over(call_: exp.Expression) -> exp.Expression:
        return call_ if test is None else exp.Filter(this=call_, expression=exp.Where(this=scope.again(test)))

    only(node, "this", "expression", "quantile", "count", "separator")
    if name in ALONE:
        return ALONE[name](scope, node, over)
    if name in BY:
        return _at(scope, node, test, BY[name])
    given = write(scope, node.this)
    if name == "sum":
        return Written(over(call("sum", _wide(given))), given.kind)
    if name in {"min", "max"}:
        if node.args.get("count") is not None:
            size = node.args["count"].copy()
            return Written(over(call(f"{name}_by", scope.again(given.node), given.node, size)), Kind.LIST)
        return Written(over(call(name, given.node)), given.kind)
    if name == "any_value":  # the first that is there
        return Written(over(call(name, given.node, exp.Boolean(this=True))), given.kind)
    if name == "bool_or":
        return Written(over(call(name, given.node)), given.kind)
    if name in {"median", "quantile", "quantile_cont", "quantile_disc"}:
        fraction = node.args.get("expression") or node.args.get("quantile") or exp.Literal.number("0.5")
        return _quantile(name, given, fraction.copy(), over)
    arguments = [cast(given.node, "DOUBLE")]
    if node.args.get("expression") is not None:
        arguments.append(cast(write(scope, node.expression).node, "DOUBLE"))
    made = over(call(name, *arguments))
    if name in NOT_A_NUMBER:
        pairs = [exp.Not(this=is_null(scope.again(argument))) for argument in arguments]
        rows = over(call("count_if", paren(conjunction(pairs))))
        no_number = exp.If(this=exp.GT(this=rows, expression=exp.Literal.number(0)), true=special("NaN"))
        made = call("coalesce", made, exp.Case(ifs=[no_number]))
    return Written(made, Kind.DOUBLE)


def _wide(given: Written) -> exp.Expression:
    # Sums of whole numbers are exact to 38 digits, as DuckDB's are to 128 bits; Spark's own would wrap at 64.
    return cast(given.node, "DECIMAL(38, 0)") if given.kind is Kind.INTEGER else given.node


def _count(scope: Scope, node: exp.Expression, over: Over) -> Written:
    argument = node.args.get("this")
    if isinstance(argument, exp.Distinct):
        (inner,) = argument.expressions
        made: exp.Expression = call("count", exp.Distinct(expressions=[write(scope, inner).node]))
    elif argument is None or isinstance(argument, exp.Star):
        made = call("count", exp.Star())
    else:
        made = call("count", write(scope, argument).node)
    return Written(over(made), Kind.INTEGER)


def _list(scope: Scope, node: exp.Expression, over: Over) -> Written:
    # Of no rows DuckDB has no list, where Spark has an empty one: who reads it counts its elements and finds none either way.
    argument, name = node.this, "collect_list"
    if isinstance(argument, exp.Distinct):
        (argument,), name = argument.expressions, "collect_set"
    if isinstance(argument, exp.Order):  # what is asked for is a text of the list, in DuckDB's spelling
        raise UnwritableError("LIST (…)")
    if isinstance(argument, exp.Subquery):  # Spark cannot run one in an aggregate of another
        raise UnwritableError("EXISTS (… EXISTS (…))")
    given = write(scope, argument)
    return Written(over(call(name, given.node)), Kind.NESTED if given.kind is Kind.UNITS else Kind.UNITS)


def _at(scope: Scope, node: exp.Expression, test: exp.Expression | None, name: str) -> Written:
    """Write what stands where others are smallest or largest; rows where it is missing do not count."""
    given, other = write(scope, node.this), node.expression
    parts = other.expressions if isinstance(other, exp.Tuple) else [other]
    columns = [write(scope, part).node for part in parts]
    by = columns[0] if len(columns) == 1 else call("struct", *columns)
    tests = [*([scope.again(test)] if test is not None else []), exp.Not(this=is_null(scope.again(given.node)))]
    made = call(name, given.node, by)
    return Written(exp.Filter(this=made, expression=exp.Where(this=conjunction(tests))), given.kind)


def _joined(scope: Scope, node: exp.Expression, over: Over) -> Written:
    inner, order = node.this, None
    if isinstance(inner, exp.Order):
        inner, order = inner.this, exp.Order(expressions=[ordered(scope, item) for item in inner.expressions])
    if isinstance(inner, exp.Distinct):
        (part,) = inner.expressions
        given: exp.Expression = exp.Distinct(expressions=[write(scope, part).node])
    else:
        given = write(scope, inner).node
    separator = write(scope, node.args["separator"]).node if node.args.get("separator") is not None else words(",")
    made: exp.Expression = call("listagg", given, separator)
    return Written(over(made if order is None else exp.WithinGroup(this=made, expression=order)), Kind.TEXT)


ALONE = {"count": _count, "list": _list, "string_agg": _joined}


def _quantile(name: str, given: Written, fraction: exp.Expression, over: Over) -> Written:
    is_time = given.kind in {Kind.DATE, Kind.STAMP}
    if name in {"quantile", "quantile_disc"}:
        if is_time or given.kind is Kind.TEXT:
            raise UnwritableError(f"{name.upper()} ({given.kind.upper()})")
        order = exp.Order(expressions=[exp.Ordered(this=given.node)])
        made: exp.Expression = exp.WithinGroup(this=call("percentile_disc", fraction), expression=order)
        return Written(over(made), Kind.DOUBLE)
    node = micros(given) if is_time else cast(given.node, "DOUBLE")
    found = over(call("percentile", node, fraction))
    if not is_time:
        return Written(found, Kind.DOUBLE)
    whole = cast(call("rint", found), "BIGINT")
    return Written(cast(call("timestamp_micros", whole), "TIMESTAMP_NTZ"), Kind.STAMP)


# -------------------------------------------------------------------------------------------------------- windows


@handles(exp.Window)
def _window(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "partition_by", "order", "spec", "over")
    function = node.this
    if isinstance(function, exp.Filter) or type(function) in AGGREGATES:
        inner, name = write(scope, function), ""
    else:
        inner, name = _ranking(scope, function)
    order = node.args.get("order")
    items = [ordered(scope, item) for item in order.expressions] if order is not None else []
    if not items and name in UNORDERED:
        items = [exp.Ordered(this=exp.Null(), nulls_first=True)]
    spec = node.args.get("spec")
    made = exp.Window(
        this=inner.node,
        partition_by=[write(scope, part).node for part in node.args.get("partition_by") or []],
        order=exp.Order(expressions=items) if items else None,
        spec=_frame(spec) if spec is not None and name not in WITHOUT_FRAME else None,
        over="OVER",
    )
    if name in COUNTING:
        return Written(cast(made, "BIGINT"), Kind.INTEGER)
    return Written(made, inner.kind)


def _ranking(scope: Scope, function: exp.Expression) -> tuple[Written, str]:
    if isinstance(function, exp.IgnoreNulls):
        inner, name = _ranking(scope, function.this)
        return Written(exp.IgnoreNulls(this=inner.node), inner.kind), name
    known = allowed.WINDOWS.get(type(function))
    if known is None:
        raise UnwritableError(f"{type(function).__name__.upper()} OVER")
    name = known[0]
    only(function, "this", "offset", "default")
    given = [write(scope, function.args[key]) for key in ("this", "offset", "default") if function.args.get(key)]
    kind = Kind.INTEGER if name in COUNTING else Kind.DOUBLE if name in SHARES else given[0].kind
    return Written(call(name, *(one.node for one in given)), kind), name


def ordered(scope: Scope, item: exp.Expression) -> exp.Expression:
    only(item, "this", "desc", "nulls_first")
    return exp.Ordered(
        this=write(scope, item.this).node,
        desc=bool(item.args.get("desc")),
        nulls_first=bool(item.args.get("nulls_first")),
    )


def _frame(spec: exp.Expression) -> exp.Expression:
    only(spec, "kind", "start", "start_side", "end", "end_side")
    if str(spec.args.get("kind") or "").upper() not in {"ROWS", "RANGE"}:
        raise UnwritableError(f"{spec.args.get('kind')} BETWEEN")
    return spec.copy()
