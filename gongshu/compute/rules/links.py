"""EXISTS, IN, SEMI and ANTI JOIN: rows that are there because another relation has rows with their key, or has none.

The link is an equality of columns with ``join``. What was a condition in there is a condition on the rows here, so it is
hidden lineage, and the units that decide travel on:

- linked by the privacy unit of both, a row tells of its own unit and of no other: nothing else travels;
- otherwise each row carries the list of units that it meets, and every group needs enough of them, as after a join;
- NOT EXISTS and its likes tell of the rows taken away: so many units of the other relation must have taken rows out of
  each group. A group out of which nobody or one person took rows would say whether that person fits the condition.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.conditions import LINKS, aligned, form_of, key_pair
from gongshu.compute.rules.expressions import handles, value
from gongshu.compute.rules.groups import is_grouped
from gongshu.compute.rules.joins import LINKED_ROWS, Joins, write_from
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    JOIN_WITHOUT_KEY,
    LINK_MISPLACED,
    SUBQUERY_COLUMNS,
)
from gongshu.compute.rules.scopes import MANY, Correlated, Link, Scope, links_most
from gongshu.compute.rules.selects import read_query, read_rows, with_tables
from gongshu.compute.rules.showing import items_of
from gongshu.compute.rules.terms import (
    BaseColumn,
    Form,
    Term,
    all_of,
    column,
    condition,
    hidden_of,
    names,
    poison,
    quoted,
    union,
)
from gongshu.compute.rules.writing import fn

PLAIN_PARTS = ("expressions", "from_", "joins", "where", "with_")


@dataclass(frozen=True, eq=False)
class Inside:
    """The rows that are looked for: their scope, what holds of them, and what links them to the SELECT around."""

    scope: Scope
    joins: Joins
    own: Term | None
    linked: tuple[Correlated, ...]

    @property
    def conditions(self) -> tuple[Term, ...]:
        """Everything that decides whether there are such rows."""
        own = (self.own,) if self.own is not None else ()
        return (*self.joins.conditions, *own, *(c.test for c in self.linked))

    @property
    def hidden(self) -> frozenset[BaseColumn]:
        """Columns without ``reveal`` that decide."""
        return hidden_of(self.conditions) | union(i.source.hidden for i in self.scope.instances)

    def select(self, items: list[exp.Expression], tests: tuple[Term, ...]) -> exp.Expression:
        """Write the rows, restricted by ``tests``. The items have made their demands."""
        made = exp.Select(expressions=items)
        write_from(self.scope, self.joins, all_of(tests))(made)
        return exp.Subquery(this=made)

    def tests(self) -> tuple[Term, ...]:
        """Return what holds of a row that is met."""
        return (*((self.own,) if self.own is not None else ()), *(c.test for c in self.linked))


def _read(scope: Scope, node: exp.Expression) -> tuple[Inside, tuple[Term, ...]]:
    """Read a subquery that stands for its rows; return them and their columns."""
    gate = scope.gate
    while isinstance(node, exp.Subquery):
        gate.only(node, "this")
        node = node.this
    is_more = any(node.args.get(part) for part in ("distinct", "having", "order", "limit", "offset", "qualify"))
    if isinstance(node, exp.Select) and not is_grouped(node) and not is_more:
        gate.only(node, *PLAIN_PARTS)
        rows = read_rows(gate, with_tables(gate, scope.tables, node), node, scope)
        before = len(rows.scope.reached)
        found = tuple(term for _, term in _items(rows.scope, node))
        if len(rows.scope.reached) > before:
            gate.findings.add(CONSTRUCT_REFUSED, construct="SELECT (outer column)")
        own = all_of((*rows.joins.linked, *((rows.condition,) if rows.condition is not None else ())))
        for absence in rows.scope.absences:
            gate.findings.add(LINK_MISPLACED, place="NOT EXISTS / NOT IN", column=names(absence.test.hidden))
        return Inside(rows.scope, rows.joins, own, rows.correlated), found
    inner = Scope(gate, scope.tables, outer=scope)
    instance = inner.add(read_query(gate, scope.tables, node), "")
    inner.joins = Joins([("", None)])
    return Inside(inner, inner.joins, None, ()), instance.terms


def _items(scope: Scope, node: exp.Expression) -> tuple[tuple[str, Term], ...]:
    if any(isinstance(part, exp.Star) for part in node.expressions) and len(node.expressions) == 1:
        scope.gate.only(node.expressions[0])  # SELECT *: of EXISTS, whatever there is; of IN, all columns
        shown = [(i, k, n) for i in scope.instances if not i.is_hidden for k, (n, _) in enumerate(i.source.columns)]
        shown = [(i, k, n) for i, k, n in shown if k not in i.merged | i.unnamed]
        return tuple((n, i.shown(k)) for i, k, n in shown)
    return items_of(scope, node)


# --------------------------------------------------------------------------------------------- what travels on


def _uncovered(inside: Inside) -> list[int]:
    """Return the positions of units inside that are not, by the keys, the unit of the row outside."""
    covered = {c.key[1].unit for c in inside.linked if c.key is not None and c.key[0].unit is not None}
    for _ in inside.joins.same:  # of what is the same as a unit that is covered, or missing, so is its unit
        covered |= {unit for unit, other in inside.joins.same.items() if other in covered}
    count = sum(len(i.source.kinds) for i in inside.scope.instances) + sum(len(k.kinds) for k in inside.scope.links)
    return [position for position in range(count) if position not in covered]


def _kinds(inside: Inside) -> list[str]:
    own = [kind for i in inside.scope.instances for kind in i.source.kinds]
    return own + [kind for link in inside.scope.links for kind in link.kinds]


def _unit(inside: Inside, position: int) -> exp.Expression:
    for instance in inside.scope.instances:
        if position < instance.first_unit + len(instance.source.kinds):
            return column(instance.alias, instance.source.demand_unit(position - instance.first_unit))
    position -= sum(len(i.source.kinds) for i in inside.scope.instances)
    return [unit for link in inside.scope.links for unit in link.units][position]()


def _list(inside: Inside, position: int, most: int) -> exp.Expression:
    """Write the units that a row meets, as many as can matter: the smallest of their hashes."""
    unit = _unit(inside, position)
    if _kinds(inside)[position].startswith(MANY):
        every = fn("list_distinct", fn("flatten", fn("list", unit)))
    else:
        every = fn("list", exp.Distinct(expressions=[unit]))
    some = fn("list_slice", fn("list_sort", every), exp.Literal.number(1), exp.Literal.number(most))
    return inside.select([some], inside.tests())


def _travelling(inside: Inside, test: Term) -> Link | None:
    """Return what must travel on, if anything: not where everything that decides may be seen anyway."""
    positions = _uncovered(inside)
    if not positions or not (inside.hidden | test.hidden):
        return None
    kinds, most = _kinds(inside), links_most(inside.scope.gate.thresholds)
    return Link(
        test,
        tuple(kinds[p] if kinds[p].startswith(MANY) else MANY + kinds[p] for p in positions),
        tuple(partial(_list, inside, p, most) for p in positions),
    )


def _decided(inside: Inside, operator: str, outside: tuple[Term, ...], emit: Callable[[], exp.Expression]) -> Term:
    made = condition(operator, (*inside.conditions, *outside), emit, extra=(inside.scope.gate.fresh("link"),))
    return replace(
        made,
        hidden=made.hidden | union(i.source.hidden for i in inside.scope.instances),
        indirect=made.indirect | union(i.source.indirect for i in inside.scope.instances),
        loose=union(t.loose for t in (*inside.scope.reached, *outside)), is_constant=False, has_subquery=True,
    )  # fmt: skip


def _finished(scope: Scope, inside: Inside, test: Term, *, is_negated: bool, is_conjunct: bool) -> Term | None:
    """Return the condition, once its link has been found good and what must travel on is noted."""
    findings = scope.gate.findings
    if scope.place == "ON":
        findings.add(LINK_MISPLACED, place="ON", column=names(test.hidden))
    instances = inside.scope.instances
    is_rows = any(i.source.is_row_level for i in instances) or bool(inside.scope.links)
    if not any(c.key for c in inside.linked) and (is_rows or inside.linked):
        findings.add(JOIN_WITHOUT_KEY, relation=next((i.name for i in instances if i.name), "—"))
    made = condition("NOT", (test,), lambda: exp.Not(this=test.emit(Form.VALUE))) if is_negated else test
    link = _travelling(inside, made)
    if link is None:
        return made
    if not is_conjunct:
        findings.add(LINK_MISPLACED, place=scope.place, column=names(test.hidden))
    elif is_negated:
        scope.absences.append(link)
        return None
    else:
        scope.links.append(link)
    return made


# ------------------------------------------------------------------------------------------------- the constructs


def _exists(scope: Scope, node: exp.Expression, is_negated: bool, is_conjunct: bool) -> Term | None:  # noqa: FBT001
    scope.gate.only(node, "this")
    inside, _ = _read(scope, node.this)
    if not inside.scope.instances:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="EXISTS (SELECT without FROM)")
        return poison(DataType.BOOLEAN)
    return _exists_of(scope, inside, is_negated=is_negated, is_conjunct=is_conjunct)


def _exists_of(scope: Scope, inside: Inside, *, is_negated: bool, is_conjunct: bool) -> Term | None:
    def emit() -> exp.Expression:
        return exp.Exists(this=inside.select([exp.Literal.number(1)], inside.tests()).this)

    test = _decided(inside, "EXISTS", (), emit)
    return _finished(scope, inside, test, is_negated=is_negated, is_conjunct=is_conjunct)


def _in(scope: Scope, node: exp.Expression, is_negated: bool, is_conjunct: bool) -> Term | None:  # noqa: FBT001
    scope.gate.only(node, "this", "query")
    parts = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
    outside = tuple(value(scope, part) for part in parts)
    inside, columns = _read(scope, node.args["query"])
    if len(columns) != len(outside):
        scope.gate.findings.add(SUBQUERY_COLUMNS, place="IN", wanted=len(outside), given=len(columns))
        return poison(DataType.BOOLEAN)
    sides = [aligned(scope, "IN", left, right) for left, right in zip(outside, columns, strict=True)]
    pairs = [(left, right, form_of(scope, "IN", left, right)) for left, right in sides]

    def emit() -> exp.Expression:
        items: list[exp.Expression] = [
            exp.Alias(this=t.emit(form), alias=quoted(f"v{i}")) for i, (_, t, form) in enumerate(pairs)
        ]
        tested = [t.emit(form) for t, _, form in pairs]
        left = tested[0] if len(tested) == 1 else exp.Tuple(expressions=tested)
        return exp.In(this=left, query=inside.select(items, inside.tests()))

    met = replace(inside, linked=(*inside.linked, *(_equal(inside, *pair) for pair in pairs)))
    inside.scope.reached += outside
    test = _decided(met, "IN", outside, emit)
    if not any(i.source.is_row_level for i in inside.scope.instances) and not inside.scope.links:
        # A released list: whatever is tested against it has had the use that it needs.
        return condition("NOT", (test,), lambda: exp.Not(this=test.emit(Form.VALUE))) if is_negated else test
    return _finished(scope, met, test, is_negated=is_negated, is_conjunct=is_conjunct)


def _equal(inside: Inside, left: Term, right: Term, form: Form) -> Correlated:
    test = condition("=", (left, right), lambda: exp.EQ(this=left.emit(form), expression=right.emit(form)))
    return Correlated(test, key_pair(inside.scope, left, right))


def _half(inner: Scope, own: Term | None, linked: tuple[Correlated, ...], is_negated: bool) -> Term | None:  # noqa: FBT001
    """SEMI and ANTI JOIN, once both sides and ON or USING have been read."""
    if inner.outer is None:
        raise ValueError("a SEMI JOIN stands beside something")
    inside = Inside(inner, inner.joins, own, linked)
    return _exists_of(inner.outer, inside, is_negated=is_negated, is_conjunct=True)


LINKS.update({exp.Exists: _exists, exp.In: _in})
LINKED_ROWS.append(_half)


@handles(exp.Exists)
def _exists_anywhere(scope: Scope, node: exp.Expression) -> Term:
    return _exists(scope, node, False, False) or poison(DataType.BOOLEAN)
