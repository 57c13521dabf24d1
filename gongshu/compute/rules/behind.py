"""The rows behind a stage: written once, with the units that they carry, for what is asked and for the thresholds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from gongshu.compute.rules import bounds, meetings
from gongshu.compute.rules.guards import SOURCE
from gongshu.compute.rules.scopes import Link
from gongshu.compute.rules.terms import Form, Term, conjunction, quoted
from gongshu.compute.rules.writing import fn, named
from gongshu.policies.types import ContributionBounds


@dataclass
class Rows:
    """The rows that reach a stage: one written column for each distinct key, argument and condition."""

    terms: list[Term] = field(default_factory=list)
    known: dict[Any, str] = field(default_factory=dict)

    def column(self, term: Term, prefix: str) -> str:
        """Return the written name of ``term``, adding it when it is new."""
        if term.mark not in self.known:
            self.known[term.mark] = f"{prefix}{len(self.known)}"
            self.terms.append(term)
        return self.known[term.mark]

    def written(self) -> list[exp.Expression]:
        """Write every column."""
        return [named(term.emit(Form.VALUE), self.known[term.mark]) for term in self.terms]


@dataclass(frozen=True)
class Behind:
    """The rows behind a stage: what writes FROM and WHERE, and of each row its units and the sides it comes from.

    ``write_from`` comes last: by then it is known which columns are demanded of the relations below.
    """

    write_from: Callable[[exp.Select], None]
    condition: Term | None
    units: tuple[Callable[[], exp.Expression], ...]
    sides: tuple[Callable[[], exp.Expression], ...]
    orders: tuple[Callable[[], exp.Expression], ...] = ()
    bounds: ContributionBounds | None = None
    needs_units: bool = False  # rows without a unit do not count
    many: frozenset[int] = frozenset()  # positions of the units of which a row has a list
    same: frozenset[int] = frozenset()  # positions of units that are another one in every row, or missing
    always: frozenset[int] = frozenset()  # positions of units that no row is without, be they marked as missing
    absent: tuple[Link, ...] = ()  # conditions that take rows away, with the units because of which they do
    most: int = 0  # units in a list

    @property
    def kinds(self) -> list[str]:
        """Names of the units that are counted: of those that are the same in every row, one."""
        return [f"u{i}" for i in range(len(self.units)) if i not in self.same]

    @property
    def sure(self) -> frozenset[str]:
        """Names of the units that no row is without."""
        return frozenset(f"u{i}" for i in self.always)

    @property
    def gone(self) -> list[str]:
        """Names of the lists of units that took rows away."""
        return [f"g{i}" for i in range(sum(len(link.units) for link in self.absent))]

    def source_of(self, unit: str) -> str:
        """Return the name of the rows by which the units of one kind are counted."""
        is_list = unit.startswith("g") or int(unit[1:]) in self.many
        return meetings.spread_name(unit) if is_list else SOURCE

    def sources(self, rows: Rows, keys: list[str]) -> list[exp.CTE]:
        """Write the rows with everything that ``rows`` names of them, as many of each unit as its bounds allow."""
        if self.bounds is None or not self.units:
            return self._met(rows)
        made, source = [self._given(rows, bounds.GIVEN)], bounds.GIVEN
        orders = [f"o{i}" for i in range(len(self.orders))]
        if self.needs_units:
            made.append(bounds.known_only(source, self.kinds, bounds.KNOWN))
            source = bounds.KNOWN
        return made + bounds.kept(source, keys, self.kinds, orders, list(rows.known.values()), self.bounds, SOURCE)

    def _met(self, rows: Rows) -> list[exp.CTE]:
        """Write the rows, and once more for every kind of unit of which they have lists."""
        if not self.many and not self.absent:
            return [self._given(rows, SOURCE)]
        columns = [*rows.known.values(), *(f"w{i}" for i in range(len(self.sides)))]
        units = [f"u{i}" for i in range(len(self.units))]
        same = [f"u{i}" for i in sorted(self.same - self.many)]
        made = [self._given(rows, meetings.EVERY if self.absent else SOURCE)]
        made += [meetings.staying([*columns, *units])] if self.absent else []
        made.append(meetings.places(self.most))
        lists = [unit for unit in units if self.source_of(unit) != SOURCE]
        made += [meetings.spread([*columns, *same], SOURCE, unit) for unit in lists]
        return made + [meetings.spread([*columns, *same], meetings.EVERY, gone) for gone in self.gone]

    def _given(self, rows: Rows, alias: str) -> exp.CTE:
        items = list(rows.written())
        items += [named(unit(), f"u{i}") for i, unit in enumerate(self.units)]
        items += [named(side(), f"w{i}") for i, side in enumerate(self.sides)]
        items += [named(order(), f"o{i}") for i, order in enumerate(self.orders)]
        if self.absent:
            tests = conjunction([link.test.emit(Form.VALUE) for link in self.absent])
            items.append(named(fn("coalesce", tests, exp.Boolean(this=False)), meetings.THERE))
            lists = [unit for link in self.absent for unit in link.units]
            items += [named(unit(), gone) for unit, gone in zip(lists, self.gone, strict=True)]
        source = exp.Select(expressions=items or [named(exp.Literal.number(1), "one")])
        if self.condition is not None:
            source.set("where", exp.Where(this=self.condition.emit(Form.VALUE)))
        self.write_from(source)
        return _cte(alias, source)


def _cte(alias: str, query: exp.Expression) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=quoted(alias)))
