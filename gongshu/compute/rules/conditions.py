"""Conditions as atoms: two protected columns may be compared by ``compare`` or linked by ``join``; all else is ``filter``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import functions
from gongshu.compute.rules.expressions import bind, handles, value
from gongshu.compute.rules.functions import Family, family
from gongshu.compute.rules.refusals import (
    COMPARE_MISSING,
    CONSTRUCT_REFUSED,
    JOIN_MISSING,
    TYPES_DIFFER,
)
from gongshu.compute.rules.scopes import Correlated, Scope
from gongshu.compute.rules.terms import (
    Form,
    Shape,
    Term,
    alike,
    all_of,
    as_condition,
    condition,
    conjunction,
    need_filter,
    poison,
    sql_type,
)
from gongshu.policies.types import Use

COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
EQUALITIES = frozenset({"=", "<>", "IS NOT DISTINCT FROM", "IS DISTINCT FROM", "IN"})
KEYS = frozenset({"=", "IS NOT DISTINCT FROM", "IN"})
"""Between columns of two relations these are join keys wherever they stand."""
Linked = Callable[[Scope, exp.Expression, bool, bool], Term | None]
LINKS: dict[type[exp.Expression], Linked] = {}
"""EXISTS and IN over relations, added by ``links``: node, whether it is negated, whether it is one of the AND-connected
parts of WHERE. ``None``: the rows without it are needed too, and the scope keeps it."""


def read_where(scope: Scope, node: exp.Expression) -> tuple[Term | None, tuple[Correlated, ...]]:
    """Return a WHERE, and apart from it the AND-connected parts that look at the SELECT around this one."""
    own: list[Term] = []
    correlated: list[Correlated] = []
    for part in conjuncts(scope, node):
        before = len(scope.reached)
        inner, is_negated = _without_not(part)
        if is_link(inner):
            linked = LINKS[type(inner)](scope, inner, is_negated, True)
            terms = [linked] if linked is not None else []
        else:
            terms = [as_condition(scope.gate.findings, bind(scope, part), "WHERE")]
        if len(scope.reached) > before:
            correlated += [Correlated(term, key_of(scope, part)) for term in terms]
        else:
            own += terms
    return all_of(own), tuple(correlated)


def conjuncts(scope: Scope, node: exp.Expression) -> list[exp.Expression]:
    """Return the AND-connected parts of a condition, in order."""
    found, rest = [], [node]
    while rest:
        part = rest.pop()
        scope.gate.step()
        if isinstance(part, exp.Paren) and isinstance(part.this, exp.And):
            scope.gate.only(part, "this")
            rest.append(part.this)
        elif isinstance(part, exp.And):
            scope.gate.only(part, "this", "expression")
            rest += [part.expression, part.this]
        else:
            found.append(part)
    return found


def _without_not(node: exp.Expression) -> tuple[exp.Expression, bool]:
    is_negated = False
    while isinstance(node, exp.Not | exp.Paren):
        is_negated ^= isinstance(node, exp.Not)
        node = node.this
    return node, is_negated


def is_link(node: exp.Expression) -> bool:
    """Whether ``node`` asks for rows of another relation."""
    return type(node) in LINKS and (not isinstance(node, exp.In) or node.args.get("query") is not None)


def key_of(scope: Scope, node: exp.Expression) -> tuple[Term, Term] | None:
    """Return the columns outside and inside when ``node`` is an equality by which a subquery may be linked."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.EQ) and isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column):
        inside = quiet(scope)
        return key_pair(scope, bind(inside, node.this), bind(inside, node.expression))
    return None


def key_pair(scope: Scope, left: Term, right: Term) -> tuple[Term, Term] | None:
    """Return both columns, the one outside first, if one of them stands outside and both may be keys."""
    outside = {i.alias for i in scope.outer.instances} if scope.outer is not None else set()
    for one, other in ((left, right), (right, left)):
        if is_key(one) and is_key(other) and one.source[1] in outside and other.source[1] not in outside:
            return one, other
    return None


def is_key(term: Term) -> bool:
    """Whether ``term`` is a column by which relations may be linked."""
    return bool(term.source) and (term.shape is Shape.COLUMN or term.is_released) and Use.JOIN in term.uses


