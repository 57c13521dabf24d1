"""Relations that a statement makes out of others: a SELECT's result, and the union of two."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.scopes import Gate, Instance, Link, Source
from gongshu.compute.rules.terms import (
    BaseColumn,
    Form,
    Mark,
    Shape,
    Term,
    alike,
    column,
    parts_of,
    poison,
    quoted,
    union,
)
from gongshu.compute.rules.writing import test_after
from gongshu.policies.service import combine


@dataclass
class Shown:
    """What a SELECT does after its rows or groups exist."""

    having: Term | None = None
    qualify: Term | None = None
    order: tuple[tuple[Term, bool, bool], ...] = ()  # term, descending, nulls first
    limit: str = ""
    offset: str = ""
    is_distinct: bool = False
    distinct_on: tuple[Term, ...] = ()  # of the rows that are alike in these, the first one stays


def is_row_wise(items: tuple[tuple[str, Term], ...], shown: Shown, instances: tuple[Instance, ...]) -> bool:
    """Whether each row of a SELECT follows from one row of each relation below: no LIMIT, no DISTINCT, no window."""
    is_cut = bool(shown.limit or shown.offset or shown.is_distinct or shown.distinct_on or shown.qualify is not None)
    has_window = any("OVER" in word for _, term in items for word in _words(term.mark))
    sources = [instance.source for instance in instances]
    return not is_cut and not has_window and all(s.is_row_wise or not s.is_row_level for s in sources)


def _words(mark: Mark) -> Iterator[str]:
    rest: list[Any] = [mark]
    while rest:
        part = rest.pop()
        if isinstance(part, tuple):
            rest += part
        elif isinstance(part, str):
            yield part


class Selected:
    """The result of a SELECT. ``write_from`` writes FROM, JOIN and WHERE, once all demands have been made."""

    def __init__(
        self, items: tuple[tuple[str, Term], ...], instances: tuple[Instance, ...], shown: Shown,
        write_from: Callable[[exp.Select], None], *, is_row_level: bool, is_single_row: bool,
        links: tuple[Link, ...] = (), same: Collection[int] = (),
    ) -> None:  # fmt: skip
        """Describe the result; ``instances`` and ``links`` carry privacy units and are empty once groups were released.

        Of units that are the ``same`` as another in every row, or missing, no more is said above.
        """
        self._instances, self._shown, self._write_from = instances, shown, write_from
        self._linked = tuple(unit for link in links for unit in link.units)
        self.is_row_level, self.is_single_row = is_row_level, is_single_row
        kinds = [kind for instance in instances for kind in instance.source.kinds]
        kinds += [kind for link in links for kind in link.kinds]
        self._positions = tuple(position for position in range(len(kinds)) if position not in same)
        self.kinds = tuple(kinds[position] for position in self._positions)
        self.columns = tuple((name, self._above(term)) for name, term in items)
        self.sides = sum(instance.source.sides for instance in instances)
        self.hidden: frozenset[BaseColumn] = frozenset()
        self.hidden_by = ""
        self.indirect: frozenset[str] = frozenset()
        self.is_row_wise = False  # until somebody who knows says so
        self._demanded: dict[tuple[int, Form], tuple[str, Term]] = {}
        self._units: dict[int, str] = {}
        self._orders: dict[int, str] = {}
        self._side_names: dict[int, str] = {}
        if shown.is_distinct:  # every column decides which rows are the same
            for _, term in self.columns:
                self.demand(term, Form.VALUE)

    def _above(self, term: Term) -> Term:
        if term.unit is None:
            return term
        return replace(term, unit=self._positions.index(term.unit) if term.unit in self._positions else None)

    def demand(self, term: Term, form: Form) -> str:
        """Write ``term`` into the result and return its name there."""
        key = (id(term), form)
        if key not in self._demanded:
            self._demanded[key] = (f"d{len(self._demanded)}", term)
        return self._demanded[key][0]

    def demand_unit(self, position: int) -> str:
        """Write a privacy unit into the result."""
        self._units.setdefault(position, f"u{position}")
        return self._units[position]

    def demand_order(self, position: int) -> str:
        """Write into the result by what rows of a privacy unit are chosen."""
        self._orders.setdefault(position, f"o{position}")
        return self._orders[position]

    def demand_side(self, position: int) -> str:
        """Write into the result whether a row comes from a side of a union below."""
        self._side_names.setdefault(position, f"w{position}")
        return self._side_names[position]

    def _side(self, position: int) -> exp.Expression:
        for instance in self._instances:
            if position < instance.source.sides:
                return column(instance.alias, instance.source.demand_side(position))
            position -= instance.source.sides
        raise IndexError(position)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The relations whose rows these are."""
        return self._instances

    def instance_of_unit(self, position: int) -> tuple[Instance, int] | None:
        """Return the relation that a privacy unit comes from and its position there; ``None`` where it is a list of units."""
        position = self._positions[position]
        for instance in self._instances:
            if position < instance.first_unit + len(instance.source.kinds):
                return instance, position - instance.first_unit
        return None

    def _unit(self, position: int, *, is_order: bool = False) -> exp.Expression:
        found = self.instance_of_unit(position)
        if found is not None:
            source = found[0].source
            return column(found[0].alias, (source.demand_order if is_order else source.demand_unit)(found[1]))
        position = self._positions[position]
        if is_order:
            raise IndexError(position)  # what a link carries is a list: nothing of it is bounded
        return self._linked[position - sum(len(instance.source.kinds) for instance in self._instances)]()

    def select(self, names: tuple[str, ...] = ()) -> exp.Select:
        """Write the SELECT; with ``names``, as the final one that gives its columns these names."""
        items = [
            exp.Alias(this=term.emit(form), alias=quoted(name)) for (_, form), (name, term) in self._demanded.items()
        ]
        if names:
            items = [
                exp.Alias(this=term.emit(Form.VALUE), alias=quoted(name))
                for name, (_, term) in zip(names, self.columns, strict=True)
            ]
        items += [exp.Alias(this=self._unit(i), alias=quoted(name)) for i, name in self._units.items()]
        items += [exp.Alias(this=self._unit(i, is_order=True), alias=quoted(n)) for i, n in self._orders.items()]
        items += [exp.Alias(this=self._side(i), alias=quoted(name)) for i, name in self._side_names.items()]
        made = exp.Select(expressions=items or [exp.Alias(this=exp.Literal.number(1), alias=quoted("one"))])
        shown = self._shown
        if shown.is_distinct:
            made.set("distinct", exp.Distinct())
        if shown.distinct_on:
            keys = [t.emit(Form.VALUE) for t in shown.distinct_on]
            made.set("distinct", exp.Distinct(on=exp.Tuple(expressions=keys)))
        tests = [t.emit(Form.VALUE) for t in (shown.having,) if t is not None]
        qualify = shown.qualify.emit(Form.VALUE) if shown.qualify is not None else None
        if shown.order:
            made.set("order", exp.Order(expressions=[
                exp.Ordered(this=t.emit(Form.VALUE), desc=desc, nulls_first=first) for t, desc, first in shown.order
            ]))  # fmt: skip
        if shown.limit:
            made.set("limit", exp.Limit(expression=exp.Literal.number(shown.limit)))
        if shown.offset:
            made.set("offset", exp.Offset(expression=exp.Literal.number(shown.offset)))
        self._write_from(made)
        test_after(made, tests, qualify)
        return made

    def emit(self) -> exp.Expression:
        """Write the result as a subquery."""
        return exp.Subquery(this=self.select())


