"""What the gate knows of an expression: uses left, lineage, and how to write it again. Every rule of the flow is here.

A ``Term`` is made from the tree of a statement and never holds a piece of its text: ``emit`` builds fresh nodes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any, cast

from sqlglot import exp

from gongshu.base.decisions import Reason, Rule
from gongshu.catalog.types import DataType
from gongshu.compute.rules.refusals import FILTER_MISSING, USE_SPENT
from gongshu.policies.service import ALL_USES, combine
from gongshu.policies.types import Use

FACTOR_MIN, FACTOR_MAX = 1e-12, 1e12
OFFSET_MAX = 1e10
"""What is added may be at most this many times the smallest factor: beyond it, rounding becomes a step function."""
FACTOR_SPREAD_MAX = 1e6
"""Columns that are added to each other may be scaled at most this differently, for the same reason."""
CELLS_MAX = 64
OTHERWISE = "IS NOT TRUE"
WHOLE_DIGITS_MAX, FRACTION_DIGITS_MAX = 18, 10

NUMERIC = frozenset({DataType.INTEGER, DataType.DECIMAL})
TEMPORAL = frozenset({DataType.DATE, DataType.TIMESTAMP})


class Form(StrEnum):
    """In which form a column is wanted: masked value, keyed hash for equality, or raw value for order comparisons."""

    VALUE = "value"
    KEY = "key"
    RAW = "raw"


class Shape(StrEnum):
    """How far an expression is from a bare column."""

    COLUMN = "column"
    SCALED = "scaled"  # a column times a constant
    AFFINE = "affine"
    OTHER = "other"


Emit = Callable[[Form], Any]
"""Makes a fresh ``sqlglot`` node."""
Mark = tuple[Any, ...]


@dataclass(frozen=True)
class BaseColumn:
    """A column of an entitlement's relation with the uses it has there."""

    relation: str
    column: str
    uses: frozenset[Use]

    @property
    def name(self) -> str:
        """``relation.column``."""
        return f"{self.relation}.{self.column}"


@dataclass(frozen=True, eq=False)
class Term:
    """An expression. ``mark`` is equal for equal expressions; ``bases`` are the columns that still restrict it."""

    data_type: DataType | None
    mark: Mark
    emit: Emit
    uses: frozenset[Use] = ALL_USES
    bases: frozenset[BaseColumn] = frozenset()
    hidden: frozenset[BaseColumn] = frozenset()  # columns without reveal that decided which branch was taken
    direct: frozenset[str] = frozenset()
    indirect: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()  # row columns that no group key covers
    shape: Shape = Shape.OTHER
    is_constant: bool = False
    is_tested: bool = False  # a condition whose atoms have had what they need
    is_released: bool = False
    number: float | None = None  # of a numeric literal
    text: str | None = None  # of a text literal
    factors: tuple[float, float] = (1.0, 1.0)  # smallest and largest factor on the way from a column
    offset: float = 0.0  # what was added on the way: a number, or days to a date
    has_subquery: bool = False  # a subquery or a window: DuckDB's TRY can hold neither
    spent: tuple[tuple[Use, str], ...] = ()
    cells: tuple["Term", ...] = ()  # conditions under which a row contributes; each must reach the threshold
    addends: tuple["Term", ...] = ()  # whose parts by unit must not dominate
    steps: tuple["Term", ...] = ()  # functions with few values in it; each value must be that of enough units
    blanks: tuple["Term", ...] = ()  # conditions under which it is 0: nothing in a sum, a value beside another one
    weights: tuple["Term", ...] = ()  # of a unit's row: how many rows it was made of, all and in each cell
    is_mixed: bool = False  # rows of several relations stand under each other in it: a unit's parts may cancel
    keyed_as: DataType | None = None  # a bare column of this type: its keyed hash can be had
    unit: int | None = None  # the position of the privacy unit that this column is
    source: Mark = ()  # of a bare column: the instance it belongs to
    interval: tuple[float, float] | None = None  # from declared bounds, see ``intervals``

    @property
    def is_row_level(self) -> bool:
        """Whether a base column still restricts it."""
        return bool(self.bases)


@dataclass
class Findings:
    """Reasons against the statement, each once, in the order found."""

    reasons: list[Reason] = field(default_factory=list)

    def add(self, rule: Rule, **facts: object) -> None:
        """Note one reason."""
        reason = rule.because(**facts)
        if reason not in self.reasons:
            self.reasons.append(reason)


def union(sets: Iterable[frozenset[Any]]) -> frozenset[Any]:
    """Return everything that is in any of ``sets``."""
    return frozenset().union(*sets)


