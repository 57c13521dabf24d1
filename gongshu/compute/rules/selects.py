"""Reads queries: WITH, SELECT, set operations. Subqueries are bound by scope, never by name alone."""

from dataclasses import dataclass

from sqlglot import exp

from gongshu.compute.rules.aggregates import known_aggregate
from gongshu.compute.rules.expressions import bind, handles, value
from gongshu.compute.rules.functions import family
from gongshu.compute.rules.joins import read_from, write_from
from gongshu.compute.rules.refusals import (
    COLUMN_NOT_GROUPED,
    CONSTRUCT_REFUSED,
    GROUP_MISSING,
    IDENTIFIER_AMBIGUOUS,
    LIMIT_NOT_LITERAL,
    NAME_REPEATED,
    ORDER_BETRAYS,
    POSITION_REFUSED,
    RELATION_UNKNOWN,
    STATEMENT_NOT_A_QUERY,
    SUBQUERY_NOT_RELEASED,
    UNION_COLUMNS_DIFFER,
    UNION_UNITS_DIFFER,
)
from gongshu.compute.rules.relations import Selected, Shown, United
from gongshu.compute.rules.scopes import Gate, Governed, Instance, Scope, Source, Staged, fold
from gongshu.compute.rules.stages import Collector, Draft
from gongshu.compute.rules.staging import Rows, over_stage, stage
from gongshu.compute.rules.terms import (
    Form,
    Term,
    as_condition,
    hidden_of,
    need,
    poison,
    quoted,
    union,
)
from gongshu.policies.types import Use

SELECT_PARTS = (
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset", "distinct",
    "with_",
)  # fmt: skip


@dataclass
class Named:
    """A CTE: its tree with what was visible where it stands, or the stage that it became."""

    node: exp.Expression
    tables: dict[str, "Named"]
    staged: Staged | None = None


Tables = dict[str, Named]


def read_query(gate: Gate, tables: Tables, node: exp.Expression) -> Source:
    """Return the relation that a query makes."""
    gate.step()
    if isinstance(node, exp.Subquery):
        gate.only(node, "this")
        return read_query(gate, tables, node.this)
    if isinstance(node, exp.Select):
        return _read_select(gate, _with(gate, tables, node), node)
    if isinstance(node, exp.SetOperation):
        return _read_set(gate, _with(gate, tables, node), node)
    gate.findings.add(STATEMENT_NOT_A_QUERY, construct=type(node).__name__.upper())
    return Staged("refused", (), is_single_row=True)


def _with(gate: Gate, tables: Tables, node: exp.Expression) -> Tables:
    given = node.args.get("with_")
    if given is None:
        return tables
    gate.only(given, "expressions")
    visible, here = dict(tables), set[str]()
    for cte in given.expressions:
        gate.only(cte, "this", "alias")
        alias = cte.args["alias"]
        gate.only(alias, "this")
        name = fold(alias.this.name)
        if name in here:
            gate.findings.add(NAME_REPEATED, name=alias.this.name)
        here.add(name)
        entry = Named(cte.this, dict(visible))
        source = read_query(gate, entry.tables, cte.this)  # looked at even when nobody uses it
        if not source.is_row_level:
            entry.staged = _kept(gate, source)
        visible[name] = entry
    return visible


def _kept(gate: Gate, source: Source) -> Staged:
    """Return a released relation as a stage of its own, so that it is computed once however often it is used."""
    instance = Instance(gate.fresh("r"), "", source, 0)
    items = [exp.Alias(this=t.emit(Form.VALUE), alias=quoted(f"c{i}")) for i, t in enumerate(instance.terms)]
    items += [
        exp.Alias(this=exp.Boolean(this=True), alias=quoted("passes")),
        exp.Alias(this=exp.Null(), alias=quoted("units")),
        exp.Alias(this=exp.Boolean(this=False), alias=quoted("negative")),
    ]
    query = exp.Select(expressions=items, from_=exp.From(this=instance.emit()))
    name = gate.fresh("stage")
    if not gate.findings.reasons:
        gate.drafts.append(Draft(name, query, 0, len(source.columns), is_guarded=False))
    names, terms = tuple(n for n, _ in source.columns), tuple(t for _, t in source.columns)
    return Staged(name, terms, is_single_row=source.is_single_row, names=names)


