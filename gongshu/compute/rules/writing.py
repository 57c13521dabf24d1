"""Writes small pieces of SQL as trees: columns of a stage, calls, aggregates with a filter, groups."""

from typing import Any

from sqlglot import exp

from gongshu.compute.rules.terms import conjunction, quoted, sql_type


def name(text: str, table: str = "") -> exp.Expression:
    """Write a column of a stage."""
    return exp.Column(this=quoted(text), table=quoted(table)) if table else exp.Column(this=quoted(text))


def fn(function: str, *arguments: exp.Expression) -> exp.Expression:
    """Write a call."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def number(value: float) -> exp.Expression:
    """Write a number."""
    return exp.Literal.number(repr(value))


def where(aggregate: exp.Expression, test: exp.Expression | None) -> exp.Expression:
    """Write ``aggregate FILTER (WHERE test)``."""
    return aggregate if test is None else exp.Filter(this=aggregate, expression=exp.Where(this=test))


def counted(test: exp.Expression | None) -> exp.Expression:
    """Write how many rows meet a condition: as a branch, which costs the engine far less than a filter."""
    if test is None:
        return exp.Count(this=exp.Star())
    return fn("count", exp.Case(ifs=[exp.If(this=test, true=exp.Literal.number(1))]))


def summed(node: exp.Expression, test: exp.Expression | None) -> exp.Expression:
    """Write a sum over the rows that meet a condition, in the same way."""
    return fn("sum", node if test is None else exp.Case(ifs=[exp.If(this=test, true=node)]))


def named(node: exp.Expression, alias: str) -> exp.Expression:
    """Write ``node AS alias``."""
    return exp.Alias(this=node, alias=quoted(alias))


def double(node: exp.Expression) -> exp.Expression:
    """Write ``node`` as a floating-point number."""
    return exp.Cast(this=node, to=sql_type("DOUBLE"))


def grouped(source: str, keys: list[str], items: list[exp.Expression]) -> exp.Select:
    """Write ``items`` of ``source`` by ``keys``; without keys, of all rows."""
    select = exp.Select(expressions=[*(name(k) for k in keys), *items] or [exp.Count(this=exp.Star())])
    select.set("from_", exp.From(this=exp.Table(this=quoted(source))))
    if keys:
        select.set("group", exp.Group(expressions=[name(k) for k in keys]))
    elif not items:
        select.set("expressions", [named(exp.Count(this=exp.Star()), "n")])
    return select


def test_after(select: exp.Select, tests: list[exp.Expression], qualify: exp.Expression | None) -> None:
    """Write into ``select`` what is asked of rows or groups that exist: in WHERE, or in QUALIFY where a window stands."""
    has_window = qualify is not None and any(
        part.find(exp.Window) is not None for part in (*select.expressions, qualify)
    )
    if qualify is not None and has_window:
        select.set("qualify", exp.Qualify(this=qualify))
    more: list[Any] = [*tests, *([qualify] if qualify is not None and not has_window else [])]
    if more:
        before = select.args.get("where")
        select.set("where", exp.Where(this=conjunction([*([before.this] if before is not None else []), *more])))
