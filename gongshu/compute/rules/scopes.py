"""Relations, their instances in a FROM, and the binding of names by scope.

Columns are demanded lazily: a relation writes only what somebody above it uses, so the projection that the engine may
read follows from the statement. Written names are made here (``r1``, ``c1``); names of the statement are never copied
into SQL, except the names of governed columns and, quoted, of the result's columns.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.refusals import (
    COLUMN_UNKNOWN,
    CONSTRUCT_REFUSED,
    IDENTIFIER_AMBIGUOUS,
    LINK_MISPLACED,
    NAME_REPEATED,
    STATEMENT_TOO_LARGE,
    UNIT_MISSING,
)
from gongshu.compute.rules.stages import Collects, Draft
from gongshu.compute.rules.terms import BaseColumn, Findings, Form, Mark, Shape, Term, column, poison, quoted
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.service import MASKS, closed
from gongshu.policies.types import ColumnPolicy, Thresholds, Use

STEPS_MAX = 20_000
KEY_PREFIX, RAW_PREFIX, UNIT_COLUMN, ORDER_COLUMN = "key:", "raw:", "unit:", "order:"
KEYED_TYPES = frozenset({DataType.TEXT, DataType.INTEGER, DataType.DATE, DataType.TIMESTAMP, DataType.BOOLEAN})
"""Types of which equal values have equal text, so that a keyed hash of the text can stand for the value."""


MANY = "some of "
"""Starts the name of a kind of unit of which a row has a list: those that a semi-join found."""


class TooLargeError(Exception):
    """The statement needs more steps than are allowed."""


_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fold(name: str) -> str:
    """Return ``name`` as DuckDB compares identifiers, quoted or not: ASCII letters without case."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


class Source(Protocol):
    """A relation that can stand in a FROM."""

    columns: tuple[tuple[str, Term], ...]
    kinds: tuple[str, ...]  # one per privacy unit that its rows carry
    sides: int  # how many sides of UNION ALLs its rows may come from
    is_row_level: bool
    is_single_row: bool
    is_row_wise: (
        bool  # each of its rows follows from one row of each relation below: one unit changes only its own rows
    )
    hidden: frozenset[BaseColumn]  # columns without reveal that decided its rows
    hidden_by: str
    indirect: frozenset[str]

    def demand(self, term: Term, form: Form) -> str:
        """Return the written name under which ``term`` stands in this relation."""
        ...

    def demand_unit(self, position: int) -> str:
        """Return the written name of a privacy unit."""
        ...

    def demand_side(self, position: int) -> str:
        """Return the written name of what says whether a row comes from a side."""
        ...

    def demand_order(self, position: int) -> str:
        """Return the written name of the keyed hash by which rows of a privacy unit are chosen where they are bounded."""
        ...

    def emit(self) -> exp.Expression:
        """Write the relation, once every demand has been made."""
        ...


@dataclass
class Demands:
    """What a statement uses of one governed relation."""

    values: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    raws: set[str] = field(default_factory=set)
    has_unit: bool = False
    has_order: bool = False


