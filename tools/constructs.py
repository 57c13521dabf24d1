"""The table of constructs: for each row of the specification, statements that pass and statements that are refused.

The gate itself decides while the page is made, so the page says what the code does. The columns of the examples are named by
their uses: ``total_int`` may be totalled, ``filter_text`` may stand in a condition, ``no_text`` may do nothing.
"""

from dataclasses import dataclass

from gongshu.base.decisions import Denied
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.functions import AGGREGATES, SCALARS, AggregateClass, Scalar
from gongshu.compute.rules.terms import Shape
from tests.governed import RELATIONS, THRESHOLDS, relation

PATIENTS = relation("patients", "group_join_text", "total_int", unit=("group_join_text",))


@dataclass(frozen=True)
class Construct:
    """One row: what is written, the rule in a sentence, statements that pass, statements that are refused."""

    name: str
    rule: str
    passes: tuple[str, ...]
    refused: tuple[str, ...]


CONSTRUCTS = (
    Construct(
        "literal, parameter",
        "Has all uses, however it is written. A parameter (`$name`, `?`) has a declared type and length and is a literal.",
        ("SELECT 1 + 1 AS two, upper('x') AS y",),
        (),
    ),
    Construct(
        "column shown at row level",
        "Needs `reveal`; so does every column that decided which rows there are.",
        ("SELECT reveal_text FROM people", "SELECT reveal_text FROM people WHERE all_int > 3"),
        ("SELECT total_int FROM people", "SELECT reveal_text FROM people WHERE filter_int > 3"),
    ),
    Construct(
        "affine arithmetic",
        "Sums and multiples by constants keep the uses of their columns.",
        ("SELECT sum(total_int * 2 + 1) FROM people",),
        ("SELECT sum(total_int * total_dec) FROM people", "SELECT sum(total_int * 1e13) FROM people"),
    ),
    Construct(
        "any other function",
        "Of a column without `filter` it loses `total`, `rank` and `group`: it is a condition in disguise.",
        ("SELECT sum(floor(filter_total_dec)) FROM people",),
        ("SELECT sum(sign(total_int)) FROM people", "SELECT sum(abs(total_int)) FROM people"),
    ),
    Construct(
        "condition against a literal",
        "LIKE, IN, BETWEEN, IS NULL, a comparison with anything but another protected column: `filter`.",
        ("SELECT count(*) FROM people WHERE filter_text LIKE 'a%' AND filter_int BETWEEN 1 AND 5",),
        ("SELECT count(*) FROM people WHERE total_int > 5", "SELECT count(*) FROM people WHERE no_text IS NULL"),
    ),
    Construct(
        "comparison of two protected columns",
        "Equality or order between columns, each perhaps times a constant: `compare` on both.",
        ("SELECT count(*) FROM people WHERE compare_int > 2 * compare_int2",),
        ("SELECT count(*) FROM people WHERE compare_int > total_int",),
    ),
    Construct(
        "CASE, IF, COALESCE",
        "A condition needs what WHERE needs; the uses are those of the branches; each branch that counts needs enough units.",
        ("SELECT sum(CASE WHEN filter_flag THEN total_int ELSE 0 END) FROM people",),
        ("SELECT sum(CASE WHEN total_int > 5 THEN 1 ELSE 0 END) FROM people",),
    ),
    Construct(
        "join key",
        "An equality of columns of two relations, wherever it stands: `join` on both sides. All units travel on.",
        (
            "SELECT count(*) FROM people p JOIN visits v ON p.join_int = v.join_int",
            "SELECT count(*) FROM people p, visits v WHERE p.join_compare_text = v.join_compare_text",
        ),
        (
            "SELECT count(*) FROM people p JOIN visits v ON p.total_int = v.join_int",
            "SELECT count(*) FROM people p, visits v",
        ),
    ),
    Construct(
        "EXISTS, IN, SEMI and ANTI JOIN",
        "A link of relations like any other: units that a row meets travel on; at row level its keys need `reveal` too.",
        (
            "SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.join_int = p.join_int)",
            "SELECT count(*) FROM people WHERE join_int IN (SELECT join_int FROM visits)",
        ),
        (
            "SELECT reveal_text FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.join_int = p.join_int)",
            "SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.total_dec2 = p.join_int)",
        ),
    ),
    Construct(
        "NOT EXISTS, NOT IN, ANTI JOIN",
        "The rows taken away need enough units, too. Not linked by the unit of both, it stands where the rows are aggregated.",
        (
            "SELECT count(*) FROM people WHERE join_int NOT IN (SELECT join_int FROM visits WHERE filter_int2 > 5)",
            "SELECT count(*) FROM people ANTI JOIN visits USING (join_compare_text)",
        ),
        (
            "SELECT count(*) FROM (SELECT * FROM people ANTI JOIN visits USING (join_int)) AS s",
            "SELECT reveal_text FROM people ANTI JOIN visits USING (join_compare_text)",
        ),
    ),
    Construct(
        "correlated subquery, LATERAL",
        "A join to the subquery grouped by its keys, which need `join` and `group`; a withheld group gives NULL, as an empty one.",
        (
            "SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.all_text = p.all_text)",
            "SELECT all_text, l.n FROM areas a, LATERAL (SELECT count(*) AS n FROM people q WHERE q.all_text = a.all_text) AS l",
        ),
        (
            "SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.join_int = p.join_int)",
            "SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.all_text < p.all_text)",
        ),
    ),
    Construct(
        "INTERSECT, EXCEPT",
        "Every column is a key. Without ALL both sides are grouped first; with ALL every row must be one that may be seen.",
        (
            "SELECT all_text FROM people EXCEPT SELECT all_text FROM areas",
            "SELECT all_text FROM people INTERSECT ALL SELECT all_text FROM areas",
        ),
        (
            "SELECT group_text FROM people INTERSECT SELECT group_text2 FROM visits",
            "SELECT all_text FROM people WHERE filter_flag EXCEPT ALL SELECT all_text FROM areas",
        ),
    ),
    Construct(
        "GROUP BY, DISTINCT",
        "Each key needs `group`; it is shown with its group.",
        ("SELECT group_text, count(*) FROM people GROUP BY group_text", "SELECT DISTINCT group_text FROM people"),
        ("SELECT filter_text, count(*) FROM people GROUP BY filter_text", "SELECT DISTINCT no_text FROM people"),
    ),
    Construct(
        "GROUP BY the privacy unit, as a source",
        "Stays row-level: one row per unit, to be aggregated further. The unit is a key like any other: `group`.",
        (
            "SELECT avg(n) FROM (SELECT group_join_text, sum(total_int) AS n FROM patients GROUP BY group_join_text)",
        ),
        (
            "SELECT group_join_text, sum(total_int) FROM patients GROUP BY group_join_text",
            "SELECT avg(n) FROM (SELECT sum(total_int) AS n FROM people GROUP BY join_compare_text)",
        ),
    ),
    Construct(
        "ROLLUP, CUBE, GROUPING SETS",
        "A total beside its parts is shown only where subtracting leaves enough units.",
        ("SELECT group_text, group_date, count(*) FROM people GROUP BY ROLLUP (group_text, group_date)",),
        ("SELECT filter_text, count(*) FROM people GROUP BY CUBE (filter_text)",),
    ),
    Construct(
        "moment aggregates",
        "COUNT, SUM, AVG, VAR, STDDEV, COVAR, CORR, REGR of `total`. COUNT(*) and of the unit need no use.",
        (
            "SELECT count(*), count(DISTINCT join_compare_text), avg(total_dec), corr(total_int, total_dec) FROM people",
        ),
        ("SELECT sum(filter_int) FROM people",),
    ),
    Construct(
        "order statistics",
        "MIN, MAX, MEDIAN, QUANTILE of `rank`; what is given is rounded or interpolated, never one row's.",
        ("SELECT median(rank_int), max(rank_int) FROM people",),
        ("SELECT max(total_int) FROM people",),
    ),
    Construct(
        "listing aggregates",
        "any_value, first, mode, list, string_agg … show rows: everything about them needs `reveal`. So does DISTINCT ON.",
        (
            "SELECT reveal_text, any_value(all_int), string_agg(all_text, ',' ORDER BY all_date) FROM people GROUP BY reveal_text",
            "SELECT DISTINCT ON (all_text) all_text, reveal_int FROM people ORDER BY all_text, all_date",
        ),
        (
            "SELECT any_value(total_int) FROM people", "SELECT string_agg(group_text, ',') FROM people",
            "SELECT group_text, first(reveal_text ORDER BY all_date) FROM people GROUP BY group_text",
        ),
    ),
    Construct(
        "released values",
        "What thresholds let through has all uses; HAVING, ORDER BY, outer queries are free over it.",
        (
            "SELECT group_text AS g, count(*) AS n FROM people GROUP BY g HAVING count(*) > 3 ORDER BY n DESC LIMIT 3",
            "WITH a AS (SELECT group_text AS g, count(*) AS n FROM people GROUP BY g) SELECT g, n / sum(n) OVER () AS s FROM a",
        ),
        (),
    ),
    Construct(
        "windows over rows",
        "Aggregates by PARTITION BY of `group` keys, without order or frame, have thresholds; a withheld value is NULL. By the "
        "unit they stay its own. ORDER BY, frames, LAG, FIRST_VALUE and ranks need `reveal` of all that goes in.",
        (
            "SELECT reveal_text, sum(total_int) OVER (PARTITION BY reveal_text) AS s FROM people",
            "SELECT sum(x) FROM (SELECT total_int AS x, count(*) OVER (PARTITION BY group_join_text) AS n FROM patients) AS s WHERE n > 2",
            "SELECT all_text, row_number() OVER (ORDER BY all_int2) AS place FROM areas",
        ),
        (
            "SELECT rank() OVER (ORDER BY filter_int) AS place FROM people",
            "SELECT lag(total_int) OVER (ORDER BY reveal_int) FROM people",
            "SELECT sum(total_int) OVER (ORDER BY reveal_int ROWS BETWEEN CURRENT ROW AND CURRENT ROW) FROM people",
        ),
    ),
    Construct(
        "UNION ALL",
        "Per position the intersection of uses, over the same kind of units.",
        ("SELECT sum(x) FROM (SELECT total_int AS x FROM people UNION ALL SELECT total_int FROM people) AS s",),
        ("SELECT sum(x) FROM (SELECT total_int AS x FROM people UNION ALL SELECT filter_int FROM people) AS s",),
    ),
    Construct(
        "ORDER BY, LIMIT at row level",
        "Need `reveal` of what they look at; LIMIT is a number that is written out.",
        ("SELECT reveal_text FROM people ORDER BY reveal_int LIMIT 5",),
        ("SELECT reveal_text FROM people ORDER BY filter_int LIMIT 5", "SELECT reveal_text FROM people LIMIT 1 + 1"),
    ),
    Construct(
        "everything else",
        "Refused: what is not named is refused.",
        (),
        (
            "SELECT 1; SELECT 2", "DROP TABLE people", "SELECT * FROM query('SELECT 1')", "SELECT * FROM read_csv('x.csv')",
            "SELECT * FROM duckdb_settings()", "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
            "SELECT people FROM people", "SELECT #1 FROM people", "SELECT COLUMNS('t.*') FROM people",
            "SELECT * FROM people USING SAMPLE 3", "PIVOT people ON group_text USING count(*)", "SELECT getenv('HOME') AS h",
        ),
    ),
)  # fmt: skip


