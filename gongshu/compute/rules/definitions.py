"""What defines the groups of a stage apart from the data: relations, joins, conditions, keys, and not what is asked of them.

The same definition asked again names the same units whatever the data are, so that it tells nothing new. Another definition that
happens to name the same units tells something: that nobody stands between the two (see ``ledger``). Definitions are read off the
written rows behind a stage. Where two forms that mean the same are not recognised, they count as two: that only withholds more.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from gongshu.base.digest import digest_of
from gongshu.compute.types import Definition, Stage

ALIAS = re.compile(r'"r:\d+"')
KEY = re.compile(r"k\d+")
STAGE = "stage:"
DEMANDED = re.compile(r"[kxpuwo]\d+")
"""Columns of the rows that are keys, arguments, conditions, units, sides and orders; others say which rows stay."""


BIN_PARTS = (exp.Column, exp.Identifier, exp.Literal, exp.DataType, exp.Paren, exp.Try, exp.Cast, exp.TryCast)
BIN_FUNCTIONS = frozenset({"floor", "date_trunc", "year"})


@dataclass(frozen=True)
class _Rows:
    """A SELECT over rows: where they come from, the conditions that all hold, and how to read its columns."""

    sources: tuple[exp.Expression, ...]
    atoms: tuple[exp.Expression, ...]
    columns: dict[str, exp.Expression]

    @property
    def is_plain(self) -> bool:
        """Whether nothing but relations of the entitlement stands in FROM."""
        tables = [source.this if isinstance(source, exp.Join) else source for source in self.sources]
        return all(isinstance(table, exp.Table) for table in tables)


def definitions(parts: exp.Expression, keys: int, stages: Sequence[Stage]) -> tuple[Definition, ...]:
    """Return the definition of each condition of a stage; ``parts`` is the query of ``stage_sql.parts_of_units``.

    ``stages``: those of the statement; where one is mentioned, what is written in them is part of the definition.
    """
    given = cast(exp.CTE, parts.args["with_"].expressions[0]).this
    rows = _inlined(given)
    written = [rows.columns[f"{column.this.name}"] for column in _grouped(parts)[:keys]]
    more = [node for name, node in rows.columns.items() if not DEMANDED.fullmatch(name)]
    if any(table.name.startswith(STAGE) for table in given.find_all(exp.Table)):
        more.append(exp.Literal.string(digest_of([stage.sql for stage in stages])))
    tests = [item.this for item in parts.expressions if re.fullmatch(r"r\d+", item.alias)]
    return tuple(_definition(rows, written, more, _test(rows, test)) for test in tests)


def _grouped(parts: exp.Expression) -> list[exp.Expression]:
    group = parts.args.get("group")
    return [column for column in group.expressions if KEY.fullmatch(column.name)] if group is not None else []


def _test(rows: _Rows, item: exp.Expression) -> list[exp.Expression]:
    """Return the conditions under which rows are counted, read through the columns that they stand in."""
    if isinstance(item, exp.Count) and isinstance(item.this, exp.Star):
        return []
    if not isinstance(item, exp.Filter):
        return [_read(item, rows.columns)]
    return [atom for part in _atoms(item.expression.this) for atom in _atoms(_read(part, rows.columns))]


def _definition(
    rows: _Rows, keys: list[exp.Expression], more: list[exp.Expression], test: list[exp.Expression]
) -> Definition:
    names: dict[str, str] = {}
    source = [_text(part, names) for part in rows.sources]
    atoms = (*rows.atoms, *test)
    pairs = [(atom, _equality(atom, names)) for atom in atoms]
    equal = [pair for _, pair in pairs if pair is not None]
    rest = sorted({_text(atom, names) for atom, pair in pairs if pair is None})
    others = [_text(node, names) for node in more]
    is_bare = all(_is_column_or_bins(key) for key in keys)
    chosen = {column.sql() for atom, pair in pairs if pair is None for column in atom.find_all(exp.Column)}
    is_whole = not chosen & {
        column.sql() for key in keys for column in key.find_all(exp.Column)
    }  # whoever chooses among the parts makes one that is the target
    is_box = rows.is_plain and not more and is_bare and is_whole and all(_is_of_one_column(atom) for atom in atoms)
    return Definition(
        rows=digest_of((source, rest, others)), keys=tuple(digest_of(_text(key, names)) for key in keys),
        equalities=tuple(sorted({(digest_of(column), value) for column, value in equal})),
        is_box=is_box, is_open=is_box and not atoms,
    )  # fmt: skip


def _inlined(select: exp.Expression) -> _Rows:
    """Return a SELECT as if the plain SELECT in its FROM stood in it."""
    columns = {item.alias_or_name: _bare(item) for item in select.expressions}
    atoms = _atoms(select.args["where"].this) if select.args.get("where") is not None else []
    from_, joins = select.args.get("from_"), select.args.get("joins") or []
    if from_ is None:
        return _Rows((), tuple(atoms), columns)
    inner = from_.this
    if joins or not isinstance(inner, exp.Subquery) or not _is_plain_select(inner.this):
        return _Rows((inner, *joins), tuple(atoms), columns)
    below = _inlined(inner.this)
    return _Rows(
        below.sources, (*below.atoms, *(atom for one in atoms for atom in _atoms(_read(one, below.columns)))),
        {name: _read(node, below.columns) for name, node in columns.items()},
    )  # fmt: skip


def _bare(item: exp.Expression) -> exp.Expression:
    return item.this if isinstance(item, exp.Alias) else item


def _is_plain_select(node: exp.Expression) -> bool:
    allowed = {"expressions", "from_", "where", "kind"}
    return isinstance(node, exp.Select) and not {name for name, value in node.args.items() if value} - allowed


def _read(node: exp.Expression, columns: dict[str, exp.Expression]) -> exp.Expression:
    """Return ``node`` with columns replaced by what they stand for; inner SELECTs keep theirs."""

    def read(part: exp.Expression) -> exp.Expression:
        if isinstance(part, exp.Column) and part.name in columns and part.find_ancestor(exp.Select) is None:
            return columns[part.name].copy()
        return part

    return node.copy().transform(read)


def _atoms(node: exp.Expression) -> list[exp.Expression]:
    """Return the conditions that all hold where ``node`` does; what is always true is none."""
    found, rest = [], [node]
    while rest:
        part = rest.pop()
        if isinstance(part, exp.Paren):
            rest.append(part.this)
        elif isinstance(part, exp.And):
            rest += [part.expression, part.this]
        elif not (isinstance(part, exp.Boolean) and part.this):
            found.append(part)
    return found


def _equality(atom: exp.Expression, names: dict[str, str]) -> tuple[str, str] | None:
    """Return column and value, where a condition is that a column has a value: it could as well be a group key."""
    if not isinstance(atom, exp.EQ):
        return None
    for column, other in ((atom.this, atom.expression), (atom.expression, atom.this)):
        value = other.this if isinstance(other, exp.Cast | exp.TryCast) else other
        if isinstance(column, exp.Column) and isinstance(value, exp.Literal):
            return _text(column, names), str(value.this)
    return None


def _is_column_or_bins(key: exp.Expression) -> bool:
    """Return whether a key is a bare column, or bins of one that are equally wide: nobody can cut them around a person."""
    parts = list(key.walk())
    return sum(isinstance(part, exp.Column) for part in parts) == 1 and all(
        isinstance(part, BIN_PARTS)
        or (isinstance(part, exp.Anonymous) and part.name.lower() in BIN_FUNCTIONS)
        or (isinstance(part, exp.Div | exp.IntDiv) and part.expression.find(exp.Column) is None)
        for part in parts
    )


def _is_of_one_column(atom: exp.Expression) -> bool:
    names = {column.sql() for column in atom.find_all(exp.Column)}
    return len(names) == 1 and atom.find(exp.Query) is None


def _text(node: exp.Expression, names: dict[str, str]) -> str:
    """Write ``node`` with aliases numbered in the order in which they first appear."""
    made = node.sql(dialect="duckdb")
    return ALIAS.sub(lambda found: names.setdefault(found.group(), f"r{len(names)}"), made)