def distinct(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Return ``terms`` without repetition."""
    return tuple({term.mark: term for term in terms}.values())


def cast_to(term: Term, written: str) -> Term:
    """Return ``term`` written as another type of its family; NULL where it does not fit."""
    emit = lambda form: exp.TryCast(this=term.emit(form), to=sql_type(written))  # noqa: E731
    return replace(term, emit=emit)


def alike(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Return ``terms`` in types that meet without a conversion of the engine's own, which could fail on some value."""
    types = {t.data_type for t in terms}
    if types >= TEMPORAL:
        return tuple(cast_to(t, "TIMESTAMP") if t.data_type is DataType.DATE else t for t in terms)
    if DataType.DECIMAL in types and any(_may_be_wide(t) for t in terms):
        return tuple(cast_to(t, "DOUBLE") if t.data_type in NUMERIC else t for t in terms)
    return tuple(terms)


def _may_be_wide(term: Term) -> bool:
    return term.data_type in NUMERIC and term.shape is not Shape.COLUMN and term.number is None


def parts_of(term: Term) -> tuple[Term, ...]:
    """Return what a sum of ``term`` consists of: the columns in it, without the constants added to them."""
    return term.addends or ((term,) if term.bases else ())


def names(columns: Iterable[BaseColumn]) -> str:
    """Return the names of ``columns`` for a message."""
    return ", ".join(sorted({column.name for column in columns})) or "—"


def quoted(name: str) -> exp.Identifier:
    """Return an identifier that is written in quotes."""
    return exp.Identifier(this=name, quoted=True)


def column(table: str, name: str) -> exp.Expression:
    """Return ``"table"."name"``."""
    return exp.Column(this=quoted(name), table=quoted(table))


@cache
def _built(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")


def sql_type(name: str) -> exp.Expression:
    """Return a fresh node of a type written in DuckDB's dialect."""
    built = _built(name)
    return exp.DataType(this=built.this, expressions=[size.copy() for size in built.expressions], nested=False)


def written_sql(node: exp.Expression) -> str:
    """Return the text of a tree that nobody needs any more."""
    text = node.sql(dialect="duckdb", copy=False)
    let_go(node)
    return text


def let_go(node: exp.Expression) -> None:
    """Cut the ways back from child to parent, so that a tree is freed at once and not by a collection later."""
    for part in tuple(node.walk()):
        part.parent = None


def conjunction(tests: Iterable[Any]) -> exp.Expression:
    """Write all of ``tests`` connected by AND; none is TRUE."""
    found = list(tests)
    return cast(exp.Expression, exp.and_(*found, copy=False)) if found else exp.Boolean(this=True)


def paren(node: exp.Expression) -> exp.Expression:
    """Wrap ``node``, so that the written text has the shape of the tree."""
    return exp.Paren(this=node)


def poison(data_type: DataType | None = None, mark: Mark = ("refused",)) -> Term:
    """Stand in for what was refused, so that the rest of the statement can be looked at too."""
    return Term(data_type, mark, lambda _: exp.Null())


def literal_number(text: str) -> Term:
    """Return a number as it was written; with more digits than a column has, as DOUBLE."""
    whole, _, fraction = text.partition(".")
    is_long = len(whole) > WHOLE_DIGITS_MAX or len(fraction) > FRACTION_DIGITS_MAX
    made = Term(
        DataType.INTEGER if text.isdigit() and not is_long else DataType.DECIMAL, ("number", text),
        lambda _: exp.Literal.number(text), is_constant=True, number=float(text),
    )  # fmt: skip
    return cast_to(made, "DOUBLE") if is_long else made


def literal_text(text: str) -> Term:
    """Return a text literal."""
    return Term(DataType.TEXT, ("text", text), lambda _: exp.Literal.string(text), is_constant=True, text=text)


def hidden_of(terms: Iterable[Term]) -> frozenset[BaseColumn]:
    """Return the columns without ``reveal`` that ``terms`` would betray when used as conditions."""
    found = tuple(terms)
    return union(t.hidden for t in found) | {b for t in found for b in t.bases if Use.REVEAL not in b.uses}


def derive(
    operator: str,
    terms: tuple[Term, ...],
    *,
    data_type: DataType | None,
    emit: Callable[[], Any],
    shape: Shape = Shape.OTHER,
    keeps_uses: bool = False,
    extra: Mark = (),
) -> Term:
    """Return the term of a scalar function or operator over ``terms``.

    Affine functions keep the intersection of uses. Any other function of a column without ``filter`` loses ``total``,
    ``rank`` and ``group``, because it is a condition in disguise. Neither is a bare column any more.
    """
    bases = union(t.bases for t in terms)
    uses = combine(t.uses for t in terms) - {Use.JOIN}
    spent = tuple(dict.fromkeys(s for t in terms for s in t.spent))
    if shape is not Shape.SCALED and bases:
        uses -= {Use.COMPARE}
    is_other = shape is Shape.OTHER and not keeps_uses
    if is_other and Use.REVEAL not in uses and any(Use.FILTER not in b.uses for b in bases):
        spent += tuple((use, operator) for use in (Use.TOTAL, Use.RANK, Use.GROUP) if use in uses)
        uses -= {Use.TOTAL, Use.RANK, Use.GROUP}
    made = Term(
        data_type, (operator, *extra, *(t.mark for t in terms)), lambda _: emit(), uses, bases,
        hidden=union(t.hidden for t in terms), direct=union(t.direct for t in terms),
        indirect=union(t.indirect for t in terms), loose=union(t.loose for t in terms), shape=shape,
        is_constant=all(t.is_constant for t in terms), is_released=any(t.is_released for t in terms), spent=spent,
        factors=(min((t.factors[0] for t in terms), default=1.0), max((t.factors[1] for t in terms), default=1.0)),
        offset=sum(t.offset for t in terms), has_subquery=any(t.has_subquery for t in terms),
        cells=distinct(c for t in terms for c in t.cells), steps=distinct(s for t in terms for s in t.steps),
        blanks=distinct(b for t in terms for b in t.blanks),
        weights=distinct(w for t in terms for w in t.weights),
        is_mixed=any(t.is_mixed for t in terms),
    )  # fmt: skip
    inner = distinct(a for t in terms for a in parts_of(t))
    return replace(made, addends=(made, *inner) if is_other and bases else inner)


def with_step(made: Term, step: Term | None = None) -> Term:
    """Return ``made`` as a function that may have few values, so that the units behind each of them are counted."""
    return replace(made, steps=distinct((*made.steps, made if step is None else step))) if made.bases else made


def need_filter(findings: Findings, operator: str, *terms: Term) -> None:
    """Refuse a condition on columns without ``filter``."""
    for column in sorted(union(t.bases for t in terms), key=lambda b: b.name):
        if Use.FILTER not in column.uses:
            findings.add(FILTER_MISSING, operator=operator, column=column.name)


def need(findings: Findings, term: Term, use: Use, rule: Rule, operator: str) -> None:
    """Refuse ``term`` where ``use`` is missing, naming the column that never had it or the function that spent it."""
    if use in term.uses:
        return
    lacking = [b for b in term.bases if use not in b.uses]
    for column in sorted(lacking, key=lambda b: b.name):
        findings.add(rule, operator=operator, column=column.name)
    if not lacking:
        function = next((name for lost, name in term.spent if lost is use), operator)
        findings.add(USE_SPENT, column=names(term.bases), use=use.value, function=function)


def condition(operator: str, terms: tuple[Term, ...], emit: Callable[[], Any], extra: Mark = ()) -> Term:
    """Return a condition whose columns have had what they need: its value is a branch, its columns are indirect."""
    return Term(
        DataType.BOOLEAN, (operator, *extra, *(t.mark for t in terms)), lambda _: paren(emit()),
        hidden=hidden_of(terms), indirect=union(t.direct | t.indirect for t in terms),
        loose=union(t.loose for t in terms), is_constant=all(t.is_constant for t in terms), is_tested=True,
        is_released=any(t.is_released for t in terms), has_subquery=any(t.has_subquery for t in terms),
    )  # fmt: skip


def all_of(terms: Sequence[Term]) -> Term | None:
    """Return all of ``terms`` connected by AND; ``None`` when there are none."""
    if len(terms) < 2:
        return terms[0] if terms else None
    return condition("AND", tuple(terms), lambda: conjunction(t.emit(Form.VALUE) for t in terms))


def as_condition(findings: Findings, term: Term, place: str) -> Term:
    """Return ``term`` as a condition; a boolean column or function needs ``filter``."""
    if term.is_tested or term.is_constant:
        return term
    need_filter(findings, place, term)
    return condition("boolean", (term,), lambda: term.emit(Form.VALUE))


def as_value(term: Term) -> Term:
    """Return a condition as the value 1 or 0: the rows where it is true are a cell of their own."""
    if not term.is_tested or term.is_constant:
        return term
    return replace(term, cells=(term,), blanks=(otherwise(term),))


def otherwise(term: Term) -> Term:
    """Return the condition that another one is not true. NOT is something else: of what is missing it is missing, too."""
    return condition(OTHERWISE, (term,), lambda: negated(term))


def negated(term: Term) -> exp.Expression:
    """Write that a condition is not true."""
    return exp.Not(this=paren(exp.Is(this=term.emit(Form.VALUE), expression=exp.Boolean(this=True))))