def find_table(gate: Gate, tables: Tables, name: str) -> Source:
    """Return the CTE or governed relation called ``name``; a CTE hides a relation of the same name."""
    entry = tables.get(fold(name))
    if entry is not None:
        return entry.staged or read_query(gate, entry.tables, entry.node)
    relation = gate.relations.get(fold(name))
    if relation is not None:
        return Governed(gate, relation)
    known = ", ".join(sorted(r.name for r in gate.relations.values()))
    gate.findings.add(RELATION_UNKNOWN, relation=name, known=known or "—")
    return Staged("refused", (), is_single_row=True)


# --------------------------------------------------------------------------------------------------------- SELECT


def _read_select(gate: Gate, tables: Tables, node: exp.Expression) -> Source:
    gate.only(node, *SELECT_PARTS)
    scope = Scope(gate, tables)
    joins = read_from(
        scope, node, lambda inner: read_query(gate, tables, inner), lambda name: find_table(gate, tables, name)
    )
    findings = gate.findings
    condition = None
    if node.args.get("where") is not None:
        scope.place = "WHERE"
        condition = as_condition(findings, bind(scope, node.args["where"].this), "WHERE")
        scope.place = "SELECT"
    joins.check_links(scope, node)
    conditions = (*joins.conditions, *((condition,) if condition is not None else ()))
    hidden = hidden_of(conditions) | union(i.source.hidden for i in scope.instances)
    indirect = union(t.direct | t.indirect for t in conditions) | union(i.source.indirect for i in scope.instances)
    rows = Rows(scope, condition, joins, hidden, indirect)
    if _is_grouped(node):
        return _grouped(rows, node)
    if node.args.get("having") is not None:
        findings.add(CONSTRUCT_REFUSED, construct="HAVING")
    if node.args.get("distinct") is not None and any(i.source.is_row_level for i in scope.instances):
        return _distinct(rows, node)
    return _plain(rows, node)


def _aggregates_in(node: exp.Expression | None) -> bool:
    if node is None or isinstance(node, exp.Query):
        return False
    if known_aggregate(node) is not None:
        return True
    below = list(node.iter_expressions())
    if isinstance(node, exp.Window):
        below = [*node.this.iter_expressions(), *(part for part in below if part is not node.this)]
    return any(_aggregates_in(part) for part in below)


def _is_grouped(node: exp.Expression) -> bool:
    parts = [*node.expressions, node.args.get("having"), node.args.get("order"), node.args.get("qualify")]
    return node.args.get("group") is not None or any(_aggregates_in(part) for part in parts)


def _items(scope: Scope, node: exp.Expression) -> tuple[tuple[str, Term], ...]:
    """Return the columns of the SELECT list with their names, stars expanded."""
    found: list[tuple[str, Term]] = []
    for part in node.expressions:
        inner = part.this if isinstance(part, exp.Alias) else part
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            found += _star(scope, part)
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


def _star(scope: Scope, node: exp.Expression) -> list[tuple[str, Term]]:
    if isinstance(node, exp.Column):
        scope.gate.only(node, "this", "table")
        scope.gate.only(node.this)
        wanted = fold(node.args["table"].name) if node.args.get("table") else None
        instances = [i for i in scope.instances if wanted is None or fold(i.name) == wanted]
        if not instances:
            scope.gate.findings.add(RELATION_UNKNOWN, relation=node.args["table"].name, known=_names_of(scope))
    else:
        if not isinstance(node, exp.Star):
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="* AS")
            return []
        scope.gate.only(node)
        instances = scope.instances
    return [
        (name, scope.keys.get(i.term(index).mark, i.term(index)))
        for i in instances
        for index, (name, _) in enumerate(i.source.columns)
        if index not in i.merged
    ]


def _names_of(scope: Scope) -> str:
    return ", ".join(i.name for i in scope.instances if i.name) or "—"


def _shown(scope: Scope, node: exp.Expression, items: tuple[tuple[str, Term], ...]) -> Shown:
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
        scope.gate.findings.add(
            POSITION_REFUSED, construct=f"ORDER BY {inner.this}" if not inner.is_string else "ORDER BY"
        )
    return value(scope, inner), bool(item.args.get("desc")), bool(item.args.get("nulls_first"))


def _whole(scope: Scope, node: exp.Expression | None, kind: type[exp.Expression], construct: str) -> str:
    if node is None:
        return ""
    if type(node) is kind and scope.gate.only(node, "expression"):
        literal = node.expression
        if isinstance(literal, exp.Literal) and not literal.is_string and str(literal.this).isdigit():
            return str(int(literal.this))
    scope.gate.findings.add(LIMIT_NOT_LITERAL, construct=construct)
    return ""