class United:
    """Two relations under each other: per position the intersection of uses, and the same privacy units."""

    def __init__(
        self, gate: Gate, left: Source, right: Source, kind: type[exp.Expression], *, is_distinct: bool
    ) -> None:
        """Unite two sides that have been found to fit."""
        self._sides = (Instance(gate.fresh("r"), "", left, 0), Instance(gate.fresh("r"), "", right, 0))
        self._kind, self._is_distinct = kind, is_distinct
        is_match = kind is not exp.Union
        # Rows of INTERSECT ALL and EXCEPT ALL may all be seen; what is left of them is no unit's any more.
        self.kinds = left.kinds if is_distinct or not is_match else ()
        self.is_row_level = left.is_row_level or right.is_row_level
        self.is_single_row = False
        self.is_row_wise = kind is exp.Union and not is_distinct and left.is_row_wise and right.is_row_wise
        self.sides = 2 + left.sides + right.sides if self.is_row_level and not is_match else 0
        self.hidden = left.hidden | right.hidden
        self.hidden_by = left.hidden_by or right.hidden_by
        self.indirect = left.indirect | right.indirect
        self._pairs: dict[int, tuple[Term, Term]] = {}
        self._demanded: dict[tuple[int, Form], str] = {}
        self._kept: list[tuple[Term, Form]] = []
        self._units: dict[int, str] = {}
        self._orders: dict[int, str] = {}
        self._side_names: dict[int, str] = {}
        self.columns = tuple(
            (left.columns[i][0], self._merged(a, b))
            for i, (a, b) in enumerate(zip(self._sides[0].terms, self._sides[1].terms, strict=True))
        )
        if is_distinct or kind is not exp.Union:
            for _, term in self.columns:
                self.demand(term, Form.VALUE)

    def _pair(self, made: Term, first: Term, second: Term) -> Term:
        self._pairs[id(made)] = (first, second)
        return made

    def _merged(self, a: Term, b: Term) -> Term:
        a, b = alike((a, b))
        never = replace(poison(), emit=lambda _: exp.Boolean(this=False))
        nothing = replace(poison(), emit=lambda _: exp.Null())
        cells = [self._pair(replace(c), c, never) for c in a.cells] + [
            self._pair(replace(c), never, c) for c in b.cells
        ]
        parts = [self._pair(replace(p), p, nothing) for p in parts_of(a)]
        parts += [self._pair(replace(p), nothing, p) for p in parts_of(b)]
        steps = [self._pair(replace(s), s, nothing) for s in a.steps] + [
            self._pair(replace(s), nothing, s) for s in b.steps
        ]
        blanks = [self._pair(replace(x), x, never) for x in a.blanks]
        blanks += [self._pair(replace(x), never, x) for x in b.blanks]
        weights = [self._pair(replace(w), w, nothing) for w in a.weights]
        weights += [self._pair(replace(w), nothing, w) for w in b.weights]
        if self._kind is not exp.Union:  # bare columns of rows, or released values
            cells, parts, steps = [], [], []
        both_columns = a.shape is b.shape is Shape.COLUMN
        made = replace(
            a, mark=("union", a.mark, b.mark), uses=combine((a.uses, b.uses)), bases=a.bases | b.bases,
            hidden=a.hidden | b.hidden, direct=a.direct | b.direct, indirect=a.indirect | b.indirect,
            shape=Shape.COLUMN if both_columns else Shape.OTHER, spent=a.spent + b.spent,
            data_type=b.data_type if a.data_type is None or b.data_type in {DataType.DECIMAL, DataType.TIMESTAMP} else a.data_type,
            is_released=a.is_released and b.is_released, factors=(min(a.factors[0], b.factors[0]), max(a.factors[1], b.factors[1])),
            offset=max(a.offset, b.offset), cells=tuple(cells), addends=tuple(parts), steps=tuple(steps),
            blanks=tuple(blanks), weights=tuple(weights), is_mixed=True,
            keyed_as=a.keyed_as if a.keyed_as is b.keyed_as else None, unit=a.unit if a.unit == b.unit else None,
        )  # fmt: skip
        return self._pair(made, a, b)

    def demand(self, term: Term, form: Form) -> str:
        """Write a pair of columns, one of each side."""
        key = (id(term), form)
        if key not in self._demanded:
            self._demanded[key] = f"d{len(self._demanded)}"
            self._kept.append((term, form))
        return self._demanded[key]

    def demand_unit(self, position: int) -> str:
        """Write a privacy unit of both sides."""
        self._units.setdefault(position, f"u{position}")
        return self._units[position]

    def demand_order(self, position: int) -> str:
        """Write by what rows of a privacy unit of both sides are chosen."""
        self._orders.setdefault(position, f"o{position}")
        return self._orders[position]

    def demand_side(self, position: int) -> str:
        """Write whether a row comes from the left side (0), from the right (1), or from a side below one of them."""
        self._side_names.setdefault(position, f"w{position}")
        return self._side_names[position]

    def _origin(self, index: int, position: int) -> exp.Expression:
        instance, below = self._sides[index], position - 2
        if index == 1:
            below -= self._sides[0].source.sides
        if position >= 2 and 0 <= below < instance.source.sides:
            return column(instance.alias, instance.source.demand_side(below))
        return exp.Boolean(this=position == index)

    def _side(self, index: int) -> exp.Expression:
        instance = self._sides[index]
        items: list[exp.Expression] = [
            exp.Alias(this=self._pairs[id(term)][index].emit(form), alias=quoted(self._demanded[id(term), form]))
            for term, form in self._kept
        ]
        items += [
            exp.Alias(this=column(instance.alias, instance.source.demand_unit(i)), alias=quoted(name))
            for i, name in self._units.items()
        ]
        items += [
            exp.Alias(this=column(instance.alias, instance.source.demand_order(i)), alias=quoted(name))
            for i, name in self._orders.items()
        ]
        items += [exp.Alias(this=self._origin(index, i), alias=quoted(name)) for i, name in self._side_names.items()]
        items = items or [exp.Alias(this=exp.Literal.number(1), alias=quoted("one"))]
        return exp.Select(expressions=items, from_=exp.From(this=instance.emit()))

    def emit(self) -> exp.Expression:
        """Write both sides."""
        made = self._kind(this=self._side(0), expression=self._side(1), distinct=self._is_distinct)
        return exp.Subquery(this=made)


def lineage_of(source: Source, term: Term) -> tuple[frozenset[str], frozenset[str]]:
    """Return direct and indirect base columns of an output."""
    hidden = union(frozenset({b.name}) for b in term.hidden | source.hidden)
    return term.direct, (term.indirect | source.indirect | hidden) - term.direct
