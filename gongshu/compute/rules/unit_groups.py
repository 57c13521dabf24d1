"""GROUP BY (at least) the privacy unit: the rows of one unit become one row, which is still that unit's own.

Nothing is released by it. COUNT and SUM keep the uses that their arguments share, any other aggregate is a function like
any other, a key keeps its own uses. Cells, parts and steps of what is aggregated travel on, reckoned for each unit, so that
an aggregate above is guarded by what its rows were made of.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import thresholds
from gongshu.compute.rules.behind import Rows as Columns
from gongshu.compute.rules.functions import AggregateClass, Family, family
from gongshu.compute.rules.guards import SOURCE, Cell
from gongshu.compute.rules.joins import Joins
from gongshu.compute.rules.scopes import Gate, Instance, Scope
from gongshu.compute.rules.stages import Wanted
from gongshu.compute.rules.staging import Rows, behind
from gongshu.compute.rules.terms import (
    BaseColumn,
    Form,
    Mark,
    Shape,
    Term,
    condition,
    conjunction,
    derive,
    distinct,
    hidden_of,
    otherwise,
    parts_of,
    quoted,
    union,
)
from gongshu.compute.rules.writing import double, fn, name, named, where
from gongshu.policies.types import Use

COUNTED_USES = frozenset({Use.GROUP, Use.FILTER, Use.TOTAL, Use.RANK})
"""What may be done with the number of a unit's rows, which is no column's value. It is shown where the unit is."""
BESIDE = frozenset({"SEMI", "ANTI"})
"""Joins that ask for rows of a relation and add none of its columns."""
Build = Callable[[Form], exp.Expression]


# ------------------------------------------------------------------------------------------- is it grouped by its unit


def units_of(rows: Rows, node: exp.Expression, keys: list[Term]) -> dict[int, int] | None:
    """Return which of ``keys`` are the privacy units of the grouped rows: position of the unit by index of the key.

    ``None`` unless every unit that the rows carry is a key, or is equal to one by the joins: then a group is one unit's.
    """
    scope = rows.scope
    if scope.links or scope.absences:
        return None  # units that are linked to a row are no single unit's
    count = sum(len(instance.source.kinds) for instance in scope.instances)
    own = {i: key.unit for i, key in enumerate(keys) if key.unit is not None and not _is_masked(scope.gate, key)}
    if not own:
        return None
    reached = _reached(scope, node, {keys[i].mark for i in own})
    covered = set(own.values()) | {unit for mark, unit in reached if unit is not None}
    for _ in rows.joins.same:
        covered |= {unit for unit, other in rows.joins.same.items() if other in covered}
    return own if covered >= set(range(count)) else None


def _is_masked(gate: Gate, key: Term) -> bool:
    # A masked unit is not the unit: several may look alike.
    relations = {r.name: r for r in gate.relations.values()}
    return any(relations[b.relation].policy.of(b.column).mask is not None for b in key.bases if b.relation in relations)


def _reached(scope: Scope, node: exp.Expression, start: set[Any]) -> set[tuple[Any, int | None]]:
    """Return columns that are equal to one of ``start``, or NULL, in every row."""
    edges: list[tuple[Term, Term, bool]] = []  # from, to, whether it holds the other way round too
    joins = [join for join in node.args.get("joins") or [] if str(join.args.get("kind") or "").upper() not in BESIDE]
    if any(str(join.args.get("side") or "").upper() in {"RIGHT", "FULL"} for join in joins):
        return set()
    if node.args.get("where") is not None:
        edges += [(a, b, True) for a, b in _equalities(scope, node.args["where"].this)]
    for instance, join in zip(scope.instances[1:], joins, strict=False):
        if join.args.get("on") is None:
            continue
        is_left = str(join.args.get("side") or "").upper() == "LEFT"
        here = ("instance", instance.alias)
        for a, b in _equalities(scope, join.args["on"]):
            if not is_left:
                edges.append((a, b, True))
            elif here in {a.source, b.source}:
                edges.append((a, b, False) if b.source == here else (b, a, False))
    edges += _using(scope, joins)
    found: set[tuple[Any, int | None]] = {(mark, None) for mark in start}
    growing = True
    while growing:
        marks = {mark for mark, _ in found}
        fresh = {(b.mark, b.unit) for a, b, _ in edges if a.mark in marks}
        fresh |= {(a.mark, a.unit) for a, b, both in edges if both and b.mark in marks}
        growing = not fresh <= found
        found |= fresh
    return found


def _equalities(scope: Scope, node: exp.Expression) -> list[tuple[Term, Term]]:
    noted = Joins()
    noted.note(scope, node)
    return noted.equalities


def _using(scope: Scope, joins: list[exp.Expression]) -> list[tuple[Term, Term, bool]]:
    """Return the keys of USING, which names one column of the joined relation and one of those before it."""
    found = []
    for position, (instance, join) in enumerate(zip(scope.instances[1:], joins, strict=False), start=1):
        is_left = str(join.args.get("side") or "").upper() == "LEFT"
        for index in instance.merged:
            wanted = instance.source.columns[index][0].lower()
            for other in scope.instances[:position]:
                for i, (shown, _) in enumerate(other.source.columns):
                    if shown.lower() == wanted and i not in other.merged:
                        found.append((other.term(i), instance.term(index), not is_left))
    return found


# ---------------------------------------------------------------------------------------------------- the relation


def _bare(term: Term) -> Term:
    """Return ``term`` without what it is made of: it is a part of something itself."""
    return replace(term, cells=(), addends=(), steps=(), blanks=(), weights=())


def _other_side(wanted: Wanted) -> tuple[Term, ...]:
    """Return the condition under which a row does not pass the filter: as many units must be there as in it."""
    test = wanted.filter
    return () if test is None else (otherwise(test),)


def _with_filter(made: Term, wanted: Wanted) -> Term:
    test = wanted.filter
    if test is None:
        return made
    hidden, indirect = made.hidden | hidden_of((test,)), made.indirect | test.direct | test.indirect
    return replace(made, hidden=hidden, indirect=indirect)


class UnitGroups:
    """One row for each privacy unit and group. Columns are added while the SELECT above is read: keys, then aggregates."""

    is_row_wise = False

    def __init__(self, rows: Rows, keys: list[Term], own: dict[int, int]) -> None:
        """Group ``rows`` by ``keys``, of which those in ``own`` are privacy units."""
        self._rows, self._keys, self._own = rows, keys, own
        self._positions = sorted(set(own.values()))
        kinds = [kind for instance in rows.scope.instances for kind in instance.source.kinds]
        self.kinds = tuple(kinds[position] for position in self._positions)
        self.sides = sum(instance.source.sides for instance in rows.scope.instances)
        self.is_row_level, self.is_single_row = True, False
        self.hidden = rows.hidden | hidden_of(keys)
        self.hidden_by = "GROUP BY"
        self.indirect = rows.indirect | union(k.direct | k.indirect for k in keys)
        self.columns: tuple[tuple[str, Term], ...] = ()
        self._builds: dict[int, Build] = {}
        self._kept: list[Term] = []  # so that no id is given twice
        self._inner = Columns()
        self._demanded: dict[tuple[int, Form], tuple[str, exp.Expression]] = {}
        self._orders: set[int] = set()
        self._sides: set[int] = set()
        for index, key in enumerate(keys):
            self.columns += ((f"c{index}", self._key_term(index, key)),)

    def _know(self, term: Term, build: Build) -> Term:
        self._builds[id(term)] = build
        self._kept.append(term)
        return term

    def _inside(self, term: Term, form: Form = Form.VALUE) -> str:
        """Return the name of ``term`` in the rows below."""
        wanted = (
            term if form is Form.VALUE else replace(term, mark=(form.value, term.mark), emit=lambda _: term.emit(form))
        )
        return self._inner.column(wanted, "x")

    # ------------------------------------------------------------------------------------------------------ keys

    def _key_term(self, index: int, key: Term) -> Term:
        is_unit = index in self._own
        uses = key.uses if is_unit or not _is_masked(self._rows.scope.gate, key) else key.uses - {Use.JOIN, Use.COMPARE}
        parts = tuple(self._largest(part) for part in key.addends if family(part.data_type) == Family.NUMBER)
        made = replace(
            key, uses=uses, unit=self._positions.index(self._own[index]) if is_unit else None,
            cells=tuple(self._some(cell) for cell in key.cells), addends=parts,
            steps=tuple(self._values(step) for step in key.steps), blanks=tuple(self._some(b) for b in key.blanks),
        )  # fmt: skip

        def build(form: Form) -> exp.Expression:
            inner = name(self._inside(key, form))
            return fn("any_value", inner) if is_unit or form is not Form.VALUE else inner

        return self._know(made, build)

    # ------------------------------------------------------------------------------------------------ aggregates

    def add(self, wanted: Wanted, data_type: DataType) -> int:
        """Add an aggregate of a unit's rows and return the index of its column."""
        exact = replace(wanted, is_exact=True)
        made = self._counted(exact) if wanted.kind is AggregateClass.COUNT else self._reckoned(exact, data_type)
        self.columns += ((f"c{len(self.columns)}", made),)
        return len(self.columns) - 1

    def _write(self, wanted: Wanted) -> exp.Expression:
        is_sum = wanted.kind is AggregateClass.MOMENT
        terms = tuple(thresholds.summable(t) if is_sum else t for t in wanted.arguments)
        unit = f"u{wanted.unit}" if wanted.unit is not None else ""
        reach = self._reach(wanted, () if unit else terms)
        return thresholds.written(wanted, reach.arguments, reach, unit)

    def _reach(self, wanted: Wanted, terms: tuple[Term, ...]) -> Cell:
        tests = (self._inside(wanted.filter),) if wanted.filter is not None else ()
        return Cell(tests, tuple(self._inside(t) for t in terms))

    def _counted(self, wanted: Wanted) -> Term:
        made = derive(
            "count", wanted.arguments or (self._number_of_rows(),), data_type=DataType.INTEGER, emit=exp.Null,
            shape=Shape.AFFINE,
        )  # fmt: skip
        # A unit with no row that counts adds nothing: the others are a cell.
        more = self._know(
            condition("reached", (made,), exp.Null),
            lambda _: exp.GT(this=self._write(wanted), expression=exp.Literal.number(0)),
        )
        cells = (more, *(self._some(cell, wanted) for cell in made.cells))
        weights = self._weights(made, wanted)
        blanks = tuple(self._some(test) for test in _other_side(wanted))
        made = replace(made, cells=cells, addends=(), steps=self._steps(wanted), blanks=blanks, weights=weights)
        return self._know(_with_filter(made, wanted), lambda _: self._write(wanted))

    def _number_of_rows(self) -> Term:
        unit = next(self._keys[i] for i in self._own)
        uses = COUNTED_USES | {Use.REVEAL} if Use.REVEAL in unit.uses else COUNTED_USES
        relation = min((b.relation for b in unit.bases), default="—")
        bases = frozenset({BaseColumn(relation, "count(*)", uses)})
        return Term(DataType.INTEGER, ("rows",), lambda _: exp.Null(), uses, bases)

    def _reckoned(self, wanted: Wanted, data_type: DataType) -> Term:
        is_sum = wanted.function == "sum"
        shape = Shape.AFFINE if is_sum else Shape.OTHER
        made = derive(wanted.function, wanted.arguments, data_type=data_type, emit=exp.Null, shape=shape)
        tests = (wanted.filter,) if wanted.filter is not None else ()
        cells = tuple(self._some(cell, wanted) for cell in (*made.cells, *tests))
        inner = distinct(
            part for t in wanted.arguments for part in parts_of(t) if family(part.data_type) == Family.NUMBER
        )
        parts = tuple(self._summed(part, wanted) for part in inner)
        blanks = tuple(self._some(blank, wanted) for blank in made.blanks)
        blanks += tuple(self._some(test) for test in _other_side(wanted))
        weights = self._weights(made, wanted)
        made = replace(made, cells=cells, steps=self._steps(wanted), addends=(), blanks=blanks, weights=weights)
        made = _with_filter(made, wanted)
        own = () if is_sum else (self._know(replace(made), lambda _: self._write(wanted)),)
        return self._know(replace(made, addends=(*own, *parts)), lambda _: self._write(wanted))

    def _some(self, cell: Term, wanted: Wanted | None = None) -> Term:
        """Return whether some row of the unit lies in ``cell`` and reaches the aggregate."""

        def build(_: Form) -> exp.Expression:
            tests: list[exp.Expression] = [name(self._inside(cell))]
            reach = self._reach(wanted, wanted.arguments).written() if wanted is not None else None
            whole = conjunction([*tests, reach] if reach is not None else tests)
            return fn("coalesce", fn("bool_or", whole), exp.Boolean(this=False))

        return self._know(_bare(cell), build)

    def _weights(self, made: Term, wanted: Wanted) -> tuple[Term, ...]:
        """Return of how many rows of the unit the aggregate is made: all that reach it, and those in each cell."""
        counted = (self._weight(made, wanted, cell) for cell in (None, *made.cells))
        return (*counted, *(self._weight_below(weight, wanted) for weight in made.weights))

    def _chosen_by(self, wanted: Wanted, *others: Term | None) -> Mark:
        """Return by which conditions the rows were chosen. ``source`` of a weight holds it on its way."""
        terms = (self._rows.condition, wanted.filter, *self._rows.joins.conditions, *others)
        return tuple(term.mark for term in terms if term is not None)

    def _weight(self, made: Term, wanted: Wanted, cell: Term | None) -> Term:
        def build(_: Form) -> exp.Expression:
            reach = self._reach(wanted, wanted.arguments).written()
            tests = [*([reach] if reach is not None else []), *([name(self._inside(cell))] if cell is not None else [])]
            return where(exp.Count(this=exp.Star()), conjunction(tests) if tests else None)

        mark = ("weight", made.mark, wanted.mark, cell.mark if cell is not None else None)
        plain = replace(made, mark=mark, data_type=DataType.INTEGER, source=self._chosen_by(wanted, cell))
        return self._know(_bare(plain), build)

    def _weight_below(self, weight: Term, wanted: Wanted) -> Term:
        def build(_: Form) -> exp.Expression:
            return where(fn("sum", name(self._inside(weight))), self._reach(wanted, wanted.arguments).written())

        return self._know(_bare(replace(weight, source=(*weight.source, *self._chosen_by(wanted)))), build)

    def _steps(self, wanted: Wanted) -> tuple[Term, ...]:
        return tuple(self._values(step, wanted) for step in distinct(s for t in wanted.arguments for s in t.steps))

    def _values(self, step: Term, wanted: Wanted | None = None) -> Term:
        """Return which values a step function has in the rows of the unit, as one number."""

        def build(_: Form) -> exp.Expression:
            every = fn("list", exp.Distinct(expressions=[name(self._inside(step))]))
            test = wanted.filter if wanted is not None else None
            return fn("hash", fn("list_sort", where(every, name(self._inside(test)) if test is not None else None)))

        return self._know(_bare(replace(step, data_type=DataType.INTEGER)), build)

    def _summed(self, part: Term, wanted: Wanted) -> Term:
        """Return the unit's part of a sum."""

        def build(_: Form) -> exp.Expression:
            reach = self._reach(wanted, wanted.arguments).written()
            return where(fn("sum", double(name(self._inside(part)))), reach)

        return self._know(_bare(replace(part, data_type=DataType.DECIMAL, shape=Shape.AFFINE)), build)

    def _largest(self, part: Term) -> Term:
        """Return the largest part of a key that does not follow from the key alone."""

        def build(_: Form) -> exp.Expression:
            inner = self._inside(part)
            return fn("arg_max", name(inner), fn("abs", name(inner)))

        return self._know(_bare(part), build)

    # --------------------------------------------------------------------------------------------------- writing

    def demand(self, term: Term, form: Form) -> str:
        """Write ``term`` into the result and return its name there."""
        key = (id(term), form)
        if key not in self._demanded:
            self._demanded[key] = (f"d{len(self._demanded)}", self._builds[id(term)](form))
        return self._demanded[key][0]

    def demand_unit(self, position: int) -> str:
        """Return the written name of a privacy unit: the rows are grouped by it."""
        return f"u{self._positions[position]}"

    def demand_order(self, position: int) -> str:
        """Write by what rows of a privacy unit are chosen: here it has one in each group."""
        self._orders.add(self._positions[position])
        return f"o{self._positions[position]}"

    def demand_side(self, position: int) -> str:
        """Write whether some row of the unit comes from a side of a union below."""
        self._sides.add(position)
        return f"w{position}"

    def emit(self) -> exp.Expression:
        """Write the groups as a subquery."""
        others = [self._inside(key) for i, key in enumerate(self._keys) if i not in self._own]
        keys = [*(f"u{p}" for p in self._positions), *others]
        items = [named(build.copy(), shown) for shown, build in self._demanded.values()]
        items += [named(name(f"u{p}"), f"u{p}") for p in self._positions]
        items += [named(fn("min", name(f"o{p}")), f"o{p}") for p in sorted(self._orders)]
        items += [named(fn("bool_or", name(f"w{p}")), f"w{p}") for p in sorted(self._sides)]
        select = exp.Select(expressions=items, from_=exp.From(this=exp.Table(this=quoted(SOURCE))))
        select.set("group", exp.Group(expressions=[name(key) for key in keys]))
        ctes = behind(self._rows).sources(self._inner, keys)
        select.set("with_", exp.With(expressions=ctes))
        return exp.Subquery(this=select)


class UnitCollector:
    """What one SELECT asks of the groups of units below it: keys, then aggregates, each a value of the unit's row."""

    is_released = False
    hidden: frozenset[BaseColumn] = frozenset()  # looked at where the rows are shown

    def __init__(self, groups: UnitGroups, instance: Instance) -> None:
        """Add to ``groups``, which appears as ``instance``."""
        self._groups, self._instance = groups, instance
        self._known: dict[Any, int] = {}

    def column(self, index: int) -> Term:
        """Return a key or an aggregate as the SELECT above sees it."""
        return replace(self._instance.term(index), loose=frozenset())

    def add(self, wanted: Wanted, data_type: DataType) -> Term:
        """Ask for an aggregate once and return its value."""
        if wanted.mark not in self._known:
            self._known[wanted.mark] = self._groups.add(wanted, data_type)
        return self.column(self._known[wanted.mark])
