"""Scalar expressions: each permitted construct has one function here, in ``branches`` or ``conditions``; no other passes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import functions
from gongshu.compute.rules.functions import Family, Scalar, family
from gongshu.compute.rules.intervals import interval_of
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    FUNCTION_ARGUMENTS,
    FUNCTION_UNKNOWN,
    POSITION_REFUSED,
    SUBQUERY_NOT_RELEASED,
    TYPES_DIFFER,
)
from gongshu.compute.rules.scopes import Scope
from gongshu.compute.rules.terms import (
    NUMERIC,
    TEMPORAL,
    Form,
    Shape,
    Term,
    alike,
    as_value,
    condition,
    derive,
    literal_number,
    literal_text,
    need_filter,
    poison,
    sql_type,
    with_step,
)

Handler = Callable[[Scope, exp.Expression], Term]
HANDLERS: dict[type[exp.Expression], Handler] = {}
"""Every expression that is permitted. ``conditions`` and ``aggregates`` add theirs."""


def handles(*kinds: type[exp.Expression]) -> Callable[[Handler], Handler]:
    """Register the function for nodes of ``kinds``."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def bind(scope: Scope, node: exp.Expression) -> Term:
    """Return what is known of ``node``; a group key of this SELECT is recognised however deep it stands."""
    scope.gate.step()
    handler = HANDLERS.get(type(node))
    term = handler(scope, node) if handler else refuse_node(scope, node)
    return scope.keys.get(term.mark, term)


def value(scope: Scope, node: exp.Expression) -> Term:
    """Return ``node`` as a value; a condition becomes its truth."""
    return as_value(bind(scope, node))


