"""From text to trees: one query, one condition, and the derived relations that a query names."""

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gongshu.compute.rules.refusals import (
    STATEMENT_NOT_A_QUERY,
    STATEMENT_NOT_ONE,
    STATEMENT_TOO_LARGE,
    STATEMENT_UNREADABLE,
)
from gongshu.compute.rules.scopes import fold
from gongshu.compute.rules.terms import Findings
from gongshu.compute.types import DerivedRelation

CHARACTERS_MAX = 20_000


def parse_query(findings: Findings, sql: str) -> exp.Expression | None:
    """Return the tree of exactly one query; ``None`` with a reason when it is not that."""
    if len(sql) > CHARACTERS_MAX:
        findings.add(STATEMENT_TOO_LARGE, limit=CHARACTERS_MAX)
        return None
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect="duckdb") if tree is not None]
    except RecursionError:
        findings.add(STATEMENT_TOO_LARGE, limit=CHARACTERS_MAX)
        return None
    except SqlglotError as error:
        where: dict[str, int] = next(iter(getattr(error, "errors", []) or []), {})
        findings.add(STATEMENT_UNREADABLE, line=where.get("line") or 1, column=where.get("col") or 1)
        return None
    if len(trees) != 1:
        findings.add(STATEMENT_NOT_ONE, count=len(trees))
        return None
    if not isinstance(trees[0], exp.Select | exp.SetOperation | exp.Subquery):
        findings.add(STATEMENT_NOT_A_QUERY, construct=type(trees[0]).__name__.upper())
        return None
    return trees[0]


def parse_condition(findings: Findings, text: str) -> Any:
    """Return the tree of one condition (a row filter); ``None`` with a reason when it cannot be read."""
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        findings.add(STATEMENT_UNREADABLE, line=1, column=1)
        return None
    if len(trees) != 1 or trees[0] is None:
        findings.add(STATEMENT_NOT_ONE, count=len(trees))
        return None
    return trees[0]


def with_derived(
    findings: Findings, tree: exp.Expression, derived: tuple[DerivedRelation, ...]
) -> exp.Expression:  # fmt: skip
    """Return ``tree`` with the derived relations that it names, and those behind them, as its first CTEs."""
    while isinstance(tree, exp.Subquery) and not tree.args.get("with_"):
        tree = tree.this
    known = {fold(d.name): d for d in derived}
    wanted = [fold(table.name) for table in tree.find_all(exp.Table)] if known else []
    queries: dict[str, exp.Expression] = {}
    while wanted:
        name = wanted.pop()
        if name in queries or name not in known:
            continue
        query = parse_query(findings, known[name].sql)
        if query is not None:
            queries[name] = query
            wanted += [fold(table.name) for table in query.find_all(exp.Table)]
    if not queries:
        return tree
    own = tree.args.get("with_")
    first = [
        exp.CTE(this=queries[fold(d.name)], alias=exp.TableAlias(this=exp.to_identifier(d.name, quoted=True)))
        for d in derived
        if fold(d.name) in queries
    ]
    rest = list(own.expressions) if own is not None else []
    tree.set("with_", exp.With(expressions=[*first, *rest], recursive=own.args.get("recursive") if own else None))
    return tree