def _plain(rows: Rows, node: exp.Expression) -> Source:
    """Read a SELECT without groups: rows stay rows, groups stay groups."""
    scope = rows.scope
    items = _items(scope, node)
    shown = _shown(scope, node, items)
    shown.is_distinct = node.args.get("distinct") is not None
    if shown.is_distinct:
        scope.gate.only(node.args["distinct"])
    is_row_level = any(i.source.is_row_level for i in scope.instances)
    if is_row_level:
        _check_order(rows, items, shown)
    made = Selected(
        items, tuple(scope.instances), shown, write_from(scope, rows.joins, rows.condition),
        is_row_level=is_row_level,
        is_single_row=not is_row_level and all(i.source.is_single_row for i in scope.instances),
    )  # fmt: skip
    made.hidden, made.indirect = rows.hidden, rows.indirect
    made.hidden_by = "WHERE" if rows.condition is not None else "JOIN"
    if shown.qualify is not None:
        made.hidden |= hidden_of((shown.qualify,))
    return made


def _check_order(rows: Rows, items: tuple[tuple[str, Term], ...], shown: Shown) -> None:
    findings = rows.scope.gate.findings
    terms = [t for t, _, _ in shown.order]
    if shown.limit or shown.offset:
        terms += [t for _, t in items]
        for base in sorted(rows.hidden, key=lambda b: b.name):
            findings.add(ORDER_BETRAYS, column=base.name)
    for term in terms:
        for base in sorted(term.bases | term.hidden, key=lambda b: b.name):
            if Use.REVEAL not in base.uses:
                findings.add(ORDER_BETRAYS, column=base.name)


# --------------------------------------------------------------------------------------------------------- groups


def _keys(scope: Scope, node: exp.Expression) -> list[Term]:
    group = node.args.get("group")
    if group is None:
        return []
    scope.gate.only(group, "expressions")
    scope.place = "GROUP BY"
    aliases = {fold(p.alias): p.this for p in node.expressions if isinstance(p, exp.Alias)}
    found: list[Term] = []
    for part in group.expressions:
        if isinstance(part, exp.Literal):
            scope.gate.findings.add(
                POSITION_REFUSED, construct=f"GROUP BY {part.this}" if not part.is_string else "GROUP BY"
            )
            continue
        found.append(_key(scope, part, aliases))
    return [t for i, t in enumerate(found) if t.mark not in {other.mark for other in found[:i]}]


def _key(scope: Scope, part: exp.Expression, aliases: dict[str, exp.Expression]) -> Term:
    is_name = isinstance(part, exp.Column) and part.args.get("table") is None
    named = aliases.get(fold(part.name)) if is_name else None
    if named is None:
        return value(scope, part)
    is_column = any(fold(n) == fold(part.name) for i in scope.instances for n, _ in i.source.columns)
    if not is_column:
        return value(scope, named)
    own = value(scope, part)
    if _aggregates_in(named) or value(scope, named).mark != own.mark:
        scope.gate.findings.add(IDENTIFIER_AMBIGUOUS, name=part.name)
    return own


def _grouped(rows: Rows, node: exp.Expression) -> Source:
    scope, findings = rows.scope, rows.scope.gate.findings
    keys = _keys(scope, node)
    for key in keys:
        need(findings, key, Use.GROUP, GROUP_MISSING, "GROUP BY")
    collector = Collector(scope.gate.fresh("r"), keys)
    collector.indirect = rows.indirect | union(k.direct | k.indirect for k in keys)
    scope.keys = {
        key.mark: collector.released(i, key.data_type, (key,)) for i, key in enumerate(keys) if not key.is_constant
    }
    scope.is_grouped, scope.collects, scope.place = True, collector, "SELECT"
    items = _items(scope, node)
    shown = _shown(scope, node, items)
    _check_grouped(scope, items, shown)
    staged = stage(rows, collector, is_single_row=not keys)
    if node.args.get("distinct") is not None:
        scope.gate.only(node.args["distinct"])
        shown.is_distinct = True
    return over_stage(collector, staged, items, shown)


def _check_grouped(scope: Scope, items: tuple[tuple[str, Term], ...], shown: Shown) -> None:
    terms = [t for _, t in items] + [t for t, _, _ in shown.order]
    terms += [t for t in (shown.having, shown.qualify) if t is not None]
    for term in terms:
        for shown_name in sorted(term.loose):
            scope.gate.findings.add(COLUMN_NOT_GROUPED, column=shown_name)


