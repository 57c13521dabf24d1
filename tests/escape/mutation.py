"""Changes statements the way an attacker would: other columns, conditions on the victim, wrapped parts, unions, differences.

Every step draws from ``random.Random``: the same seed gives the same statements.
"""

import random
from collections.abc import Callable

import sqlglot
from sqlglot import exp

from tests.escape.planted import TWIN_INT, VICTIM_INT
from tests.governed import PEOPLE

SEEDS = (
    "SELECT group_text AS g, count(*) AS n FROM people GROUP BY group_text",
    "SELECT group_text AS g, sum(total_int) AS s, avg(total_dec) AS a FROM people GROUP BY group_text",
    "SELECT count(*) AS n FROM people WHERE filter_flag",
    "SELECT sum(total_int) AS s FROM people WHERE filter_total_int > 940000000",
    "SELECT avg(CASE WHEN filter_flag THEN total_int ELSE 0 END) AS a FROM people",
    "SELECT sum(filter_total_dec) AS s, count(DISTINCT join_compare_text) AS n FROM people WHERE filter_text LIKE 'SECRET%'",
    "SELECT corr(total_int, total_dec) AS c, regr_slope(total_int, filter_total_int) AS r FROM people",
    "SELECT regr_intercept(total_int, filter_total_int) AS r, covar_pop(total_int, total_dec) AS c FROM people",
    "SELECT median(rank_int) AS m, max(rank_int) AS x FROM people",
    "SELECT group_filter_text AS g, var_pop(total_int) AS v FROM people GROUP BY group_filter_text HAVING count(*) > 12",
    "SELECT sum(total_int) FILTER (WHERE filter_flag) AS s, count(*) AS n FROM people",
    "SELECT p.group_text AS g, sum(v.total_dec2) AS s FROM people p JOIN visits v ON p.join_compare_text = v.join_compare_text GROUP BY p.group_text",
    "SELECT sum(p.total_int) AS s FROM people p LEFT JOIN visits v ON p.join_compare_text = v.join_compare_text",
    "SELECT sum(x) AS s FROM (SELECT total_int AS x FROM people UNION ALL SELECT total_int FROM people WHERE filter_flag) u",
    "WITH a AS (SELECT sum(total_int) AS s FROM people), b AS (SELECT sum(total_int) AS s FROM people WHERE filter_flag) SELECT a.s - b.s AS x FROM a, b",
    "SELECT group_int3 AS g, count(*) AS n, sum(rank_total_filter_dec3) AS s FROM cards GROUP BY group_int3",
    "SELECT reveal_text, reveal_int FROM people",
    "SELECT year(group_date) AS y, count(*) AS n FROM people GROUP BY year(group_date) ORDER BY y",
    "SELECT sum(coalesce(filter_total_int, 0)) AS s, sum(abs(filter_total_int - 950000000)) AS d FROM people",
    "SELECT count(*) AS n FROM people WHERE compare_int > compare_int2",
)  # fmt: skip

CONDITIONS = tuple(
    text.replace("{v}", str(VICTIM_INT)).replace("{t}", str(TWIN_INT))
    for text in (
        "filter_int = {v}", "filter_int <> {v}", "filter_int <= {v}", "filter_int < {v}", "filter_int > {v}", "filter_int >= {v}",
        "filter_int IN ({v}, {t})", "filter_int BETWEEN {v} - 12 AND {v} + 12", "filter_int BETWEEN {v} - 60 AND {v} + 60",
        "filter_flag", "NOT filter_flag", "filter_flag AND filter_int <> {v}", "NOT (filter_flag AND filter_int = {v})",
        "filter_total_int > 989000000", "filter_total_int < 910000000", "filter_text = 'SECRET filter_text 1042'",
        "filter_text LIKE '%1042'", "filter_date < DATE '1901-02-01'", "compare_int < compare_int2", "group_filter_text = 'kind 6'",
        "group_filter_text = 'whale'", "TRUE", "filter_flag OR filter_int = {v}",
    )
)  # fmt: skip
NUMBERS = ("0", "1", "2", "10", "1000", "900000137", str(VICTIM_INT))
AGGREGATES = ("sum", "avg", "count", "var_pop", "stddev_samp", "min", "max", "median")
COLUMNS = tuple(column.name for column in PEOPLE.columns)