def judged(sql: str) -> list[str]:
    """Return the codes of the gate's reasons, in order, once each; empty when the statement passes."""
    decision = decide_query((*RELATIONS, PATIENTS), THRESHOLDS, sql)
    return list(dict.fromkeys(r.code for r in decision.reasons)) if isinstance(decision, Denied) else []


def construct_rows() -> list[list[object]]:
    """Return the rows of the table; raises ``ValueError`` when the gate does not say of an example what the page says."""
    rows: list[list[object]] = []
    for construct in CONSTRUCTS:
        wrong = [sql for sql in construct.passes if judged(sql)] + [sql for sql in construct.refused if not judged(sql)]
        if wrong:
            raise ValueError(f"{construct.name}: the gate says otherwise of {wrong}: {[judged(sql) for sql in wrong]}")
        passes = "<br>".join(f"`{sql}`" for sql in construct.passes) or "—"
        refused = "<br>".join(f"`{sql}` → {', '.join(judged(sql))}" for sql in construct.refused) or "—"
        rows.append([construct.name, construct.rule, passes, refused])
    return rows


def scalar_rows() -> list[list[object]]:
    """Return the allow-list of scalar functions with what each does to uses."""
    return [
        [
            f"`{made.name}`", ", ".join(kind.value for kind in made.takes),
            made.result.value if made.result else "as its argument", effect_of(made), "NULL" if made.may_fail else "—",
        ]
        for made in sorted(SCALARS.values(), key=lambda made: made.name)
    ]  # fmt: skip


def effect_of(made: Scalar) -> str:
    """Return what a function does to the uses of its columns."""
    if made.shape is Shape.AFFINE:
        return "keeps them"
    return "a test: needs `filter`" if made.is_test else "needs `filter`, or loses `total`, `rank`, `group`"


def aggregate_rows() -> list[list[object]]:
    """Return the aggregates by class with the use that each needs."""
    needs = {
        AggregateClass.COUNT: "`total` (none for `*` and the unit)", AggregateClass.MOMENT: "`total`",
        AggregateClass.ORDER: "`rank`", AggregateClass.LISTING: "`reveal` of everything",
    }  # fmt: skip
    names: dict[AggregateClass, set[str]] = {}
    for made in AGGREGATES.values():
        names.setdefault(made.kind, set()).add(made.name)
    return [[kind.value, ", ".join(f"`{name}`" for name in sorted(names.get(kind, ()))), needs[kind]] for kind in needs]