def _distinct(rows: Rows, node: exp.Expression) -> Source:
    """Read SELECT DISTINCT over rows: grouping by all columns, thresholds included."""
    scope = rows.scope
    scope.gate.only(node.args["distinct"])
    items = _items(scope, node)
    return _grouping(rows, node, items, "DISTINCT")


def _grouping(rows: Rows, node: exp.Expression, items: tuple[tuple[str, Term], ...], operator: str) -> Source:
    scope = rows.scope
    for _, term in items:
        need(scope.gate.findings, term, Use.GROUP, GROUP_MISSING, operator)
    keys = list({t.mark: t for _, t in items}.values())
    collector = Collector(scope.gate.fresh("r"), keys)
    collector.indirect = rows.indirect
    scope.keys = {key.mark: collector.released(i, key.data_type, (key,)) for i, key in enumerate(keys)}
    scope.is_grouped, scope.collects = True, collector
    released = tuple((name, scope.keys[term.mark]) for name, term in items)
    shown = _shown(scope, node, released)
    _check_grouped(scope, released, shown)
    return over_stage(collector, stage(rows, collector, is_single_row=False), released, shown)


# ------------------------------------------------------------------------------------------------- set operations


def _read_set(gate: Gate, tables: Tables, node: exp.Expression) -> Source:
    gate.only(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
    kind, is_distinct = type(node), bool(node.args.get("distinct"))
    left, right = read_query(gate, tables, node.this), read_query(gate, tables, node.expression)
    types = [[family(t.data_type) for _, t in side.columns] for side in (left, right)]
    fits = len(types[0]) == len(types[1]) and all(a == b or "null" in {a, b} for a, b in zip(*types, strict=True))
    if not fits:
        gate.findings.add(UNION_COLUMNS_DIFFER, left=", ".join(types[0]), right=", ".join(types[1]))
        return left
    is_row_level = left.is_row_level or right.is_row_level
    if is_row_level and left.kinds != right.kinds:
        kinds = [" + ".join(side.kinds) or "—" for side in (left, right)]
        gate.findings.add(UNION_UNITS_DIFFER, left=kinds[0], right=kinds[1])
        return left
    if is_row_level and kind is not exp.Union:
        gate.findings.add(CONSTRUCT_REFUSED, construct=kind.__name__.upper())
        return left
    united = United(gate, left, right, kind, is_distinct=is_distinct and not is_row_level)
    scope = Scope(gate, tables)
    scope.add(united, "")
    joins = read_from(scope, exp.Select(), lambda _: united, lambda _: united)
    rows = Rows(scope, None, joins, united.hidden, united.indirect)
    items = tuple((name, scope.instances[0].term(i)) for i, (name, _) in enumerate(united.columns))
    if is_distinct and is_row_level:
        return _grouping(rows, node, items, "UNION")
    shown = _shown(scope, node, items)
    if is_row_level:
        _check_order(rows, items, shown)
    made = Selected(
        items,
        tuple(scope.instances),
        shown,
        write_from(scope, joins, None),
        is_row_level=is_row_level,
        is_single_row=False,
    )
    made.hidden, made.indirect, made.hidden_by = united.hidden, united.indirect, united.hidden_by
    return made


# ---------------------------------------------------------------------------------------------- subqueries as values


def released_column(scope: Scope, node: exp.Expression, place: str, *, is_single: bool = False) -> Term:
    """Return a subquery of one released column, to be written where a value or a list of values stands."""
    source = read_query(scope.gate, scope.tables, node)
    if source.is_row_level or len(source.columns) != 1 or (is_single and not source.is_single_row):
        scope.gate.findings.add(SUBQUERY_NOT_RELEASED, place=place)
        return poison()
    instance = Instance(scope.gate.fresh("r"), "", source, 0)
    term = instance.term(0)

    def emit(_: Form) -> exp.Expression:
        items = [exp.Alias(this=term.emit(Form.VALUE), alias=quoted("v"))]
        return exp.Subquery(this=exp.Select(expressions=items, from_=exp.From(this=instance.emit())))

    return Term(
        term.data_type, ("subquery", instance.alias), emit, is_released=True, direct=term.direct,
        indirect=term.indirect | source.indirect, has_subquery=True,
    )  # fmt: skip


@handles(exp.Subquery)
def _scalar(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    return released_column(scope, node.this, scope.place, is_single=True)
