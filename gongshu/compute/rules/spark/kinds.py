"""What the rewriter knows of an expression: its kind, which decides how an operation is written for Spark."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.terms import quoted

NODES_MAX = 200_000
"""Where a part stands twice in what is written, statements grow; beyond this many nodes one is refused."""


class Kind(StrEnum):
    """Kinds of values. ``LIST``: the largest parts of a group; ``UNITS``: lists of units, ``NESTED`` lists of such lists."""

    NOTHING = "null"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    TEXT = "text"
    DATE = "date"
    STAMP = "timestamp"
    BOOLEAN = "boolean"
    BINARY = "binary"
    LIST = "list"
    UNITS = "units"
    NESTED = "nested"


KIND_OF: dict[DataType, Kind] = {
    DataType.INTEGER: Kind.INTEGER, DataType.DECIMAL: Kind.DECIMAL, DataType.TEXT: Kind.TEXT, DataType.DATE: Kind.DATE,
    DataType.TIMESTAMP: Kind.STAMP, DataType.BOOLEAN: Kind.BOOLEAN,
}  # fmt: skip
ORDER = tuple(Kind)
Columns = dict[str, Kind]


class UnwritableError(Exception):
    """A construct has no form in Spark's dialect that is known to mean the same. The argument is its name."""


@dataclass(frozen=True)
class Written:
    """A fresh node in Spark's dialect, and its kind."""

    node: exp.Expression
    kind: Kind


def widest(kinds: Iterable[Kind]) -> Kind:
    """Return the kind in which values of ``kinds`` meet."""
    return max(kinds, key=ORDER.index, default=Kind.NOTHING)


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    """Write a call of a function of Spark."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def whole(value: int) -> exp.Expression:
    """Write a whole number."""
    literal: exp.Expression = exp.Literal.number(abs(value))
    return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal


def words(text: str) -> exp.Expression:
    """Write a text."""
    return exp.Literal.string(text)


def spark_type(name: str) -> exp.Expression:
    """Write a type by its name in Spark."""
    return exp.DataType(this=exp.DType.USERDEFINED, kind=name)


def cast(node: exp.Expression, name: str) -> exp.Expression:
    """Write a cast that cannot fail and cannot wrap: to a wider type of the same kind."""
    return exp.Cast(this=node, to=spark_type(name))


def try_cast(node: exp.Expression, name: str) -> exp.Expression:
    """Write a cast that gives NULL where a value does not fit."""
    return exp.TryCast(this=node, to=spark_type(name), safe=True)


def special(name: str) -> exp.Expression:
    """Write ``Infinity``, ``-Infinity`` or ``NaN``."""
    return cast(words(name), "DOUBLE")


def paren(node: exp.Expression) -> exp.Expression:
    """Wrap ``node``, so that the text has the shape of the tree."""
    return node if isinstance(node, exp.Paren | exp.Column | exp.Anonymous | exp.Literal) else exp.Paren(this=node)


def either(test: exp.Expression, then: exp.Expression, otherwise: exp.Expression | None = None) -> exp.Expression:
    """Write ``CASE WHEN test THEN then [ELSE otherwise] END``."""
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=otherwise)


def is_null(node: exp.Expression) -> exp.Expression:
    """Write ``node IS NULL``."""
    return exp.Is(this=paren(node), expression=exp.Null())


def column(name: str, table: str = "") -> exp.Expression:
    """Write a column."""
    return exp.Column(this=quoted(name), table=quoted(table)) if table else exp.Column(this=quoted(name))
