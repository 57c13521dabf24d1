"""What single expressions mean, over Python values: NULL is ``None``, three-valued logic, nothing ever raises.

``read`` turns a parsed expression into a function of a row. A name is looked up among the columns of its scope, then outward.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType

Row = tuple[Any, ...]
Meaning = Callable[[Row], Any]
Mark = tuple[Any, ...]
INT128 = 1 << 127


@dataclass(frozen=True)
class Column:
    """A column of a relation: the relation's name, its own, its type, and the position of the privacy unit that it is.

    Where the column was reckoned by a query below, ``cells``, ``blanks`` and ``parts`` are positions in the row of what
    ``withholding.Argument`` says; ``is_seen``: its values may stand in a result; ``sources`` are the columns of tables whose values came into it.
    """

    alias: str
    name: str
    kind: DataType | None = None
    unit: int | None = None
    is_base: bool = True
    is_seen: bool = True
    is_affine: bool = True
    is_mixed: bool = False
    cells: tuple[int, ...] = ()
    blanks: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    sources: frozenset[Any] = frozenset()


@dataclass
class Scope:
    """The columns that an expression may name; ``known`` are expressions whose value stands in the row.

    ``query`` answers a subquery for one row of this scope. ``outer`` is the row of the query around, with its scope.
    """

    columns: list[Column]
    query: Callable[[exp.Expression, "Scope", Row], list[Row]]
    known: dict[Mark, int] = field(default_factory=dict)
    aliases: dict[str, exp.Expression] = field(default_factory=dict)
    outer: tuple["Scope", Row] | None = None

    def find(self, node: exp.Column) -> int | None:
        """Return the position of a column, or ``None`` when it is not one of this scope."""
        table, name = node.text("table").lower(), node.name.lower()
        found = [
            i
            for i, column in enumerate(self.columns)
            if column.name.lower() == name and (not table or column.alias.lower() == table)
        ]
        assert len(found) < 2 or table == "", f"{node.sql()} is ambiguous"
        return found[0] if found else None


def mark(node: exp.Expression, scope: Scope) -> Mark:
    """Return what is equal for equal expressions."""
    if isinstance(node, exp.Paren):
        return mark(node.this, scope)
    if isinstance(node, exp.Column):
        position = scope.find(node)
        if position is None and node.name.lower() in scope.aliases and not node.text("table"):
            return mark(scope.aliases[node.name.lower()], scope)
        return ("column", position if position is not None else ("outer", node.sql()))
    parts = []
    for key, given in sorted(node.args.items()):
        many = given if isinstance(given, list) else [given]
        inner = tuple(mark(part, scope) if isinstance(part, exp.Expression) else ("", part) for part in many)
        if given not in (None, [], False):
            parts.append((key, inner))
    return (type(node).__name__, *parts)


def read(node: exp.Expression, scope: Scope) -> Meaning:
    """Return the meaning of ``node`` in ``scope``."""
    position = scope.known.get(mark(node, scope))
    if position is not None:
        return lambda row: row[position]
    reader = READERS.get(type(node))
    assert reader is not None, f"the reference knows no {type(node).__name__}: {node.sql()}"
    return reader(node, scope)


def _column(node: Any, scope: Scope) -> Meaning:
    position = scope.find(node)
    if position is not None:
        return lambda row: row[position]
    alias = scope.aliases.get(node.name.lower()) if not node.text("table") else None
    if alias is not None:
        return read(alias, scope)
    assert scope.outer is not None, f"no column {node.sql()}"
    around, row_around = scope.outer
    fixed = read(node, around)(row_around)
    return lambda _: fixed


def _literal(node: Any, _: Scope) -> Meaning:
    text = str(node.this)
    made: Any = text if node.is_string else int(text) if text.isdigit() else Decimal(text)
    return lambda _: made


def _both(node: Any, scope: Scope, decide: Callable[[Any, Any], Any]) -> Meaning:
    left, right = read(node.this, scope), read(node.expression, scope)

    def meaning(row: Row) -> Any:
        a, b = left(row), right(row)
        return None if a is None or b is None else decide(a, b)

    return meaning


def _comparison(decide: Callable[[Any, Any], Any]) -> Callable[[Any, Scope], Meaning]:
    return lambda node, scope: _both(node, scope, lambda a, b: decide(*_alike(a, b)))


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    if isinstance(a, date) and isinstance(b, str):
        return a, _to_date(b)
    if isinstance(b, date) and isinstance(a, str):
        return _to_date(a), b
    if isinstance(a, datetime) and not isinstance(b, datetime) and isinstance(b, date):
        return a, datetime(b.year, b.month, b.day)  # noqa: DTZ001 - as the engine's TIMESTAMP, without a zone
    return a, b


def _arithmetic(reckon: Callable[[Any, Any], Any]) -> Callable[[Any, Scope], Meaning]:
    def decide(a: Any, b: Any) -> Any:
        if isinstance(a, int) and isinstance(b, int):
            made = reckon(a, b)
            return made if -INT128 <= made < INT128 else None
        return reckon(float(a), float(b))

    return lambda node, scope: _both(node, scope, decide)


def _sub(node: Any, scope: Scope) -> Meaning:
    if isinstance(node.expression, exp.Interval):
        return _shifted(node, scope, -1)
    return _arithmetic(lambda a, b: a - b)(node, scope)


def _add(node: Any, scope: Scope) -> Meaning:
    if isinstance(node.expression, exp.Interval):
        return _shifted(node, scope, 1)
    return _arithmetic(lambda a, b: a + b)(node, scope)


def _shifted(node: Any, scope: Scope, sign: int) -> Meaning:
    given, amount = read(node.this, scope), sign * int(node.expression.this.this)
    unit = str(node.expression.args["unit"]).lower().removesuffix("s")

    def meaning(row: Row) -> Any:
        day = given(row)
        if day is None or unit == "day":
            return None if day is None else day + timedelta(days=amount)
        months = day.year * 12 + day.month - 1 + amount * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return day.replace(year=year, month=month + 1, day=min(day.day, last))

    return meaning


def _divide(node: Any, scope: Scope) -> Meaning:
    return _both(node, scope, lambda a, b: float(a) / float(b) if float(b) else None)


def _negative(node: Any, scope: Scope) -> Meaning:
    inner = read(node.this, scope)
    return lambda row: None if inner(row) is None else -inner(row)


def _and(node: Any, scope: Scope) -> Meaning:
    left, right = read(node.this, scope), read(node.expression, scope)

    def meaning(row: Row) -> Any:
        sides = (left(row), right(row))
        return False if False in sides else None if None in sides else True

    return meaning


def _or(node: Any, scope: Scope) -> Meaning:
    left, right = read(node.this, scope), read(node.expression, scope)

    def meaning(row: Row) -> Any:
        sides = (left(row), right(row))
        return True if True in sides else None if None in sides else False

    return meaning


def _not(node: Any, scope: Scope) -> Meaning:
    inner = read(node.this, scope)
    return lambda row: None if inner(row) is None else not inner(row)


def _is(node: Any, scope: Scope) -> Meaning:
    inner, wanted = (
        read(node.this, scope),
        None if isinstance(node.expression, exp.Null) else bool(node.expression.this),
    )
    return lambda row: inner(row) is wanted


def _between(node: Any, scope: Scope) -> Meaning:
    low = exp.GTE(this=node.this, expression=node.args["low"])
    return _and(exp.And(this=low, expression=exp.LTE(this=node.this, expression=node.args["high"])), scope)


def _in(node: Any, scope: Scope) -> Meaning:
    inner = read(node.this, scope)
    query = node.args.get("query")
    items = [read(part, scope) for part in node.expressions]

    def meaning(row: Row) -> Any:
        wanted = inner(row)
        found = [r[0] for r in scope.query(query.this, scope, row)] if query is not None else [i(row) for i in items]
        if not found:
            return False
        if wanted is None:
            return None
        return True if wanted in [v for v in found if v is not None] else None if None in found else False

    return meaning


def _exists(node: Any, scope: Scope) -> Meaning:
    return lambda row: bool(scope.query(node.this, scope, row))


def _subquery(node: Any, scope: Scope) -> Meaning:
    def meaning(row: Row) -> Any:
        rows = scope.query(node.this, scope, row)
        assert len(rows) < 2
        return rows[0][0] if rows else None

    return meaning


def _like(node: Any, scope: Scope) -> Meaning:
    return _both(node, scope, lambda text, pattern: matches(text, pattern) is not bool(node.args.get("negate")))


def matches(text: str, pattern: str) -> bool:
    """Whether ``text`` is LIKE ``pattern``: ``%`` is any text, ``_`` one character."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(matches(text[i:], pattern[1:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and matches(text[1:], pattern[1:])


