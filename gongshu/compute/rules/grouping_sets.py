"""GROUPING SETS, ROLLUP, CUBE and GROUPING(): each set of keys is a stage of its own, and they are shown under each other.

Coarse sets come first, so that the parts of a total are looked at after it (``part_totals``).
"""

import itertools
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.expressions import bind, handles
from gongshu.compute.rules.refusals import AGGREGATE_MISPLACED, COLUMN_NOT_GROUPED, STATEMENT_TOO_LARGE
from gongshu.compute.rules.scopes import Scope, Staged
from gongshu.compute.rules.stages import Collector
from gongshu.compute.rules.terms import Mark, Term, column, literal_number, paren, poison, quoted
from gongshu.compute.rules.writing import name, named

SETS_MAX = 32
SET = "set:"
"""The column that says to which set a group belongs."""
Alternatives = list[tuple[exp.Expression, ...]]


def sets_in(scope: Scope, parts: list[exp.Expression]) -> Alternatives:
    """Return the sets of keys that a GROUP BY lists: one, unless ROLLUP, CUBE or GROUPING SETS stand in it."""
    made: Alternatives = [()]
    for part in parts:
        more = _alternatives(scope, part)
        if len(made) * len(more) > SETS_MAX:
            scope.gate.findings.add(STATEMENT_TOO_LARGE, limit=SETS_MAX)
            return made
        made = [(*one, *other) for one in made for other in more]
    return made


def _alternatives(scope: Scope, part: exp.Expression) -> Alternatives:
    scope.gate.step()
    if isinstance(part, exp.Rollup | exp.Cube | exp.GroupingSets):
        scope.gate.only(part, "expressions")
    match part:
        case exp.Rollup():
            lists = [_listed(e) for e in part.expressions]
            return [tuple(itertools.chain(*lists[:n])) for n in range(len(lists), -1, -1)]
        case exp.Cube():
            lists = [_listed(e) for e in part.expressions][: SETS_MAX.bit_length()]
            chosen = itertools.product((True, False), repeat=len(lists))
            return [tuple(itertools.chain(*itertools.compress(lists, c))) for c in chosen]
        case exp.GroupingSets():
            return [one for inner in part.expressions for one in _alternatives(scope, inner)][: SETS_MAX + 1]
        case _:
            return [_listed(part)]


def _listed(node: exp.Expression) -> tuple[exp.Expression, ...]:
    return tuple(node.expressions) if isinstance(node, exp.Tuple) else (node,)


def united(collector: Collector, stages: tuple[Staged, ...]) -> exp.Expression:
    """Write the groups of every set under each other, with NULL for the keys that a set has not."""
    branches = [_branch(collector, stages, position) for position in range(len(stages))]
    made: Any = branches[0]
    for branch in branches[1:]:
        made = exp.Union(this=made, expression=branch, distinct=False)
    return exp.Subquery(this=made)


def _branch(collector: Collector, stages: tuple[Staged, ...], position: int) -> exp.Select:
    here, own = "here:", collector.sets[position]
    items = [
        named(name(f"c{own.index(i)}", here) if i in own else exp.Null(), f"c{i}") for i in range(len(collector.keys))
    ]
    items += [
        named(name(f"c{len(own) + j}", here), f"c{len(collector.keys) + j}") for j in range(len(collector.wanted))
    ]
    items.append(named(exp.Literal.number(position), SET))
    written = stages[position].emit()
    written.set("alias", exp.TableAlias(this=quoted(here)))
    return exp.Select(expressions=items, from_=exp.From(this=written))


@handles(exp.Grouping, exp.GroupingId)
def _grouping(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expressions")
    collector = scope.collects
    if not isinstance(collector, Collector):
        scope.gate.findings.add(AGGREGATE_MISPLACED, function="GROUPING", place=scope.place)
        return poison(DataType.INTEGER)
    rows = Scope(scope.gate, scope.tables, scope.instances)
    terms = [bind(rows, part) for part in [*([node.this] if node.args.get("this") else []), *node.expressions]]
    marks: dict[Mark, int] = {key.mark: i for i, key in enumerate(collector.keys)}
    for term in terms:
        if term.mark not in marks:
            scope.gate.findings.add(COLUMN_NOT_GROUPED, column=", ".join(sorted(term.loose)) or "GROUPING")
            return poison(DataType.INTEGER)
    wanted = tuple(marks[term.mark] for term in terms)
    if not collector.sets:
        return literal_number("0")
    bits = [sum(1 << p for p, i in enumerate(reversed(wanted)) if i not in own) for own in collector.sets]
    return Term(
        DataType.INTEGER, ("grouping", collector.alias, wanted), _by_set(collector.alias, bits), is_released=True,
        indirect=collector.indirect,
    )  # fmt: skip


def _by_set(alias: str, bits: list[int]) -> Callable[[Any], exp.Expression]:
    def emit(_: Any) -> exp.Expression:
        ifs = [
            exp.If(
                this=exp.EQ(this=column(alias, SET), expression=exp.Literal.number(position)),
                true=exp.Literal.number(bit),
            )
            for position, bit in enumerate(bits)
        ]
        return paren(exp.Case(ifs=ifs))

    return emit
