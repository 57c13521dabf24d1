"""Expressions: one function for each construct that the gate writes; any other is refused by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from typing import cast as cast_node

from sqlglot import exp

from gongshu.compute.rules import functions as allowed
from gongshu.compute.rules.spark.casts import convert, target_of
from gongshu.compute.rules.spark.functions import (
    SCALARS,
    difference,
    quotient,
    remainder,
    rounded_time,
    stamp,
    whole_quotient,
)
from gongshu.compute.rules.spark.kinds import (
    NODES_MAX,
    Columns,
    Kind,
    UnwritableError,
    Written,
    call,
    cast,
    column,
    paren,
    widest,
    words,
)

MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
NAMES: dict[type[exp.Expression], tuple[str, tuple[str, ...]]] = {
    **allowed.PARSED,
    exp.TimeToUnix: ("epoch", ("this",)),
    exp.UnixToTime: ("make_timestamp", ("this",)),
    exp.Coalesce: ("coalesce", ("this", "expressions")),
    exp.ArrayDistinct: ("list_distinct", ("this",)),
    exp.ArraySort: ("list_sort", ("this",)),
    exp.ArrayContains: ("list_contains", ("this", "expression")),
    exp.Flatten: ("flatten", ("this",)),
}


class Queries(Protocol):
    """What writes queries that stand in expressions."""

    def subquery(self, node: exp.Expression, outer: "Scope") -> tuple[exp.Expression, Columns]:
        """Write a query in parentheses, whose conditions may name columns of ``outer``, and return its columns."""
        ...


@dataclass
class Scope:
    """The columns that can be named in one SELECT, by alias, and what writes the queries inside it."""

    queries: Queries
    sources: dict[str, Columns] = field(default_factory=dict)
    copied: list[int] = field(default_factory=lambda: [0])
    outer: "Scope | None" = None

    def kind(self, name: str, table: str) -> Kind:
        """Return the kind of a column, of this SELECT or of one around it."""
        found = [columns[name] for alias, columns in self.sources.items() if table in {"", alias} and name in columns]
        if found:
            return found[0]
        if self.outer is None:
            raise UnwritableError(f"COLUMN {name}")
        return self.outer.kind(name, table)

    def again(self, node: exp.Expression) -> exp.Expression:
        """Copy a part that has to stand twice; a statement that would grow beyond bounds is refused."""
        self.copied[0] += sum(1 for _ in node.walk())
        if self.copied[0] > NODES_MAX:
            raise UnwritableError("LENGTH")
        return node.copy()


Handler = Callable[[Scope, exp.Expression], Written]
HANDLERS: dict[type[exp.Expression], Handler] = {}


def handles(*kinds: type[exp.Expression]) -> Callable[[Handler], Handler]:
    """Register the function for nodes of ``kinds``."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def write(scope: Scope, node: exp.Expression) -> Written:
    """Write one expression."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        name = str(node.this) if isinstance(node, exp.Anonymous) else type(node).__name__
        raise UnwritableError(name.upper())
    return handler(scope, node)


def only(node: exp.Expression, *allowed_parts: str) -> None:
    """Refuse ``node`` when it carries a part that nobody writes."""
    for name, value in node.args.items():
        if name not in allowed_parts and value not in (None, [], False) and name not in allowed.HARMLESS_FLAGS:
            raise UnwritableError(f"{type(node).__name__.upper()} … {name}")


@handles(exp.Column)
def _column(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "table")
    table = node.args["table"].name if node.args.get("table") else ""
    return Written(column(node.this.name, table), scope.kind(node.this.name, table))


@handles(exp.Literal)
def _literal(_: Scope, node: exp.Expression) -> Written:
    text = str(node.this)
    if node.args.get("is_string"):
        return Written(_spelled(text), Kind.TEXT)
    if "e" in text.lower():
        return Written(exp.Literal.number(text), Kind.DOUBLE)
    return Written(exp.Literal.number(text), Kind.DECIMAL if "." in text else Kind.INTEGER)


CONTROL = re.compile(r"([\x00-\x1f\x7f])")


def _spelled(text: str) -> exp.Expression:
    # A text that broke a line could look like an operator in the plan that the second opinion reads.
    if not CONTROL.search(text):
        return words(text)
    parts = [part for part in CONTROL.split(text) if part]
    spelled = [call("char", exp.Literal.number(ord(p))) if CONTROL.fullmatch(p) else words(p) for p in parts]
    return call("concat_ws", words(""), *spelled)


@handles(exp.Boolean)
def _boolean(_: Scope, node: exp.Expression) -> Written:
    return Written(exp.Boolean(this=bool(node.this)), Kind.BOOLEAN)


@handles(exp.Null)
def _null(_: Scope, node: exp.Expression) -> Written:  # noqa: ARG001 - every handler takes the node
    return Written(exp.Null(), Kind.NOTHING)


@handles(exp.Paren, exp.Try)
def _inner(scope: Scope, node: exp.Expression) -> Written:
    # TRY falls away: in Spark nothing raises, and what would have is written as NULL where it stands.
    only(node, "this")
    inner = write(scope, node.this)
    return Written(paren(inner.node), inner.kind)


@handles(exp.And, exp.Or)
def _connected(scope: Scope, node: exp.Expression) -> Written:
    # A long chain leans to the left: walked without recursion. Spark's parser takes it flat.
    kind, parts, rest = type(node), [], node
    while type(rest) is kind:
        parts.append(rest.expression)
        rest = rest.this
    written = [paren(write(scope, part).node) for part in (rest, *reversed(parts))]
    connect = exp.and_ if kind is exp.And else exp.or_
    made = cast_node(exp.Expression, connect(*written, copy=False))
    return Written(paren(made), Kind.BOOLEAN)


@handles(exp.Not)
def _not(scope: Scope, node: exp.Expression) -> Written:
    return Written(exp.Not(this=paren(write(scope, node.this).node)), Kind.BOOLEAN)


@handles(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
def _comparison(scope: Scope, node: exp.Expression) -> Written:
    left, right = paren(write(scope, node.this).node), paren(write(scope, node.expression).node)
    return Written(paren(type(node)(this=left, expression=right)), Kind.BOOLEAN)


@handles(exp.NullSafeEQ, exp.NullSafeNEQ)
def _same(scope: Scope, node: exp.Expression) -> Written:
    left, right = paren(write(scope, node.this).node), paren(write(scope, node.expression).node)
    made = exp.NullSafeEQ(this=left, expression=right)
    return Written(exp.Not(this=paren(made)) if isinstance(node, exp.NullSafeNEQ) else paren(made), Kind.BOOLEAN)


@handles(exp.Is)
def _is(scope: Scope, node: exp.Expression) -> Written:
    right = node.expression
    if not isinstance(right, exp.Null | exp.Boolean):
        raise UnwritableError(f"IS {type(right).__name__.upper()}")
    made = exp.Is(this=paren(write(scope, node.this).node), expression=right.copy())
    return Written(paren(made), Kind.BOOLEAN)


@handles(exp.Between)
def _between(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "low", "high")
    parts = {key: paren(write(scope, node.args[key]).node) for key in ("this", "low", "high")}
    return Written(paren(exp.Between(**parts)), Kind.BOOLEAN)


@handles(exp.In)
def _in(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "expressions", "query")
    left = write(scope, node.this).node
    left = left if isinstance(left, exp.Tuple) else paren(left)
    if node.args.get("query") is not None:
        query, _ = scope.queries.subquery(node.args["query"], scope)
        return Written(paren(exp.In(this=left, query=query)), Kind.BOOLEAN)
    items = [write(scope, item).node for item in node.expressions]
    return Written(paren(exp.In(this=left, expressions=items)), Kind.BOOLEAN)


@handles(exp.Like, exp.ILike)
def _like(scope: Scope, node: exp.Expression) -> Written:
    # In DuckDB a backslash in a pattern is a backslash, in Spark it escapes.
    only(node, "this", "expression")
    left, pattern = write(scope, node.this).node, write(scope, node.expression).node
    doubled = call("replace", pattern, words("\\"), words("\\\\"))
    return Written(paren(type(node)(this=paren(left), expression=doubled)), Kind.BOOLEAN)


@handles(exp.Case)
def _case(scope: Scope, node: exp.Expression) -> Written:
    only(node, "ifs", "default")
    whens = [(write(scope, part.this), write(scope, part.args["true"])) for part in node.args["ifs"]]
    default = node.args.get("default")
    last = write(scope, default) if default is not None else None
    kind = widest([then.kind for _, then in whens] + ([last.kind] if last else []))
    ifs = [exp.If(this=test.node, true=then.node) for test, then in whens]
    return Written(paren(exp.Case(ifs=ifs, default=last.node if last else None)), kind)


@handles(exp.Subquery)
def _subquery(scope: Scope, node: exp.Expression) -> Written:
    query, columns = scope.queries.subquery(node, scope)
    return Written(query, next(iter(columns.values())))


@handles(exp.Exists)
def _exists(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this")
    query, _ = scope.queries.subquery(node.this, scope)
    return Written(paren(exp.Exists(this=query.this)), Kind.BOOLEAN)


@handles(exp.Tuple)
def _tuple(scope: Scope, node: exp.Expression) -> Written:
    only(node, "expressions")
    return Written(exp.Tuple(expressions=[write(scope, part).node for part in node.expressions]), Kind.NOTHING)


# ---------------------------------------------------------------------------------------------- numbers and casts


@handles(exp.Neg)
def _negative(scope: Scope, node: exp.Expression) -> Written:
    inner = write(scope, node.this)
    return Written(paren(exp.Neg(this=paren(inner.node))), inner.kind)


@handles(exp.Add, exp.Sub, exp.Mul)
def _reckoned(scope: Scope, node: exp.Expression) -> Written:
    left, right = write(scope, node.this), node.expression
    if isinstance(right, exp.Interval):
        span = _interval(right)
        return Written(paren(type(node)(this=paren(stamp(left)), expression=span)), Kind.STAMP)
    other = write(scope, right)
    made = type(node)(this=paren(left.node), expression=paren(other.node))
    return Written(paren(made), widest((left.kind, other.kind)))


def _interval(node: exp.Expression) -> exp.Expression:
    unit, amount = str(node.args["unit"].this).upper(), int(str(node.this.this))
    if unit in MONTHS:
        amount, unit = amount * MONTHS[unit], "MONTH"
    if unit not in {"MONTH", "WEEK", "DAY", "HOUR"}:
        raise UnwritableError(f"INTERVAL {unit}")
    if unit == "WEEK":
        amount, unit = amount * 7, "DAY"
    return exp.Interval(this=words(str(amount)), unit=exp.Var(this=unit))


@handles(exp.Div)
def _quotient(scope: Scope, node: exp.Expression) -> Written:
    left, right = write(scope, node.this), write(scope, node.expression)
    sides = [one.node if one.kind is Kind.DOUBLE else cast(one.node, "DOUBLE") for one in (left, right)]
    bare = [side.this if isinstance(side, exp.Paren) else side for side in sides]
    return Written(quotient(bare[0], bare[1], scope.again), Kind.DOUBLE)


@handles(exp.Mod)
def _remainder(scope: Scope, node: exp.Expression) -> Written:
    left, right = write(scope, node.this), write(scope, node.expression)
    return Written(remainder(left, right, scope.again), widest((left.kind, right.kind)))


@handles(exp.IntDiv)
def _whole_quotient(scope: Scope, node: exp.Expression) -> Written:
    left, right = write(scope, node.this), write(scope, node.expression)
    if {left.kind, right.kind} != {Kind.INTEGER}:
        raise UnwritableError("//")
    return Written(whole_quotient(left.node, right.node, scope.again), Kind.INTEGER)


@handles(exp.TryCast, exp.Cast)
def _cast(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "to")
    inner = write(scope, node.this)
    name, kind = target_of(node.args["to"])
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast) and isinstance(node.this, exp.Literal):
        return Written(cast(inner.node, name), kind)
    return convert(inner, node.args["to"], scope.again)


# ------------------------------------------------------------------------------------------------------ functions


@handles(*NAMES)
def _named(scope: Scope, node: exp.Expression) -> Written:
    name, keys = NAMES[type(node)]
    only(node, *keys, "scale", "is_nvl", "is_null", "nulls_first")
    parts: list[exp.Expression] = []
    for key in keys:
        part = node.args.get(key)
        parts += part if isinstance(part, list) else [part] if part is not None else []
    return _apply(scope, name, parts)


@handles(exp.Trim)
def _trim(scope: Scope, node: exp.Expression) -> Written:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    return _apply(scope, name, [part for part in (node.this, node.args.get("expression")) if part is not None])


@handles(exp.Log)
def _log(scope: Scope, node: exp.Expression) -> Written:
    if not isinstance(node.this, exp.Literal) or str(node.this.this) != "10" or node.args.get("expression") is None:
        raise UnwritableError("LOG")
    return _apply(scope, "log10", [node.expression])


@handles(exp.Anonymous)
def _anonymous(scope: Scope, node: exp.Expression) -> Written:
    return _apply(scope, str(node.this).lower(), node.expressions)


def _apply(scope: Scope, name: str, parts: list[exp.Expression]) -> Written:
    known = SCALARS.get(name)
    if known is None:
        raise UnwritableError(name.upper())
    return known([write(scope, part) for part in parts], scope.again)


@handles(exp.SHA2)
def _digest(scope: Scope, node: exp.Expression) -> Written:
    """Write the digest of a value's text. The ledger tells groups apart by it: where texts differ between engines, it withholds."""
    only(node, "this", "length")
    given = node.this
    inner = write(scope, given.this if isinstance(given, exp.Cast) else given).node
    return Written(call("sha2", cast(inner, "STRING"), exp.Literal.number(256)), Kind.TEXT)


@handles(exp.TimestampTrunc, exp.DateTrunc)
def _rounded(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "unit", "input_type_preserved")
    return rounded_time(write(scope, node.this), str(node.args["unit"].this))


@handles(exp.DateDiff)
def _difference(scope: Scope, node: exp.Expression) -> Written:
    only(node, "this", "expression", "unit", "date_part_boundary")
    unit = str(node.args["unit"].this) if node.args.get("unit") else "day"
    return difference(write(scope, node.this), write(scope, node.expression), unit, scope.again)