def refuse_node(scope: Scope, node: exp.Expression) -> Term:
    """Refuse what has no function: by name when it looks like a function, by construct otherwise."""
    if isinstance(node, exp.PositionalColumn):
        scope.gate.findings.add(POSITION_REFUSED, construct="#n", name="—")
    elif isinstance(node, exp.Anonymous | exp.Func):
        name = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
        scope.gate.findings.add(FUNCTION_UNKNOWN, function=name.lower()[:60], known=functions.known_functions())
    else:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct=type(node).__name__.upper())
    return poison()


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    """Write a call of an allow-listed function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def attempt(node: exp.Expression, *, may_fail: bool = True) -> exp.Expression:
    """Write ``node`` so that it gives NULL where it would raise."""
    return exp.Try(this=node) if may_fail else node


def expect(scope: Scope, operator: str, term: Term, wanted: str) -> None:
    if family(term.data_type) not in {wanted, "null"} and term.mark[0] != "refused":
        scope.gate.findings.add(TYPES_DIFFER, operator=operator, left=term.data_type or "null", right=wanted)


@handles(exp.Column)
def _column(scope: Scope, node: exp.Expression) -> Term:
    return scope.bind(cast(exp.Column, node))


@handles(exp.Paren)
def _paren(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    return bind(scope, node.this)


@handles(exp.Literal)
def _literal(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "is_string")
    text = str(node.this)
    if node.args.get("is_string"):
        if "\0" in text:
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="NUL")
            return poison(DataType.TEXT)
        return literal_text(text)
    plain = text.replace(".", "", 1)
    if not (plain.isascii() and plain.isdigit()) or len(text) > 30:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="NUMBER")
        return poison(DataType.DECIMAL)
    return literal_number(text)


@handles(exp.Boolean)
def _boolean(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    truth = bool(node.this)
    return Term(DataType.BOOLEAN, ("boolean", truth), lambda _: exp.Boolean(this=truth), is_constant=True)


@handles(exp.Null)
def _null(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node)
    return Term(None, ("null",), lambda _: exp.Null(), is_constant=True)


# --------------------------------------------------------------------------------------------------------- casts


@handles(exp.Cast, exp.TryCast)
def _cast(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "to", "safe", "_type")
    inner, target = value(scope, node.this), node.args["to"]
    name = target.this.name if isinstance(target.this, exp.DType) else str(target.this)
    name = {"TIMESTAMPNTZ": "TIMESTAMP"}.get(name, name)  # the parser's name for what DuckDB calls TIMESTAMP
    data_type = functions.CAST_TYPES.get(name)
    if data_type is None or target.args.get("nested") or (target.expressions and name != "DECIMAL"):
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="CAST", expected=", ".join(functions.CAST_TYPES))
        return poison(data_type)
    sizes = [str(size.this.this) for size in target.expressions if isinstance(size.this, exp.Literal)]
    if len(sizes) != len(target.expressions) or not all(size.isdigit() for size in sizes):
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="CAST", expected="DECIMAL(18, 2)")
        return poison(data_type)
    written = f"DECIMAL({', '.join(sizes)})" if sizes else name
    emit = lambda: exp.TryCast(this=inner.emit(Form.VALUE), to=sql_type(written))  # noqa: E731
    shape = _cast_shape(inner, name)
    made = derive("CAST", (inner,), data_type=data_type, emit=emit, shape=shape, extra=(written,))
    if shape is Shape.OTHER and data_type in {*NUMERIC, DataType.BOOLEAN}:
        made = with_step(made)
    if data_type not in NUMERIC:
        return made
    return replace(made, number=inner.number, interval=interval_of(inner) if shape is Shape.AFFINE else None)


def _cast_shape(inner: Term, target: str) -> Shape:
    # Only widening is affine: to a narrower type it rounds, or gives NULL beyond a bound, which is a condition.
    source = inner.data_type
    is_wider = (source is DataType.INTEGER and target in {"BIGINT", "INT128", "DOUBLE"}) or (
        source is DataType.DECIMAL and target == "DOUBLE"
    )
    is_time = source in TEMPORAL and target in {"DATE", "TIMESTAMP"} and not inner.offset
    return Shape.AFFINE if is_wider or is_time else Shape.OTHER


def wider(terms: Sequence[Term], data_type: DataType | None) -> DataType | None:
    """Return the type that holds every term, ``data_type`` being that of the first."""
    types = {t.data_type for t in terms}
    for kind in (DataType.DECIMAL, DataType.TIMESTAMP):
        if kind in types:
            return kind
    return data_type


def same_type(scope: Scope, operator: str, terms: list[Term]) -> None:
    """Refuse terms of different families where one value comes out of several."""
    families = {family(t.data_type): t.data_type for t in terms if t.data_type is not None and t.mark[0] != "refused"}
    if len(families) > 1:
        first, second, *_ = families.values()
        scope.gate.findings.add(TYPES_DIFFER, operator=operator, left=first, right=second)


# ----------------------------------------------------------------------------------------------------- functions


@handles(*functions.PARSED)
def _parsed(scope: Scope, node: exp.Expression) -> Term:
    name, keys = functions.PARSED[type(node)]
    scope.gate.only(node, *keys, *functions.HARMLESS_FLAGS)
    arguments: list[exp.Expression] = []
    for key in keys:
        part = node.args.get(key)
        arguments += part if isinstance(part, list) else [part] if part is not None else []
    return apply(scope, functions.SCALARS[name], arguments)


@handles(exp.Trim)
def _trim(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression", "position")
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    arguments = [part for part in (node.this, node.args.get("expression")) if part is not None]
    return apply(scope, functions.SCALARS[name], arguments)


@handles(exp.Log)
def _log(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    base = node.args.get("expression")
    if base is not None and not (isinstance(node.this, exp.Literal) and node.this.this == "10"):
        return refuse_node(scope, node)
    return apply(scope, functions.SCALARS["log10"], [base if base is not None else node.this])


def anonymous(scope: Scope, node: exp.Expression) -> Term:
    """Return the call of a scalar function that the parser does not know; ``aggregates`` asks for its own first."""
    scope.gate.only(node, "this", "expressions")
    name = str(node.this).lower() if isinstance(node.this, str) else ""
    if name in {"date_part", "datepart"} and len(node.expressions) == 2:
        return _part(scope, node.expressions[0], node.expressions[1])
    known = functions.ANONYMOUS.get(name)
    return apply(scope, functions.SCALARS[known], node.expressions) if known else refuse_node(scope, node)


@handles(exp.Extract)
def _extract(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    return _part(scope, node.this, node.expression)


def _part(scope: Scope, unit: exp.Expression, node: exp.Expression) -> Term:
    written = str(unit.this).lower() if isinstance(unit, exp.Var | exp.Literal) else ""
    name = functions.DATE_PARTS.get(written.removesuffix("s"))
    if name is None:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="EXTRACT", expected=", ".join(functions.DATE_PARTS))
        return poison(DataType.INTEGER)
    return apply(scope, functions.SCALARS[name], [node])


@handles(exp.TimestampTrunc, exp.DateTrunc)
def _rounded(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "unit", "input_type_preserved")
    inner, unit = value(scope, node.this), str(node.args["unit"].this).lower()
    expect(scope, "DATE_TRUNC", inner, Family.TIME)
    if unit not in functions.ROUNDINGS:
        scope.gate.findings.add(
            FUNCTION_ARGUMENTS, function="DATE_TRUNC", expected=", ".join(sorted(functions.ROUNDINGS))
        )
        return poison(inner.data_type)
    written = functions.WRITTEN_TYPES[inner.data_type or DataType.DATE]

    tried = _may_try(scope, "DATE_TRUNC", (inner,))

    def emit() -> exp.Expression:
        rounded = attempt(call("date_trunc", exp.Literal.string(unit), inner.emit(Form.VALUE)), may_fail=tried)
        return exp.TryCast(this=rounded, to=sql_type(written))

    shape = rounding_shape(inner, Shape.AFFINE)
    made = derive("DATE_TRUNC", (inner,), data_type=inner.data_type, shape=shape, emit=emit, extra=(unit,))
    return replace(made, offset=made.offset + 6) if unit == "week" else made  # weeks cross the ends of months and years


@handles(exp.DateDiff)
def _difference(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression", "unit", "date_part_boundary")
    late, early = value(scope, node.this), value(scope, node.expression)
    unit = str(node.args["unit"].this).lower() if node.args.get("unit") else "day"
    for term in (late, early):
        expect(scope, "DATE_DIFF", term, Family.TIME)
    if unit not in functions.ROUNDINGS:
        scope.gate.findings.add(
            FUNCTION_ARGUMENTS, function="DATE_DIFF", expected=", ".join(sorted(functions.ROUNDINGS))
        )
        return poison(DataType.INTEGER)
    early, late = alike((early, late))  # a date that is no point in time is missing, and fails nothing
    emit = lambda: call("date_diff", exp.Literal.string(unit), early.emit(Form.VALUE), late.emit(Form.VALUE))  # noqa: E731
    return days_between(late, early) if unit == "day" else derive(
        "date_diff", (late, early), data_type=DataType.INTEGER, emit=emit, extra=(unit,)
    )  # fmt: skip


def days_between(late: Term, early: Term) -> Term:
    """Return the days from ``early`` to ``late``. Of points in time these are rounded."""
    emit = lambda: call("date_diff", exp.Literal.string("day"), early.emit(Form.VALUE), late.emit(Form.VALUE))  # noqa: E731
    is_rounded = DataType.TIMESTAMP in {late.data_type, early.data_type}
    shape = rounding_shape(late, rounding_shape(early, Shape.AFFINE)) if is_rounded else Shape.AFFINE
    late, early = alike((late, early))
    return derive("date_diff", (late, early), data_type=DataType.INTEGER, emit=emit, shape=shape, extra=("day",))


def rounding_shape(inner: Term, shape: Shape) -> Shape:
    """Return ``shape`` of a rounding, unless the date was moved before: the two together ask on which side of a day it lies."""
    return Shape.OTHER if inner.offset else shape


def _may_try(scope: Scope, function: str, terms: tuple[Term, ...]) -> bool:
    """Whether TRY can hold ``terms``. What may fail and cannot be tried does not stand where rows are looked at."""
    has_subquery = any(t.has_subquery for t in terms)
    if has_subquery and scope.is_on_rows:
        scope.gate.findings.add(SUBQUERY_NOT_RELEASED, place=function)
    return not has_subquery


def apply(scope: Scope, function: Scalar, nodes: list[exp.Expression]) -> Term:
    """Return the call of an allow-listed scalar function."""
    terms = tuple(value(scope, node) for node in nodes)
    most = 1000 if function.is_variadic else len(function.takes)
    wanted = [function.takes[min(i, len(function.takes) - 1)] for i in range(len(terms))]
    fits = function.needed <= len(terms) <= most and all(_fits(t, w) for t, w in zip(terms, wanted, strict=True))
    if not fits:
        expected = ", ".join(function.takes) + (" …" if function.is_variadic else "")
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function=function.name.upper(), expected=expected)
        return poison(function.result)
    if Family.SAME in function.takes:
        terms = alike(terms)
        same_type(scope, function.name.upper(), list(terms))
    tried = function.may_fail and _may_try(scope, function.name.upper(), terms)

    def emit() -> exp.Expression:
        written = [_whole(t) if w is Family.WHOLE else t.emit(Form.VALUE) for t, w in zip(terms, wanted, strict=True)]
        made = attempt(call(function.name, *written), may_fail=tried)
        return call("left", made, exp.Literal.number(functions.TEXT_CHARACTERS_MAX)) if grows else made

    grows = function.name in {"concat", "replace"}
    if function.name == "replace" and len(terms[2].text or "") > functions.REPLACEMENT_CHARACTERS_MAX:
        expected = f"<= {functions.REPLACEMENT_CHARACTERS_MAX}"
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="REPLACE", expected=expected)
    data_type = function.result or wider(terms, next((t.data_type for t in terms if t.data_type is not None), None))
    is_rounding = function.takes == (Family.TIME,)
    shape = rounding_shape(terms[0], function.shape) if is_rounding else function.shape
    if function.is_test:
        need_filter(scope.gate.findings, function.name.upper(), *terms)
        return condition(function.name, terms, emit)
    return _stepped(function.name, terms, derive(function.name, terms, data_type=data_type, emit=emit, shape=shape))


def _stepped(function: str, terms: tuple[Term, ...], made: Term) -> Term:
    """Return ``made`` with what is a step in it: its value, the sign of its argument, or which argument was taken."""
    if function in functions.STEPS or (functions.SCALARS[function].takes == (Family.TIME,) and terms[0].offset):
        return with_step(made)
    if function == "abs":
        emit_sign = lambda _: call("sign", terms[0].emit(Form.VALUE))  # noqa: E731
        return with_step(made, replace(made, mark=("sign", made.mark), emit=emit_sign, steps=()))
    if function in {"least", "greatest", "nullif"} and made.data_type in NUMERIC:

        def emit(_: Form) -> exp.Expression:
            ifs = [
                exp.If(
                    this=exp.NullSafeEQ(this=made.emit(Form.VALUE), expression=t.emit(Form.VALUE)),
                    true=exp.Literal.number(i),
                )
                for i, t in enumerate(terms)
            ]
            return exp.Case(ifs=ifs, default=exp.Literal.number(len(terms)))

        return with_step(made, replace(made, mark=("taken", made.mark), emit=emit, steps=()))
    return made


def _whole(term: Term) -> exp.Expression:
    node: exp.Expression = exp.Literal.number(str(int(term.number or 0)))
    return node


def _fits(term: Term, wanted: Family) -> bool:
    if term.mark[0] == "refused" or wanted is Family.SAME:
        return True
    if wanted is Family.WHOLE:
        return term.number is not None and term.is_constant and abs(term.number) <= 10_000 and term.number.is_integer()
    if wanted is Family.WORDS:
        return term.is_constant and term.text is not None
    return family(term.data_type) in {wanted, "null"}