def _of(tree: exp.Expression, *kinds: type[exp.Expression]) -> list[exp.Expression]:
    return list(tree.find_all(*kinds))


def _parse(text: str) -> exp.Expression:
    return sqlglot.parse_one(text, dialect="duckdb")


def _condition(draw: random.Random) -> exp.Expression:
    made = _parse(draw.choice(CONDITIONS))
    if draw.random() < 0.3:
        made = exp.and_(made, _parse(draw.choice(CONDITIONS)))
    return exp.not_(made) if draw.random() < 0.15 else made


def _other_column(draw: random.Random, tree: exp.Expression) -> None:
    found = _of(tree, exp.Column)
    if found:
        chosen = draw.choice(found)
        kind = chosen.name.split("_")[-1].rstrip("0123456789")
        likes = [name for name in COLUMNS if name.split("_")[-1].rstrip("0123456789") == kind]
        chosen.set("this", exp.to_identifier(draw.choice(likes if likes and draw.random() < 0.8 else COLUMNS)))


def _other_number(draw: random.Random, tree: exp.Expression) -> None:
    found = [literal for literal in _of(tree, exp.Literal) if not literal.is_string]
    if found:
        draw.choice(found).replace(exp.Literal.number(draw.choice(NUMBERS)))


def _where(draw: random.Random, tree: exp.Expression) -> None:
    found = [select for select in _of(tree, exp.Select) if select.args.get("from_")]
    if found:
        draw.choice(found).where(_condition(draw), copy=False)


def _filtered(draw: random.Random, tree: exp.Expression) -> None:
    found = [node for node in _of(tree, exp.AggFunc) if not isinstance(node.parent, exp.Filter | exp.Window)]
    if found:
        chosen = draw.choice(found)
        chosen.replace(exp.Filter(this=chosen.copy(), expression=exp.Where(this=_condition(draw))))


def _arguments(tree: exp.Expression) -> list[exp.Expression]:
    found = [node.this for node in _of(tree, exp.AggFunc) if isinstance(node.this, exp.Expression)]
    return [node for node in found if not isinstance(node, exp.Star | exp.Distinct)]


def _wrapped(draw: random.Random, tree: exp.Expression) -> None:
    found = _arguments(tree)
    if not found:
        return
    chosen = draw.choice(found)
    x, other = chosen.sql("duckdb"), draw.choice((*NUMBERS, "0", "NULL", chosen.sql("duckdb")))
    test = _condition(draw).sql("duckdb")
    forms = (
        f"CASE WHEN {test} THEN {x} ELSE {other} END", f"CASE WHEN {test} THEN {other} ELSE {x} END",
        f"{x} - CASE WHEN {test} THEN {x} ELSE 0 END", f"{x} + {other}", f"{x} * {other}", f"0 - {x}", f"abs({x})",
        f"coalesce({x}, {other})", f"nullif({x}, {other})", f"greatest({x}, {other})", f"CAST({test} AS INTEGER)",
        f"{x} * CAST({test} AS INTEGER)", f"round({x}, -3)", f"{x} / 3",
    )  # fmt: skip
    chosen.replace(_parse(f"({draw.choice(forms)})"))


def _other_aggregate(draw: random.Random, tree: exp.Expression) -> None:
    found = [node for node in _of(tree, exp.AggFunc) if isinstance(node.this, exp.Expression)]
    if found:
        chosen = draw.choice(found)
        inner = chosen.this.sql("duckdb")
        argument = inner if not isinstance(chosen.this, exp.Star) else draw.choice(("*", "total_int"))
        name = "count" if argument == "*" else draw.choice(AGGREGATES)
        chosen.replace(_parse(f"{name}({argument})"))