@dataclass
class Gate:
    """One statement on its way through: what was found, what is demanded, which stages were made."""

    relations: dict[str, Relation]
    thresholds: Thresholds
    findings: Findings = field(default_factory=Findings)
    demands: dict[str, Demands] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    parameters: dict[str, exp.Expression] = field(default_factory=dict)  # name → literal
    parameters_used: set[str] = field(default_factory=set)
    made: int = 0
    steps: list[int] = field(default_factory=lambda: [0])  # one number, shared with gates that look at something again
    loud: Findings | None = (
        None  # of a gate that looks at something again: where a statement that is too large is noted
    )
    meanings: dict[int, tuple[exp.Expression, Callable[["Scope"], Term]]] = field(default_factory=dict)

    def mean(self, node: exp.Expression, meaning: Callable[["Scope"], Term]) -> None:
        """Let a column that was written here, and not by the statement, mean something."""
        self.meanings[id(node)] = (node, meaning)

    @property
    def is_noisy(self) -> bool:
        """Whether what comes out carries noise instead of passing exact thresholds."""
        return self.thresholds.protection.noise is not None

    def fresh(self, prefix: str) -> str:
        """Return a name that was not used before, and that no relation can have."""
        self.made += 1
        return f"{prefix}:{self.made}"

    def step(self) -> None:
        """Count the work done; a statement that needs too much is refused."""
        self.steps[0] += 1
        if self.steps[0] > STEPS_MAX:
            (self.loud or self.findings).add(STATEMENT_TOO_LARGE, limit=STEPS_MAX)
            raise TooLargeError

    def again(self) -> "Gate":
        """Return a gate for looking at something again: what it finds, demands or makes is forgotten, its work counts."""
        return replace(self, findings=Findings(), demands={}, drafts=[], loud=self.loud or self.findings)

    def only(self, node: exp.Expression, *allowed: str) -> bool:
        """Refuse ``node`` when it carries any part that is not in ``allowed``: what is not named is refused."""
        self.step()
        extra = [name for name, value in node.args.items() if name not in allowed and value not in (None, [], False)]
        for name in extra:
            self.findings.add(CONSTRUCT_REFUSED, construct=f"{type(node).__name__.upper()} … {name}")
        return not extra


class Governed:
    """A relation of the entitlement: the projection of it that the engine will see."""

    is_row_wise = True

    def __init__(self, gate: Gate, relation: Relation) -> None:
        """Look at ``relation`` with the uses that its policy leaves."""
        self._gate, self._relation = gate, relation
        self._names: dict[int, str] = {}
        self.kinds: tuple[str, ...] = (", ".join(relation.policy.unit),) if relation.policy.unit else ()
        self.is_row_level, self.is_single_row, self.sides = True, False, 0
        self.hidden: frozenset[BaseColumn] = frozenset()
        self.hidden_by = ""
        self.indirect: frozenset[str] = frozenset()
        # A column that looks like one of our own could be mistaken for a key or a unit: it does not exist for the reader.
        own = (KEY_PREFIX, RAW_PREFIX, UNIT_COLUMN, ORDER_COLUMN)
        shown = [c for c in relation.columns if not fold(c.name).startswith(own)]
        policies = {policy.column: policy for policy in reversed(relation.policy.columns)}  # the first of a name counts
        self.columns = tuple((c.name, self._term(c, policies.get(c.name))) for c in shown)
        self._filled = {c.name for c in shown if c.is_filled}
        for name, term in self.columns:
            self._names[id(term)] = name

    def _term(self, column: RelationColumn, policy: ColumnPolicy | None) -> Term:
        name, data_type = column.name, column.data_type
        base = BaseColumn(self._relation.name, name, closed(policy.uses) if policy is not None else frozenset())
        is_unit = self._relation.policy.unit == (name,)
        mask = policy.mask if policy is not None else None
        shown_type = DataType.TEXT if mask is not None and not MASKS[mask.kind].keeps_type else data_type
        return Term(
            shown_type, ("base", base.name), lambda _: exp.Null(), base.uses, frozenset({base}),
            direct=frozenset({base.name}), shape=Shape.COLUMN, unit=0 if is_unit else None,
            keyed_as=data_type if data_type in KEYED_TYPES else None, interval=self._bounds(name),
        )  # fmt: skip

    def is_filled(self, index: int) -> bool:
        """Whether no row is empty in a column. A mask may leave nothing of a value."""
        name = self.columns[index][0]
        return name in self._filled and self._relation.policy.of(name).mask is None

    def _bounds(self, name: str) -> tuple[float, float] | None:
        noise = self._gate.thresholds.protection.noise
        for clamp in noise.clamps if noise is not None else ():
            if (clamp.resource, clamp.column) == (self._relation.resource, name):
                return float(clamp.low), float(clamp.high)
        return None

    def demand(self, term: Term, form: Form) -> str:
        """Add a column to the projection."""
        name = self._names[id(term)]
        demands = self._gate.demands.setdefault(self._relation.name, Demands())
        if not self._relation.policy.unit and Use.REVEAL not in term.uses:
            self._gate.findings.add(UNIT_MISSING, relation=self._relation.name, column=name)
        has_mask = self._relation.policy.of(name).mask is not None
        if form is Form.KEY:
            demands.keys.add(name)
            return KEY_PREFIX + name
        if form is Form.RAW and has_mask:
            demands.raws.add(name)
            return RAW_PREFIX + name
        demands.values.add(name)
        return name

    def demand_unit(self, position: int) -> str:
        """Add the keyed hash of the privacy unit to the projection."""
        self._gate.demands.setdefault(self._relation.name, Demands()).has_unit = position == 0
        return UNIT_COLUMN

    def demand_order(self, position: int) -> str:
        """Add the keyed hash of the row's place to the projection."""
        self._gate.demands.setdefault(self._relation.name, Demands()).has_order = position == 0
        return ORDER_COLUMN

    def demand_side(self, position: int) -> str:
        """Fail: a relation of the entitlement has no sides."""
        raise IndexError(position)

    def emit(self) -> exp.Expression:
        """Write the name of the projection."""
        self._gate.demands.setdefault(self._relation.name, Demands())
        return exp.Table(this=quoted(self._relation.name))