def branches(node: Any) -> tuple[list[tuple[exp.Expression, exp.Expression]], exp.Expression]:
    """Return the conditions of a CASE or IF with what each gives, and what is given otherwise."""
    if isinstance(node, exp.If):
        return [(node.this, node.args["true"])], node.args.get("false") or exp.Null()
    subject = node.args.get("this")
    tests = [exp.EQ(this=subject, expression=b.this) if subject is not None else b.this for b in node.args["ifs"]]
    thens = [b.args["true"] for b in node.args["ifs"]]
    return list(zip(tests, thens, strict=True)), node.args.get("default") or exp.Null()


def _case(node: Any, scope: Scope) -> Meaning:
    whens, default = branches(node)
    read_whens = [(read(test, scope), read(then, scope)) for test, then in whens]
    otherwise = read(default, scope)

    def meaning(row: Row) -> Any:
        return next((then(row) for test, then in read_whens if test(row) is True), None) if any(
            test(row) is True for test, _ in read_whens
        ) else otherwise(row)  # fmt: skip

    return meaning


def _coalesce(node: Any, scope: Scope) -> Meaning:
    parts = [read(part, scope) for part in (node.this, *node.expressions)]
    return lambda row: next((v for v in (part(row) for part in parts) if v is not None), None)


def _to_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _cast(node: Any, scope: Scope) -> Meaning:
    inner, target = read(node.this, scope), node.args["to"].this.name

    def meaning(row: Row) -> Any:
        given = inner(row)
        if given is None:
            return None
        match target:
            case "DATE":
                return _to_date(given) if isinstance(given, str) else given
            case "BIGINT" if not isinstance(given, str):
                return given
            case "DOUBLE" if not isinstance(given, str):
                return float(given)
        raise AssertionError(f"the reference knows no CAST to {target}")

    return meaning