def _beside(draw: random.Random, tree: exp.Expression) -> None:
    """Put a second aggregate beside one, of the same but for a condition; or their difference."""
    found = [node for node in _of(tree, exp.AggFunc) if isinstance(node.find_ancestor(exp.Select), exp.Select)]
    if found:
        chosen = draw.choice(found)
        select = chosen.find_ancestor(exp.Select)
        text = chosen.sql("duckdb")
        test = _condition(draw).sql("duckdb")
        beside = f"{text} FILTER (WHERE {test})"
        added = draw.choice((beside, f"{text} - {beside}", f"{text} + 0"))
        select.select(exp.alias_(_parse(added), f"z{draw.randrange(1000)}"), copy=False)


def _source(draw: random.Random, tree: exp.Expression) -> None:
    found = [table for table in _of(tree, exp.Table) if table.name == "people"]
    if found:
        chosen = draw.choice(found)
        test = _condition(draw).sql("duckdb")
        limit = draw.choice(("", "", " LIMIT 100"))
        forms = (
            f"(SELECT * FROM people WHERE {test}{limit})",
            f"(SELECT * FROM people UNION ALL SELECT * FROM people WHERE {test})",
            f"(SELECT p.* FROM people p JOIN visits v ON p.join_compare_text = v.join_compare_text WHERE p.filter_int <> {VICTIM_INT})",
            "(SELECT DISTINCT * FROM people)",
        )
        text = f"SELECT 1 FROM {draw.choice(forms)} AS {chosen.alias_or_name}"
        chosen.replace(_parse(text).args["from_"].this)


def _shown(draw: random.Random, tree: exp.Expression) -> None:
    select = tree.find(exp.Select)
    column = draw.choice(COLUMNS)
    if select is not None:
        if select.args.get("group") is not None and draw.random() < 0.7:
            select.group_by(column, copy=False)
        select.select(exp.column(column), copy=False)


def _having(draw: random.Random, tree: exp.Expression) -> None:
    select = tree.find(exp.Select)
    if select is not None:
        name = draw.choice(AGGREGATES[:4])
        select.having(
            f"{name}({draw.choice(('total_int', 'rank_int', 'no_int'))}) > {draw.choice(NUMBERS)}", copy=False
        )


def _swapped(draw: random.Random, tree: exp.Expression) -> None:
    found = _of(tree, exp.Column, exp.AggFunc)
    if len(found) > 1:
        one, other = draw.sample(found, 2)
        if one not in other.walk() and other not in one.walk():
            copy = one.copy()
            one.replace(other.copy())
            other.replace(copy)


STEPS: tuple[Callable[[random.Random, exp.Expression], None], ...] = (
    _other_column, _other_column, _other_number, _where, _filtered, _wrapped, _wrapped, _other_aggregate, _beside, _source,
    _shown, _having, _swapped,
)  # fmt: skip


def _outer(draw: random.Random, text: str, other: str) -> str:
    """Wrap a whole statement, alone or with another one."""
    forms = (
        f"SELECT * FROM ({text}) q", f"WITH people2 AS ({text}) SELECT * FROM people2",
        f"({text}) UNION ALL ({other})", f"SELECT count(*) AS groups FROM ({text}) q", f"SELECT * FROM ({text}) a, ({other}) b",
        f"SELECT * FROM ({text}) q LIMIT {draw.randrange(1, 20)}",
    )  # fmt: skip
    return draw.choice(forms)


def mutate(draw: random.Random, pool: list[str]) -> str:
    """Return a statement made from one of ``pool`` by one to four steps."""
    tree = _parse(draw.choice(pool)).copy()
    for _ in range(draw.randrange(1, 5)):
        draw.choice(STEPS)(draw, tree)
    text: str = tree.sql("duckdb")
    return _outer(draw, text, draw.choice(pool)) if draw.random() < 0.15 else text