class Staged:
    """A released relation: the groups of a stage that passed. Nothing of the rows behind it can be reached any more."""

    is_row_wise = True

    def __init__(
        self, stage: str, terms: tuple[Term, ...], *, is_single_row: bool, names: tuple[str, ...] = ()
    ) -> None:
        """Give the columns ``c0``, ``c1`` … of ``stage``, described by ``terms``, known to the statement by ``names``."""
        self._stage = stage
        self.kinds: tuple[str, ...] = ()
        self.is_row_level, self.is_single_row, self.sides = False, is_single_row, 0
        self.hidden: frozenset[BaseColumn] = frozenset()
        self.hidden_by = ""
        self.indirect: frozenset[str] = frozenset()
        self._names = {id(term): f"c{i}" for i, term in enumerate(terms)}
        self.columns = tuple(zip(names or tuple(self._names.values()), terms, strict=True))

    @property
    def stage(self) -> str:
        """The name of the stage."""
        return self._stage

    def under(self, stage: str) -> "Staged":
        """Return the same groups as another stage has them."""
        terms, names = tuple(term for _, term in self.columns), tuple(name for name, _ in self.columns)
        return Staged(stage, terms, is_single_row=self.is_single_row, names=names)

    def demand(self, term: Term, form: Form) -> str:  # noqa: ARG002 - a released value has one form
        """Return the column of the stage."""
        return self._names[id(term)]

    def demand_unit(self, position: int) -> str:
        """Fail: a released relation carries no unit."""
        raise IndexError(position)

    def demand_order(self, position: int) -> str:
        """Fail: a released relation carries no unit."""
        raise IndexError(position)

    def demand_side(self, position: int) -> str:
        """Fail: of a released relation it does not matter any more where rows came from."""
        raise IndexError(position)

    def emit(self) -> exp.Expression:
        """Write the passing groups of the stage."""
        select = exp.Select(expressions=[exp.Column(this=quoted(name)) for name in self._names.values()])
        table = exp.Table(this=quoted(self._stage))
        passes = exp.Where(this=exp.Column(this=quoted("passes")))
        return exp.Subquery(this=select.from_(table, copy=False).where(passes.this, copy=False))


