"""Aggregates that list single rows' values: allowed exactly where every one of these rows could be shown by itself.

Arguments, inner ORDER BY, the keys beside them, and whatever decided the rows all need ``reveal``. What depends on the
order in which rows are stored has none of its own here: lists are in the order of their values, and FIRST and LAST need
an ORDER BY. Lists and histograms come as text.
"""

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.expressions import value
from gongshu.compute.rules.functions import Aggregate, Family, family
from gongshu.compute.rules.refusals import CONSTRUCT_REFUSED, FUNCTION_ARGUMENTS, LISTING_REFUSED
from gongshu.compute.rules.scopes import Scope
from gongshu.compute.rules.stages import Collects, Wanted
from gongshu.compute.rules.terms import Term, conjunction, hidden_of, names, poison, sql_type
from gongshu.compute.rules.writing import fn, name, where

BY_VALUE = frozenset({"list", "string_agg"})
BY_ORDER = frozenset({"first", "last"})
BY_OTHER = frozenset({"arg_min", "arg_max"})
AS_TEXT = frozenset({"list", "string_agg", "histogram"})
SEPARATOR_CHARACTERS_MAX = 20


def listed(scope: Scope, node: exp.Expression, known: Aggregate, test: Term | None) -> Term:
    """Return a listing aggregate of rows that may be seen."""
    collector = scope.collects
    inner = Scope(scope.gate, scope.tables, scope.instances, place=known.name.upper())
    nodes, orders, is_distinct, separator = _parts(scope, node)
    arguments = tuple(value(inner, part) for part in nodes)
    by = tuple((value(inner, o.this), bool(o.args.get("desc")), bool(o.args.get("nulls_first"))) for o in orders)
    if len(arguments) != known.arguments or collector is None:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function=known.name.upper(), expected=f"{known.arguments}")
        return poison()
    _check(scope, known, collector, (*arguments, *(t for t, _, _ in by), *((test,) if test is not None else ())))
    if known.name in BY_ORDER and not by:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function=known.name.upper(), expected="1, ORDER BY")
    if known.name == "string_agg" and family(arguments[0].data_type) not in {Family.TEXT, "null"}:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="STRING_AGG", expected=Family.TEXT)
    mark = (
        known.name, is_distinct, separator, tuple((t.mark, *rest) for t, *rest in by), tuple(t.mark for t in arguments),
        test.mark if test is not None else None,
    )  # fmt: skip
    data_type = DataType.TEXT if known.name in AS_TEXT else arguments[0].data_type or DataType.TEXT
    made = Wanted(
        known.name, known.kind, (*arguments, *(t for t, _, _ in by)), mark, is_distinct, filter=test,
        directions=tuple((desc, first) for _, desc, first in by), separator=separator,
    )  # fmt: skip
    return collector.add(made, data_type)


def _check(scope: Scope, known: Aggregate, collector: Collects, terms: tuple[Term, ...]) -> None:
    lacking = hidden_of(terms) | collector.hidden
    if lacking:
        scope.gate.findings.add(LISTING_REFUSED, function=known.name.upper(), columns=names(lacking))


def _parts(
    scope: Scope, node: exp.Expression
) -> tuple[list[exp.Expression], list[exp.Expression], bool, str]:  # fmt: skip
    """Return arguments, inner ORDER BY, whether DISTINCT, and the separator."""
    gate = scope.gate
    if isinstance(node, exp.Anonymous):
        gate.only(node, "this", "expressions")
        parts = list(node.expressions)
    else:
        gate.only(node, "this", "expression", "separator")
        parts = [part for part in (node.args.get("this"), node.args.get("expression")) if part is not None]
    orders: list[exp.Expression] = []
    is_distinct, separator = False, ","
    if parts and isinstance(parts[0], exp.Order):
        gate.only(parts[0], "this", "expressions")
        orders, parts[0] = list(parts[0].expressions), parts[0].this
        for order in orders:
            gate.only(order, "this", "desc", "nulls_first")
    if parts and isinstance(parts[0], exp.Distinct):
        gate.only(parts[0], "expressions")
        is_distinct, inner = True, parts[0].expressions
        parts = [*inner, *parts[1:]]
        if orders:
            gate.findings.add(CONSTRUCT_REFUSED, construct="DISTINCT … ORDER BY")
    given = node.args.get("separator")
    if given is not None:
        is_text = isinstance(given, exp.Literal) and given.is_string and len(given.this) <= SEPARATOR_CHARACTERS_MAX
        if not is_text or "\0" in given.this:
            gate.findings.add(FUNCTION_ARGUMENTS, function="STRING_AGG", expected="',' ORDER BY …")
        separator = str(given.this) if is_text else ","
    return parts, orders, is_distinct, separator


def written(wanted: Wanted, arguments: tuple[str, ...], test: exp.Expression | None) -> exp.Expression:
    """Write a listing aggregate over columns with these names: arguments first, then those of its ORDER BY."""
    count = len(arguments) - len(wanted.directions)
    given: list[exp.Expression] = [name(text) for text in arguments[:count]]
    ordered = [
        exp.Ordered(this=name(text), desc=desc, nulls_first=first)
        for text, (desc, first) in zip(arguments[count:], wanted.directions, strict=True)
    ]
    if wanted.function == "any_value":
        return where(fn("min", *given), test)  # any value will do: the same one every time
    if (
        wanted.function in BY_OTHER
    ):  # where several rows have the outermost value, theirs decide: the same one every time
        tests = [*([test] if test is not None else []), *(is_there(one) for one in given)]
        value, by = given
        return where(fn(wanted.function, value, exp.Tuple(expressions=[by, value.copy()])), conjunction(tests))
    if wanted.function in BY_ORDER:
        ordered.append(exp.Ordered(this=given[0].copy(), desc=False, nulls_first=False))
    if wanted.function in BY_VALUE and not ordered:
        ordered = [exp.Ordered(this=name(arguments[0]), desc=False, nulls_first=False)]
    if wanted.is_distinct:
        given[0] = exp.Distinct(expressions=[given[0]])
    if wanted.function == "string_agg":
        given.append(exp.Literal.string(wanted.separator))
    if ordered:
        given[-1] = exp.Order(this=given[-1], expressions=ordered)
    made = where(fn(wanted.function, *given), test)
    return exp.Cast(this=made, to=sql_type("TEXT")) if wanted.function in {"list", "histogram"} else made


def is_there(node: exp.Expression) -> exp.Expression:
    """Write ``node IS NOT NULL``."""
    return exp.Not(this=exp.Is(this=node.copy(), expression=exp.Null()))