def _function(reckon: Callable[..., Any], *keys: str) -> Callable[[Any, Scope], Meaning]:
    def reader(node: Any, scope: Scope) -> Meaning:
        parts = [read(node.args[key], scope) for key in keys if node.args.get(key) is not None]

        def meaning(row: Row) -> Any:
            values = [part(row) for part in parts]
            return None if None in values else reckon(*values)

        return meaning

    return reader


def _extract(node: Any, scope: Scope) -> Meaning:
    inner, part = read(node.expression, scope), str(node.this.name).lower()
    return lambda row: None if inner(row) is None else getattr(inner(row), part)


READERS: dict[type, Callable[[Any, Scope], Meaning]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda node, _: lambda _: bool(node.this),
    exp.Null: lambda _, __: lambda _: None,
    exp.Paren: lambda node, scope: read(node.this, scope),
    exp.EQ: _comparison(lambda a, b: a == b),
    exp.NEQ: _comparison(lambda a, b: a != b),
    exp.LT: _comparison(lambda a, b: a < b),
    exp.LTE: _comparison(lambda a, b: a <= b),
    exp.GT: _comparison(lambda a, b: a > b),
    exp.GTE: _comparison(lambda a, b: a >= b),
    exp.Add: _add,
    exp.Sub: _sub,
    exp.Mul: _arithmetic(lambda a, b: a * b),
    exp.Div: _divide,
    exp.Neg: _negative,
    exp.And: _and,
    exp.Or: _or,
    exp.Not: _not,
    exp.Is: _is,
    exp.Between: _between,
    exp.In: _in,
    exp.Exists: _exists,
    exp.Subquery: _subquery,
    exp.Like: _like,
    exp.Case: _case,
    exp.If: _case,
    exp.Coalesce: _coalesce,
    exp.Cast: _cast,
    exp.Abs: _function(abs, "this"),
    exp.Length: _function(len, "this"),
    exp.Year: _function(lambda day: day.year, "this"),
    exp.Month: _function(lambda day: day.month, "this"),
    exp.Extract: _extract,
    exp.Substring: _function(lambda text, start, size: text[start - 1 : start - 1 + size], "this", "start", "length"),
    exp.DateTrunc: _function(lambda day: day.replace(day=1), "this"),  # to the month
    exp.TimestampTrunc: _function(lambda day: day.replace(day=1), "this"),
}  # fmt: skip
"""What the reference can read. Whatever is missing is said by an ``AssertionError``, never guessed."""