class Instance:
    """One appearance of a relation in a FROM, under the name that the statement gives it."""

    def __init__(self, alias: str, name: str, source: Source, first_unit: int, *, is_optional: bool = False) -> None:
        """Appear as ``alias`` in the written SQL; ``first_unit`` is the position of its first privacy unit."""
        self.alias, self.name, self.source = alias, name, source
        self.first_unit, self.is_optional = first_unit, is_optional
        self.is_full = False  # of a FULL JOIN: its rows are all there, and may be missing too
        self.merged: set[int] = set()  # columns that USING or NATURAL merged into those of the left side
        self.replaced: dict[int, Term] = {}  # columns that stand for those of both sides where the other may be missing
        self.unnamed: set[int] = set()  # columns that link it, and that the statement cannot name
        self.is_complete = False  # of a correlated aggregate: no group is withheld, so one that is missing has no rows
        self.is_hidden = False  # a correlated subquery put it here: the statement has no name for it
        self._terms: dict[int, Term] = {}
        self._places: dict[str, list[int]] = {}
        self._placed = 0

    def places(self, wanted: str) -> list[int]:
        """Return the positions of the columns of a folded name. Looked up often, so written down once for each column."""
        for index in range(self._placed, len(self.source.columns)):
            self._places.setdefault(fold(self.source.columns[index][0]), []).append(index)
        self._placed = len(self.source.columns)
        return self._places.get(wanted, [])

    def term(self, index: int) -> Term:
        """Return a column as it stands here. Made at first use: wide relations cost what is used of them."""
        if index not in self._terms:
            self._terms[index] = self._leaf(index, self.source.columns[index][1])
        return self._terms[index]

    def stand_for(self, index: int, term: Term) -> None:
        """Let a column stand here for ``term``, which is made of it."""
        self._terms[index] = term

    def shown(self, index: int) -> Term:
        """Return what a column means without its relation's name: of a merged key where one side may be missing, both."""
        return self.replaced.get(index) or self.term(index)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Every column as it stands here."""
        return tuple(self.term(index) for index in range(len(self.source.columns)))

    def _leaf(self, index: int, inner: Term) -> Term:
        shown = f"{self.name}.{self.source.columns[index][0]}" if self.name else self.source.columns[index][0]
        mark: Mark = ("column", self.alias, index)

        def carried(part: str, position: int, term: Term) -> Term:
            return replace(
                term, mark=(*mark, part, position), loose=frozenset({shown}),
                emit=lambda _: column(self.alias, self.source.demand(term, Form.VALUE)),
            )  # fmt: skip

        return replace(
            inner,
            mark=mark,
            emit=lambda form: column(self.alias, self.source.demand(inner, form)),
            loose=frozenset({shown}),
            is_constant=False, is_tested=False, number=None, text=None, has_subquery=False,
            is_released=inner.is_released or not inner.bases,
            hidden=inner.hidden,
            indirect=inner.indirect,
            unit=None if inner.unit is None else inner.unit + self.first_unit,
            source=("instance", self.alias),
            cells=tuple(carried("cell", i, cell) for i, cell in enumerate(inner.cells)),
            addends=tuple(carried("addend", i, part) for i, part in enumerate(inner.addends)),
            steps=tuple(carried("step", i, step) for i, step in enumerate(inner.steps)),
            blanks=tuple(carried("blank", i, blank) for i, blank in enumerate(inner.blanks)),
            weights=tuple(carried("weight", i, weight) for i, weight in enumerate(inner.weights)),
        )  # fmt: skip

    def emit(self) -> exp.Expression:
        """Write the relation with its alias."""
        written = self.source.emit()
        written.set("alias", exp.TableAlias(this=quoted(self.alias)))
        return written


def links_most(thresholds: Thresholds) -> int:
    """Return how many units a row carries at most of those that it meets: one more than are asked for, as one may be missing."""
    return thresholds.units_min + 1


@dataclass(frozen=True, eq=False)
class Link:
    """Another relation decides which rows are there, so units of it travel on.

    ``units`` write, for each of ``kinds``, the list of those units whose rows a row of this SELECT meets.
    """

    test: Term
    kinds: tuple[str, ...]
    units: tuple[Callable[[], exp.Expression], ...]


@dataclass(frozen=True, eq=False)
class Correlated:
    """A condition of a subquery on the SELECT around it; ``key`` are the columns outside and inside if it links by one."""

    test: Term
    key: tuple[Term, Term] | None


@dataclass
class Scope:
    """The names that can be used in one SELECT, and what has been computed there."""

    gate: Gate
    tables: dict[str, Any]  # CTEs visible here, by folded name: ``selects.Named``
    instances: list[Instance] = field(default_factory=list)
    place: str = "SELECT"
    outer: "Scope | None" = None  # the SELECT around a subquery: its columns link the two
    is_beside: bool = False  # the names of ``outer`` are on one footing with those here, as in ON
    is_argument: bool = False  # of an aggregate: rows have been chosen
    reached: list[Term] = field(default_factory=list)  # columns of ``outer`` that were bound
    links: list[Link] = field(default_factory=list)  # EXISTS, IN, SEMI JOIN: units of the other relation travel on
    absences: list[Link] = field(default_factory=list)  # NOT EXISTS …: those of the rows taken away do
    values: dict[int, Term] = field(default_factory=dict)  # of correlated subqueries, by node: each is joined once
    joins: Any = None  # ``joins.Joins``: how the instances are joined
    aliases: dict[str, Term] = field(default_factory=dict)  # visible in ORDER BY, HAVING, QUALIFY, GROUP BY
    prefers_alias: bool = False
    keys: dict[Mark, Term] = field(default_factory=dict)  # group keys, as columns of the stage
    is_grouped: bool = False
    windows: Any = None  # ``windows.RowWindows`` where windows over rows can stand
    collects: Collects | None = None  # None where aggregates cannot stand

    @property
    def is_on_rows(self) -> bool:
        """Whether expressions here are reckoned for single rows, so that failing on one of them would tell of it."""
        return not self.is_grouped and any(i.source.is_row_level for i in self.instances)

    def bind(self, node: exp.Column) -> Term:
        """Return the one column that ``node`` means, or refuse."""
        if id(node) in self.gate.meanings:
            return self.gate.meanings[id(node)][1](self)
        if not self.gate.only(node, "this", "table") or not isinstance(node.this, exp.Identifier):
            self.gate.findings.add(CONSTRUCT_REFUSED, construct=type(node.this).__name__.upper())
            return poison()
        name, table = node.this.name, node.args.get("table")
        wanted = fold(name)
        if table is None and self.prefers_alias and wanted in self.aliases:
            return self.aliases[wanted]
        qualifier = fold(table.name) if table is not None else None
        found = self.columns(wanted, qualifier)
        alias = self.aliases.get(wanted) if table is None else None
        if alias is not None and all(term.mark != alias.mark for term in found):
            found.append(alias)
        if self.is_beside or not (found or any(fold(i.name) == qualifier for i in self.instances)):
            found += self._outside(wanted, qualifier)
        shown = f"{table.name}.{name}" if table is not None else name
        if len(found) == 1:
            return found[0]
        if found:
            self.gate.findings.add(IDENTIFIER_AMBIGUOUS, name=shown)
        else:
            self.gate.findings.add(COLUMN_UNKNOWN, column=shown, known=self.known())
        return poison(mark=("refused", shown))

    def columns(self, wanted: str, table: str | None) -> list[Term]:
        """Return every column here that a folded name can mean, with or without its relation's."""
        return [
            instance.shown(index) if table is None else instance.term(index)
            for instance in self.instances
            if not instance.is_hidden and (table is None or fold(instance.name) == table)
            for index in instance.places(wanted)
            if index not in instance.unnamed
            if table is not None or index not in instance.merged
        ]

    def _outside(self, wanted: str, table: str | None) -> list[Term]:
        if self.outer is None:
            return []
        found = self.outer.columns(wanted, table)
        if found and self.outer.is_grouped:
            self.gate.findings.add(LINK_MISPLACED, place="SELECT / HAVING", column=wanted)
        self.reached += found
        return found

    def known(self) -> str:
        """Return the names of the columns here, for a message."""
        instances = [i for i in self.instances if not i.is_hidden]
        found = dict.fromkeys(name for instance in instances for name, _ in instance.source.columns)
        shown = list(found)
        return ", ".join(shown[:20]) + (" …" if len(shown) > 20 else "") or "—"

    def add(self, source: Source, name: str, *, is_optional: bool = False) -> Instance:
        """Put ``source`` into the FROM under ``name``."""
        if any(fold(other.name) == fold(name) for other in self.instances if name):
            self.gate.findings.add(NAME_REPEATED, name=name)
        first_unit = sum(len(other.source.kinds) for other in self.instances)
        instance = Instance(self.gate.fresh("r"), name, source, first_unit, is_optional=is_optional)
        self.instances.append(instance)
        return instance
