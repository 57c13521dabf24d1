"""What a SELECT shows: its list with stars expanded, HAVING, QUALIFY, ORDER BY, LIMIT; and what order may betray."""

from sqlglot import exp

from gongshu.compute.rules.expressions import bind, value
from gongshu.compute.rules.parameters import literal_of
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    FUNCTION_ARGUMENTS,
    LIMIT_NOT_LITERAL,
    NAME_REPEATED,
    ORDER_BETRAYS,
    POSITION_REFUSED,
    RELATION_UNKNOWN,
)
from gongshu.compute.rules.relations import Shown
from gongshu.compute.rules.scopes import Scope, fold
from gongshu.compute.rules.staging import Rows
from gongshu.compute.rules.terms import (
    Term,
    as_condition,
)
from gongshu.policies.types import Use


def items_of(scope: Scope, node: exp.Expression) -> tuple[tuple[str, Term], ...]:
    """Return the columns of the SELECT list with their names, stars expanded."""
    found: list[tuple[str, Term]] = []
    for part in node.expressions:
        inner = part.this if isinstance(part, exp.Alias) else part
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            found += star(scope, part)
            continue
        name = ""
        if isinstance(part, exp.Alias):
            scope.gate.only(part, "this", "alias")
            name = part.alias
        term = value(scope, inner)
        found.append((name or inner.output_name or f"column{len(found) + 1}", term))
    seen = set[str]()
    for name, _ in found:
        if fold(name) in seen:
            scope.gate.findings.add(NAME_REPEATED, name=name)
        seen.add(fold(name))
    return tuple(found)


def star(scope: Scope, node: exp.Expression) -> list[tuple[str, Term]]:
    """Return the columns of ``*`` or ``relation.*``."""
    if isinstance(node, exp.Column):
        scope.gate.only(node, "this", "table")
        scope.gate.only(node.this)
        wanted = fold(node.args["table"].name) if node.args.get("table") else None
        instances = [i for i in scope.instances if not i.is_hidden and (wanted is None or fold(i.name) == wanted)]
        if not instances:
            scope.gate.findings.add(RELATION_UNKNOWN, relation=node.args["table"].name, known=_names_of(scope))
    else:
        if not isinstance(node, exp.Star):
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="* AS")
            return []
        scope.gate.only(node)
        instances = [i for i in scope.instances if not i.is_hidden]
    is_bare = isinstance(node, exp.Star)
    return [
        (name, scope.keys.get(term.mark, term))
        for i in instances
        for index, (name, _) in enumerate(i.source.columns)
        if index not in i.merged and index not in i.unnamed
        for term in (i.shown(index) if is_bare else i.term(index),)
    ]


def _names_of(scope: Scope) -> str:
    return ", ".join(i.name for i in scope.instances if i.name) or "—"


def read_shown(scope: Scope, node: exp.Expression, items: tuple[tuple[str, Term], ...]) -> Shown:
    shown = Shown(is_distinct=False)
    scope.aliases = {fold(name): term for name, term in items}
    for part in ("having", "qualify"):
        if node.args.get(part) is not None:
            scope.place = part.upper()
            setattr(shown, part, as_condition(scope.gate.findings, bind(scope, node.args[part].this), part.upper()))
    scope.place, scope.prefers_alias = "ORDER BY", True
    order = node.args.get("order")
    if order is not None:
        scope.gate.only(order, "expressions")
        shown.order = tuple(_ordered(scope, item) for item in order.expressions)
    shown.limit = _whole(scope, node.args.get("limit"), exp.Limit, "LIMIT")
    shown.offset = _whole(scope, node.args.get("offset"), exp.Offset, "OFFSET")
    return shown


def _ordered(scope: Scope, item: exp.Expression) -> tuple[Term, bool, bool]:
    scope.gate.only(item, "this", "desc", "nulls_first")
    inner = item.this
    if isinstance(inner, exp.Literal):
        refuse_position(scope, "ORDER BY", inner, list(scope.aliases))
    return value(scope, inner), bool(item.args.get("desc")), bool(item.args.get("nulls_first"))


def refuse_position(scope: Scope, place: str, node: exp.Expression, shown: list[str]) -> None:
    """Refuse a column named by its position, with the name to write instead."""
    is_number = not node.is_string and str(node.this).isdigit()
    position = int(node.this) if is_number and len(str(node.this)) < 5 else 0
    names = shown[position - 1 : position] if position else []
    construct = f"{place} {node.this}" if is_number else place
    scope.gate.findings.add(POSITION_REFUSED, construct=construct[:60], name=(names or ["—"])[0] or "—")


def _whole(scope: Scope, node: exp.Expression | None, kind: type[exp.Expression], construct: str) -> str:
    if node is None:
        return ""
    if type(node) is kind and scope.gate.only(node, "expression"):
        literal = node.expression
        if isinstance(literal, exp.Placeholder):
            literal = literal_of(scope.gate, literal)
            if literal is None:
                return ""
        if isinstance(literal, exp.Literal) and not literal.is_string and str(literal.this).isdigit():
            return str(int(literal.this))
    scope.gate.findings.add(LIMIT_NOT_LITERAL, construct=construct)
    return ""


def read_distinctness(rows: Rows, node: exp.Expression, shown: Shown) -> None:
    """Read DISTINCT of released rows, or DISTINCT ON, whose choice of rows follows from the ORDER BY."""
    distinct, scope = node.args.get("distinct"), rows.scope
    if distinct is None:
        return
    on = distinct.args.get("on")
    if on is None:
        scope.gate.only(distinct)
        shown.is_distinct = True
        return
    scope.gate.only(distinct, "on")
    parts = on.expressions if isinstance(on, exp.Tuple) else [on]
    shown.distinct_on = tuple(value(scope, part) for part in parts)
    if rows.is_row_level and not shown.order:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="DISTINCT ON", expected="ORDER BY")


def check_order(rows: Rows, items: tuple[tuple[str, Term], ...], shown: Shown) -> None:
    findings = rows.scope.gate.findings
    terms = [*(t for t, _, _ in shown.order), *shown.distinct_on]
    if shown.limit or shown.offset or shown.distinct_on:
        terms += [t for _, t in items]
        for base in sorted(rows.hidden, key=lambda b: b.name):
            findings.add(ORDER_BETRAYS, column=base.name)
    for term in terms:
        for base in sorted(term.bases | term.hidden, key=lambda b: b.name):
            if Use.REVEAL not in base.uses:
                findings.add(ORDER_BETRAYS, column=base.name)
