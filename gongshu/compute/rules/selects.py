"""Reads queries: WITH, SELECT, set operations. Subqueries are bound by scope, never by name alone."""

from dataclasses import dataclass

from sqlglot import exp

from gongshu.compute.rules.conditions import read_where
from gongshu.compute.rules.groups import is_grouped, read_distinct, read_grouped
from gongshu.compute.rules.joins import read_from, write_from
from gongshu.compute.rules.refusals import (
    ABSENCE_MISPLACED,
    CONSTRUCT_REFUSED,
    NAME_REPEATED,
    RELATION_UNKNOWN,
    STATEMENT_NOT_A_QUERY,
)
from gongshu.compute.rules.relations import Selected, is_row_wise
from gongshu.compute.rules.scopes import Correlated, Gate, Governed, Instance, Scope, Source, Staged, fold
from gongshu.compute.rules.sets import read_set
from gongshu.compute.rules.showing import check_order, items_of, read_distinctness, read_shown
from gongshu.compute.rules.stages import Draft
from gongshu.compute.rules.staging import Rows
from gongshu.compute.rules.terms import (
    Form,
    all_of,
    hidden_of,
    names,
    quoted,
    union,
)
from gongshu.compute.rules.windows import RowWindows

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
        return _read_select(gate, with_tables(gate, tables, node), node)
    if isinstance(node, exp.SetOperation):
        visible = with_tables(gate, tables, node)
        return read_set(gate, visible, node, lambda side: read_query(gate, visible, side))
    gate.findings.add(STATEMENT_NOT_A_QUERY, construct=type(node).__name__.upper())
    return Staged("refused", (), is_single_row=True)


def with_tables(gate: Gate, tables: Tables, node: exp.Expression) -> Tables:
    """Return the CTEs visible in ``node``: those around it and its own."""
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
    shown, terms = tuple(n for n, _ in source.columns), tuple(t for _, t in source.columns)
    return Staged(name, terms, is_single_row=source.is_single_row, names=shown)


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


def read_rows(gate: Gate, tables: Tables, node: exp.Expression, outer: Scope | None = None) -> Rows:
    """Read FROM and WHERE of a SELECT. Conditions on ``outer``, the SELECT around a subquery, are kept apart."""
    scope = Scope(gate, tables, outer=outer)
    joins = read_from(
        scope, node, lambda inner: read_query(gate, tables, inner), lambda name: find_table(gate, tables, name)
    )
    scope.joins, beside = joins, joins.linked
    condition, correlated = None, tuple[Correlated, ...]()
    if node.args.get("where") is not None:
        scope.place = "WHERE"
        condition, correlated = read_where(scope, node.args["where"].this)
        scope.place = "SELECT"
    joins.check_links(scope, node)
    condition = all_of((*beside, *((condition,) if condition is not None else ())))
    tests = (*joins.conditions, *(c.test for c in correlated), *(a.test for a in scope.absences))
    conditions = (*tests, *((condition,) if condition is not None else ()))
    hidden = hidden_of(conditions) | union(i.source.hidden for i in scope.instances)
    indirect = union(t.direct | t.indirect for t in conditions) | union(i.source.indirect for i in scope.instances)
    return Rows(scope, condition, joins, hidden, indirect, correlated)


def _read_select(gate: Gate, tables: Tables, node: exp.Expression) -> Source:
    gate.only(node, *SELECT_PARTS)
    return read_shown_rows(read_rows(gate, tables, node), node)


def read_shown_rows(rows: Rows, node: exp.Expression) -> Source:
    """Return what a SELECT makes of its rows."""
    if is_grouped(node):
        return read_grouped(rows, node)
    if node.args.get("having") is not None:
        rows.scope.gate.findings.add(CONSTRUCT_REFUSED, construct="HAVING")
    if node.args.get("distinct") is not None and node.args["distinct"].args.get("on") is None and rows.is_row_level:
        return read_distinct(rows, node)
    return _plain(rows, node)


def _plain(rows: Rows, node: exp.Expression) -> Source:
    """Read a SELECT without groups: rows stay rows, groups stay groups."""
    scope = rows.scope
    for absence in scope.absences:
        scope.gate.findings.add(ABSENCE_MISPLACED, column=names(absence.test.hidden))
    windows = RowWindows(rows, node)
    scope.windows = windows
    items = items_of(scope, node)
    shown = read_shown(scope, node, items)
    windows.finish()
    is_row_level = rows.is_row_level
    read_distinctness(rows, node, shown)
    if is_row_level:
        check_order(rows, items, shown)
    made = Selected(
        items, tuple(scope.instances), shown, windows.write(write_from(scope, rows.joins, rows.condition)),
        is_row_level=is_row_level,
        is_single_row=not is_row_level and all(i.source.is_single_row for i in scope.instances),
        links=tuple(scope.links), same=() if scope.gate.is_noisy else frozenset(rows.joins.same),
    )  # fmt: skip
    made.hidden, made.indirect = rows.hidden, rows.indirect
    made.is_row_wise = scope.gate.is_noisy and is_row_wise(items, shown, tuple(scope.instances))
    made.hidden_by = "WHERE" if rows.condition is not None else "JOIN"
    if shown.qualify is not None:
        made.hidden |= hidden_of((shown.qualify,))
    return made