def quiet(scope: Scope) -> Scope:
    """Return ``scope`` for looking at something again without noting anything twice."""
    return Scope(scope.gate.again(), scope.tables, scope.instances, outer=scope.outer, is_beside=scope.is_beside)


@handles(exp.And, exp.Or)
def _connected(scope: Scope, node: exp.Expression) -> Term:
    # A long chain leans to the left: walked without recursion, so that its length is not its depth.
    kind, parts, rest = type(node), [], node
    while type(rest) is kind:
        scope.gate.only(rest, "this", "expression")
        parts.append(rest.expression)
        rest = rest.this
    terms = [as_condition(scope.gate.findings, bind(scope, part), scope.place) for part in (rest, *reversed(parts))]
    connect = exp.and_ if kind is exp.And else exp.or_
    return condition(
        kind.__name__.upper(), tuple(terms), lambda: connect(*(t.emit(Form.VALUE) for t in terms), copy=False)
    )


@handles(exp.Not)
def _not(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    inner = as_condition(scope.gate.findings, bind(scope, node.this), scope.place)
    return condition("NOT", (inner,), lambda: exp.Not(this=inner.emit(Form.VALUE)))


@handles(*COMPARISONS)
def _comparison(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    return compare(scope, type(node), value(scope, node.this), value(scope, node.expression))


def compare(scope: Scope, kind: Any, left: Term, right: Term) -> Term:
    """Return one comparison, asking of its columns what their protection demands."""
    operator = COMPARISONS[kind]
    left, right = aligned(scope, operator, left, right)
    form = form_of(scope, operator, left, right)
    emit = lambda: kind(this=left.emit(form), expression=right.emit(form))  # noqa: E731
    return condition(operator, (left, right), emit, extra=(form.value,))


def form_of(scope: Scope, operator: str, left: Term, right: Term) -> Form:
    """Return in which form two terms are compared, asking of their columns what their protection demands."""
    findings = scope.gate.findings
    sides = (left, right)
    if "refused" in {left.mark[0], right.mark[0]}:
        return Form.VALUE  # there is a reason against it already
    links = operator in KEYS and all(t.shape is Shape.COLUMN and t.source for t in sides)
    if links and left.source != right.source:
        # An equality between columns of two relations is a join key wherever it stands.
        if all(Use.JOIN in t.uses or not t.bases for t in sides):
            is_released = not all(t.bases for t in sides)  # a released key has one form
            return Form.VALUE if is_released else _equality_form(left, right)
        if all(Use.COMPARE in t.uses for t in sides):
            return _equality_form(left, right)
        for term in sides:
            for column in term.bases:
                if Use.JOIN not in term.uses:
                    findings.add(JOIN_MISSING, operator=operator, column=column.name)
        return Form.VALUE
    if all(Use.FILTER in column.uses for t in sides for column in t.bases):
        return Form.VALUE
    protected = all(t.bases and Use.REVEAL not in t.uses for t in sides)
    simple = all(t.shape in {Shape.COLUMN, Shape.SCALED} for t in sides)
    same = bool(left.bases & right.bases)
    if protected and simple and not same:
        for term in sides:
            for column in term.bases:
                if Use.COMPARE not in term.uses:
                    findings.add(COMPARE_MISSING, operator=operator, column=column.name)
        return _equality_form(left, right) if operator in EQUALITIES else Form.RAW
    need_filter(findings, operator, left, right)
    return Form.VALUE


def _equality_form(left: Term, right: Term) -> Form:
    can_key = (
        left.shape is right.shape is Shape.COLUMN and left.keyed_as is not None and left.keyed_as is right.keyed_as
    )
    return Form.KEY if can_key else Form.RAW


def aligned(scope: Scope, operator: str, left: Term, right: Term) -> tuple[Term, Term]:
    """Return both sides in one family of types; a text constant beside a date is read as a date, or the statement refused."""
    first, second = family(left.data_type), family(right.data_type)
    if first == second or "null" in {first, second} or "refused" in {left.mark[0], right.mark[0]}:
        left, right = alike((left, right))
        return left, right
    if first == Family.TIME and right.is_constant and right.text is not None:
        return left, _as_time(right, left.data_type)
    if second == Family.TIME and left.is_constant and left.text is not None:
        return _as_time(left, right.data_type), right
    scope.gate.findings.add(TYPES_DIFFER, operator=operator, left=left.data_type, right=right.data_type)
    return left, right


def _as_time(term: Term, data_type: DataType | None) -> Term:
    written = functions.WRITTEN_TYPES[data_type or DataType.DATE]
    emit = lambda _: exp.TryCast(this=term.emit(Form.VALUE), to=sql_type(written))  # noqa: E731
    return replace(term, emit=emit, data_type=data_type, mark=("time", term.mark))


@handles(exp.Is)
def _is(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    left, right = bind(scope, node.this), node.expression
    if isinstance(right, exp.Null):
        form = _null_test(scope, left)
        return condition("IS NULL", (left,), lambda: exp.Is(this=left.emit(form), expression=exp.Null()))
    if isinstance(right, exp.Boolean):
        inner, truth = as_condition(scope.gate.findings, left, "IS"), bool(right.this)
        emit = lambda: exp.Is(this=inner.emit(Form.VALUE), expression=exp.Boolean(this=truth))  # noqa: E731
        return condition("IS", (inner,), emit, extra=(truth,))
    scope.gate.findings.add(CONSTRUCT_REFUSED, construct=f"IS {type(right).__name__.upper()}")
    return poison(DataType.BOOLEAN)


def _null_test(scope: Scope, term: Term) -> Form:
    """``IS NULL`` of the key on the optional side of an outer join asks whether a partner was found: ``join``.

    Of any other column, and of a key of FULL JOIN, it asks as well whether the value itself is missing.
    """
    keys = {t.mark for pair in scope.joins.equalities for t in pair} if scope.joins is not None else set()
    side = next((i for i in scope.instances if term.source == ("instance", i.alias)), None)
    optional = side is not None and side.is_optional and not side.is_full and term.mark in keys
    if optional and term.shape is Shape.COLUMN and Use.JOIN in term.uses and term.keyed_as is not None:
        return Form.KEY
    need_filter(scope.gate.findings, "IS NULL", term)
    return Form.VALUE


@handles(exp.Between)
def _between(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "low", "high")
    middle = value(scope, node.this)
    low = compare(scope, exp.GTE, middle, value(scope, node.args["low"]))
    high = compare(scope, exp.LTE, middle, value(scope, node.args["high"]))
    return condition("BETWEEN", (low, high), lambda: conjunction((low.emit(Form.VALUE), high.emit(Form.VALUE))))


@handles(exp.In)
def _in(scope: Scope, node: exp.Expression) -> Term:
    if is_link(node):
        return LINKS[exp.In](scope, node, False, False) or poison(DataType.BOOLEAN)
    scope.gate.only(node, "this", "expressions")
    left = value(scope, node.this)
    pairs = [aligned(scope, "IN", left, value(scope, part)) for part in node.expressions]
    left, *items = alike((left, *(pair[1] for pair in pairs)))  # one type for all: the engine would convert them itself
    for item in items:
        if item.bases:
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="IN (column)")
    need_filter(scope.gate.findings, "IN", left)
    emit = lambda: exp.In(this=left.emit(Form.VALUE), expressions=[t.emit(Form.VALUE) for t in items])  # noqa: E731
    return condition("IN", (left, *items), emit)


@handles(exp.Like, exp.ILike)
def _like(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression", "negate")
    kind, negate = type(node), bool(node.args.get("negate"))
    left, pattern = value(scope, node.this), value(scope, node.expression)
    for term in (left, pattern):
        if family(term.data_type) not in {Family.TEXT, "null"}:
            scope.gate.findings.add(TYPES_DIFFER, operator="LIKE", left=term.data_type, right=DataType.TEXT)
    need_filter(scope.gate.findings, "LIKE", left, pattern)

    def emit() -> exp.Expression:
        test = exp.Paren(this=kind(this=left.emit(Form.VALUE), expression=pattern.emit(Form.VALUE)))
        return exp.Not(this=test) if negate else test

    return condition(kind.__name__.upper(), (left, pattern), emit, extra=(negate,))
