"""What one grouped SELECT asks of its stage: group keys, then aggregates, each a released value afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.terms import BaseColumn, Mark, Shape, Term, column, union
from gongshu.compute.types import Stage
from gongshu.policies.types import Use


@dataclass(frozen=True, eq=False)
class Wanted:
    """One aggregate that a stage computes, with the conditions under which rows reach it."""

    function: str
    kind: AggregateClass
    arguments: tuple[Term, ...]
    mark: Mark
    is_distinct: bool = False
    fraction: float | None = None
    filter: Term | None = None
    unit: int | None = None  # COUNT(DISTINCT unit): the position of the unit
    is_exact: bool = True  # an order statistic of released values
    directions: tuple[tuple[bool, bool], ...] = ()  # of the last arguments, which order a list: desc, nulls first
    separator: str = ","  # of a list that is a text


@dataclass(frozen=True)
class UnitTable:
    """A table of each unit's part of the groups of a stage: its group keys, its unit, and its numbers of rows by condition."""

    name: str
    keys: tuple[str, ...]
    unit: str
    rows: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tabled:
    """A stage whose units' parts are kept in tables: what makes them, what stands in them, and the stage made of them."""

    queries: tuple[tuple[str, exp.Expression], ...]
    tables: tuple[UnitTable, ...]
    query: exp.Expression


@dataclass(frozen=True, eq=False)
class Draft:
    """A stage before it is written: its query, how many of its columns are keys, whether thresholds guard it."""

    name: str
    query: exp.Expression
    keys: int
    columns: int
    is_guarded: bool
    parts: Callable[[], tuple[tuple[exp.Expression, ...], int]] | None = None  # see ``stage_sql.parts_of_units``
    tabled: Callable[[], Tabled | None] | None = None  # for comparing it with others: see ``stage_sql.tabled``
    noisy: tuple[Stage, ...] = ()  # instead of ``query``: its steps, where noise takes the place of thresholds


Sets = tuple[tuple[int, ...], ...]
"""Which keys each of several sets has, the smallest first."""


class Collects(Protocol):
    """Where the aggregates of a SELECT are asked for."""

    hidden: frozenset[BaseColumn]  # columns without reveal that decided the rows and groups
    is_released: bool  # whether what comes out is a released value, so that arguments need the uses of aggregates

    def add(self, wanted: Wanted, data_type: DataType) -> Term:
        """Ask for an aggregate once and return its value."""
        ...


@dataclass
class Collector:
    """The stage of one grouped SELECT while it is being read: its keys first, then its aggregates, ``c0``, ``c1`` …"""

    alias: str
    keys: list[Term] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    indirect: frozenset[str] = frozenset()
    hidden: frozenset[BaseColumn] = frozenset()
    is_released: bool = True
    sets: Sets = ()

    def released(self, index: int, data_type: DataType | None, terms: tuple[Term, ...]) -> Term:
        """Return the stage's column ``index`` as a released value: all uses, lineage kept."""
        name = f"c{index}"
        # A released group key still is what it was grouped by: other relations may be linked to it.
        key = self.keys[index] if index < len(self.keys) else None
        is_key = key is not None and key.shape is Shape.COLUMN and Use.JOIN in key.uses
        return Term(
            data_type, ("released", self.alias, index), lambda _: column(self.alias, name), is_released=True,
            shape=Shape.COLUMN if is_key else Shape.OTHER,
            direct=union(t.direct for t in terms), indirect=self.indirect | union(t.indirect for t in terms),
        )  # fmt: skip

    def add(self, wanted: Wanted, data_type: DataType) -> Term:
        """Ask for an aggregate once and return its released value."""
        marks = [known.mark for known in self.wanted]
        if wanted.mark not in marks:
            self.wanted.append(wanted)
            marks.append(wanted.mark)
        index = marks.index(wanted.mark)
        terms = wanted.arguments + ((wanted.filter,) if wanted.filter else ())
        return self.released(len(self.keys) + index, data_type, terms)
