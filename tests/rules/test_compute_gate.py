"""The gate, construct by construct: what passes, and what is refused with which reason."""

import pytest

from gongshu.base.decisions import Denied
from gongshu.compute.rules import decide_query
from gongshu.policies.types import Use
from tests.governed import PEOPLE, RELATIONS, THRESHOLDS, decide, permitted

ACCEPTED = [
    "SELECT reveal_text, reveal_int FROM people",
    "SELECT reveal_int + 1 AS x, upper(reveal_text) AS y FROM people WHERE all_int > 3 AND 1 = 1 OR all_int IS NULL",
    "SELECT reveal_text FROM people LIMIT 1",
    "SELECT count(*) FROM areas NATURAL JOIN (SELECT all_text FROM areas) AS s",
    "SELECT * FROM areas",
    "SELECT a.* FROM areas AS a ORDER BY a.all_int2 DESC LIMIT 5 OFFSET 2",
    "FROM areas SELECT all_text",
    "SELECT count(*) FROM people",
    "SELECT count(*) AS n FROM people WHERE filter_text = 'x' AND filter_int IN (1, 2) AND filter_date >= '2020-01-01'",
    "SELECT count(*) FROM people WHERE filter_text LIKE 'a%' AND NOT filter_flag AND filter_date IS NOT NULL",
    "SELECT count(*) FROM people WHERE filter_int BETWEEN 1 AND 5 AND filter_text ILIKE '%x' AND filter_flag IS TRUE",
    "SELECT count(*) FROM people WHERE starts_with(filter_text, 'a') OR contains(filter_text, 'b')",
    "SELECT count(*) FROM people WHERE length(filter_text) > 3 AND filter_int % 2 = 0 AND abs(filter_int) < 5",
    "SELECT count(*) FROM people WHERE month(filter_date) = 3 AND extract(year FROM filter_date) = 2020",
    "SELECT count(*) FROM people WHERE compare_int < compare_int2",
    "SELECT count(*) FROM people WHERE compare_int > 2 * compare_int2",
    "SELECT count(*) FROM people WHERE filter_text IS DISTINCT FROM 'x'",
    "SELECT group_text, count(*) FROM people GROUP BY group_text",
    "SELECT group_text AS g, count(*) AS n FROM people GROUP BY g HAVING count(*) > 3 ORDER BY n DESC, g LIMIT 3",
    "SELECT group_text FROM people GROUP BY group_text",
    "SELECT DISTINCT group_text, group_date FROM people",
    "SELECT year(group_date) AS y, count(*) FROM people GROUP BY year(group_date)",
    "SELECT date_trunc('month', group_date) AS m, count(*) FROM people GROUP BY m",
    "SELECT upper(group_filter_text), count(*) FROM people GROUP BY upper(group_filter_text)",
    "SELECT CASE WHEN filter_int > 5 THEN 'big' ELSE 'small' END AS size, count(*) FROM people GROUP BY size",
    "SELECT coalesce(group_text, 'none') AS g, count(*) FROM people GROUP BY g",
    "SELECT sum(total_int), avg(total_dec), stddev(total_int), var_pop(total_dec), corr(total_int, total_dec) FROM people",
    "SELECT regr_slope(total_int, total_dec), regr_r2(total_int, total_dec), covar_samp(total_int, total_dec) FROM people",
    "SELECT sum(total_int * 2 + 1), sum(-total_int), avg(total_dec / 10000), sum(coalesce(total_int, 0)) FROM people",
    "SELECT sum(total_int - total_dec) FROM people",
    "SELECT sum(CAST(total_int AS DOUBLE)) FROM people",
    "SELECT sum(filter_total_int * filter_total_dec), sum(floor(filter_total_dec)) FROM people",
    "SELECT count(total_int), count(DISTINCT total_int), count(DISTINCT join_compare_text) FROM people",
    "SELECT count(*) FILTER (WHERE filter_flag), sum(total_int) FILTER (WHERE filter_int > 3) FROM people",
    "SELECT count_if(filter_int > 3) FROM people",
    "SELECT sum(CASE WHEN filter_flag THEN total_int ELSE 0 END) / sum(total_int) AS share FROM people",
    "SELECT sum(if(filter_flag, total_int, 0)) FROM people",
    "SELECT min(rank_int), max(rank_int), median(rank_int), quantile_cont(rank_int, 0.9), min(rank_date) FROM people",
    "SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY rank_int DESC) FROM people",
    "SELECT group_text2, sum(total_dec2), count(DISTINCT p.join_compare_text) FROM people p JOIN visits v ON p.join_compare_text = v.join_compare_text GROUP BY group_text2",
    "SELECT count(*) FROM people JOIN visits USING (join_compare_text)",
    "SELECT count(*) FROM people p, visits v WHERE p.join_compare_text = v.join_compare_text AND p.filter_int > 1",
    "SELECT count(*) FROM people p LEFT JOIN visits v ON p.join_int = v.join_int WHERE v.join_int IS NULL",
    "SELECT count(*) FROM people p JOIN visits v ON p.join_int = v.join_int AND p.compare_int < v.compare_int3",
    "SELECT count(*) FROM people p JOIN people q ON p.join_compare_text = q.join_compare_text",
    "SELECT count(*) FROM people p JOIN areas a ON p.all_text = a.all_text WHERE a.all_int2 > 3",
    "SELECT count(*) FROM (SELECT total_int FROM people WHERE filter_int > 3) AS s",
    "SELECT sum(x) FROM (SELECT total_int AS x FROM people UNION ALL SELECT total_int FROM people WHERE filter_flag) AS s",
    "SELECT g, n FROM (SELECT group_text AS g, count(*) AS n FROM people GROUP BY group_text) AS s WHERE n > 20 ORDER BY n",
    "WITH a AS (SELECT group_text AS g, count(*) AS n FROM people GROUP BY group_text), b AS (SELECT sum(n) AS total FROM a) SELECT g, n, n / total AS share FROM a, b",
    "WITH a AS (SELECT total_int AS x, group_text AS g FROM people) SELECT g, avg(x) FROM a GROUP BY g",
    "SELECT group_text, count(*), rank() OVER (ORDER BY count(*) DESC) AS place FROM people GROUP BY group_text",
    "SELECT g, sum(n) OVER (ORDER BY g ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running, lag(n) OVER (ORDER BY g) AS before FROM (SELECT group_text AS g, count(*) AS n FROM people GROUP BY group_text) AS s",
    "SELECT group_text, count(*) AS n FROM people GROUP BY group_text QUALIFY row_number() OVER (ORDER BY count(*)) < 4",
    "SELECT count(*) FROM people WHERE filter_int > (SELECT avg(total_int) FROM people)",
    "SELECT count(*) FROM people WHERE filter_text IN (SELECT group_text FROM people GROUP BY group_text)",
    "SELECT group_text AS k, count(*) FROM people GROUP BY k UNION ALL SELECT group_text2, count(*) FROM visits GROUP BY group_text2",
    "SELECT group_text AS k FROM people GROUP BY k EXCEPT SELECT group_text2 FROM visits GROUP BY group_text2",
    "SELECT total.n FROM (SELECT count(*) AS n FROM people) AS total",
    'SELECT "GROUP_TEXT", COUNT(*) FROM "People" GROUP BY People.group_TEXT',
    "SELECT group_text, count(*) FROM people WHERE filter_date >= DATE '2020-01-01' - INTERVAL 30 DAY GROUP BY group_text",
    "SELECT 1 AS one",
    "SELECT trim(reveal_text) AS a, ltrim(reveal_text, 'x') AS b, rtrim(reveal_text) AS c, left(reveal_text, 2) AS d FROM people",
    "SELECT replace(reveal_text, 'a', 'b') AS a, strpos(reveal_text, 'a') AS b, substring(reveal_text, 1, 2) AS c FROM people",
    "SELECT log10(all_int2) AS a, log(all_int2) AS b, ln(all_int2) AS c, sqrt(all_int2) AS d, round(all_int2, 1) AS e FROM areas",
    "SELECT date_part('year', all_date) AS a, date_diff('day', all_date, all_date) AS b, strftime(all_date, '%Y') AS c FROM people",
    "SELECT datediff('month', all_date, DATE '2020-01-01') AS a, all_date - DATE '2020-01-01' AS b, last_day(all_date) AS c FROM people",
    "SELECT coalesce(all_int, all_int, 3) AS a, ifnull(reveal_int, 0) AS b, all_date - INTERVAL 2 MONTH AS c FROM people",
    "SELECT coalesce(all_int, reveal_int) AS a, all_int // 2 AS b, all_int % 2 AS c, 1 / all_int AS d, (2 + 3) * all_int AS e FROM people",
    "SELECT CAST(all_int AS DECIMAL(18, 2)) AS a, all_int::VARCHAR AS b, TRY_CAST(all_text AS DATE) AS c, all_int < 3 AS d FROM people",
    "SELECT CASE all_int WHEN 1 THEN 'a' END AS a, if(all_int > 1, 1.5, 0) AS b, all_text || 'x' AS c, NULL AS d FROM people",
    "SELECT mean(total_int), count_if(filter_flag) FILTER (WHERE filter_int > 3) FROM people",
    "SELECT count(*) FROM people WHERE filter_date IN ('2020-01-01', DATE '2021-01-01') OR '2020-01-01' < filter_date",
    "SELECT count(*) FROM people WHERE filter_date IN (SELECT group_date FROM people GROUP BY group_date)",
    "SELECT quantile_disc(n, 0.5), max(k), percentile_disc(0.9) WITHIN GROUP (ORDER BY n) FROM (SELECT group_text AS k, count(*) AS n FROM people GROUP BY k) AS s",
    "SELECT a.all_text, sum(p.total_int) FROM people p JOIN areas a ON p.all_text = a.all_text GROUP BY a.all_text",
    "SELECT DISTINCT g FROM (SELECT group_text AS g, count(*) AS n FROM people GROUP BY g) AS s LIMIT 3 OFFSET 1",
    "SELECT DISTINCT group_text, count(*) FROM people GROUP BY group_text",
    "SELECT count(*) FROM people p RIGHT JOIN visits v ON p.join_int = v.join_int",
    "SELECT group_text2, count(*) FROM (SELECT v.group_text2 FROM people p JOIN visits v USING (join_int)) AS s GROUP BY group_text2",
    "SELECT sum(s.x) FROM (SELECT CASE WHEN filter_flag THEN total_int ELSE 0 END AS x FROM people UNION ALL SELECT total_int FROM people) AS s",
    "SELECT b, count(*) FROM (SELECT filter_int > 5 AS b FROM people) AS s WHERE b GROUP BY b",
    "SELECT * FROM (SELECT group_text AS g, count(*) AS n FROM people GROUP BY g) AS s, (SELECT count(*) AS t FROM visits) AS v",
    "SELECT group_text, sum(count(*)) OVER (PARTITION BY group_text ORDER BY count(*) ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM people GROUP BY group_text",
    "(SELECT count(*) FROM people)",
    "SELECT group_text, /* a comment */ count(*) -- and another\nFROM people GROUP BY group_text;",
]  # fmt: skip

REFUSED = [
    # what may be seen
    ("SELECT total_int FROM people", {"reveal-missing"}),
    ("SELECT no_text FROM people", {"reveal-missing"}),
    ("SELECT upper(filter_text) FROM people", {"reveal-missing"}),
    ("SELECT * FROM people", {"reveal-missing"}),
    ("SELECT reveal_text FROM people WHERE filter_int > 3", {"rows-betray"}),
    ("SELECT reveal_text FROM people ORDER BY total_int", {"order-betrays"}),
    ("SELECT CASE WHEN filter_int > 3 THEN 1 ELSE 0 END AS x FROM people", {"rows-betray"}),
    ("SELECT filter_int > 40 AS a, filter_int > 41 AS b FROM people", {"rows-betray"}),
    ("SELECT reveal_text FROM people p JOIN visits v ON p.join_int = v.join_int", {"rows-betray"}),
    ("SELECT reveal_text FROM people WHERE filter_flag LIMIT 1", {"order-betrays", "rows-betray"}),
    # conditions
    ("SELECT count(*) FROM people WHERE total_int > 3", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE no_int IS NULL", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE join_compare_text = 'x'", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE compare_int = 5", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE compare_int < all_int", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE compare_int < 2 * compare_int", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE compare_int + 5 < compare_int2", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE total_int < compare_int", {"compare-missing"}),
    ("SELECT count(*) FROM people WHERE total_int * filter_int > 3", {"filter-missing"}),
    ("SELECT count(*) FILTER (WHERE total_int > 3) FROM people", {"filter-missing"}),
    ("SELECT count_if(no_int > 3) FROM people", {"filter-missing"}),
    ("SELECT sum(CASE WHEN no_int > 3 THEN 1 END) FROM people", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE coalesce(no_int, filter_int) > 3", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE (SELECT max(n) FROM (SELECT count(*) AS n FROM people) AS s) < no_int", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE no_int IN (SELECT count(*) FROM people)", {"filter-missing"}),
    # joins
    ("SELECT count(*) FROM people, visits", {"join-without-key"}),
    ("SELECT count(*) FROM people CROSS JOIN areas", {"join-without-key"}),
    ("SELECT count(*) FROM people p JOIN visits v ON p.total_int = v.join_int", {"join-missing", "join-without-key"}),
    ("SELECT count(*) FROM people p JOIN visits v ON p.join_int = v.join_int OR 1 = 1", {"join-without-key"}),
    ("SELECT count(*) FROM people p JOIN visits v ON p.compare_int = v.compare_int3", {"join-without-key"}),
    ("SELECT count(*) FROM people p JOIN (SELECT 'x' AS k) c ON p.join_compare_text = c.k", {"filter-missing"}),
    ("SELECT count(*) FROM people p JOIN (SELECT 5 AS k) c ON p.join_int < c.k", {"filter-missing"}),
    # groups
    ("SELECT filter_int, count(*) FROM people GROUP BY filter_int", {"group-missing"}),
    ("SELECT total_int, count(*) FROM people GROUP BY total_int", {"group-missing"}),
    ("SELECT DISTINCT no_text FROM people", {"group-missing"}),
    ("SELECT filter_text FROM people UNION SELECT filter_text FROM people", {"group-missing"}),
    ("SELECT upper(group_text), count(*) FROM people GROUP BY upper(group_text)", {"use-spent"}),
    ("SELECT month(group_date), count(*) FROM people GROUP BY month(group_date)", {"use-spent"}),
    ("SELECT group_text, total_int, count(*) FROM people GROUP BY group_text", {"column-not-grouped"}),
    ("SELECT group_text, count(*) FROM people GROUP BY 1", {"position-refused"}),
    ("SELECT group_text, count(*) FROM people GROUP BY group_text ORDER BY 2", {"position-refused"}),
    ("SELECT year(group_date) AS group_text, count(*) FROM people GROUP BY group_text", {"identifier-ambiguous", "column-not-grouped"}),
    ("SELECT reveal_text FROM people HAVING 1 = 1", {"construct-refused"}),
    # aggregates
    ("SELECT sum(filter_int) FROM people", {"total-missing"}),
    ("SELECT count(no_int) FROM people", {"total-missing"}),
    ("SELECT count(DISTINCT group_text) FROM people", {"total-missing"}),
    ("SELECT sum(sign(total_int)) FROM people", {"use-spent"}),
    ("SELECT sum(total_int * total_dec) FROM people", {"use-spent"}),
    ("SELECT sum(nullif(total_int, 5)) FROM people", {"use-spent"}),
    ("SELECT sum(least(total_int, 5)) FROM people", {"use-spent"}),
    ("SELECT sum(total_int // 10) FROM people", {"use-spent"}),
    ("SELECT sum(CAST(total_dec AS INTEGER)) FROM people", {"use-spent"}),
    ("SELECT sum(total_int % 2) FROM people", {"use-spent"}),
    ("SELECT sum(total_int * 1000000000000 * 1000000000000) FROM people", {"constant-out-of-range"}),
    ("SELECT sum(total_dec + 99999999999999) FROM people", {"constant-out-of-range"}),
    ("SELECT sum(total_dec / 100000000000 + 5 - 5) FROM people", {"constant-out-of-range"}),
    ("SELECT max(total_int) FROM people", {"rank-missing"}),
    ("SELECT median(filter_int) FROM people", {"rank-missing"}),
    ("SELECT quantile_cont(rank_int, 2) FROM people", {"function-arguments"}),
    ("SELECT sum(reveal_text) FROM people", {"function-arguments"}),
    ("SELECT count(*) FROM people WHERE sum(total_int) > 3", {"aggregate-misplaced"}),
    ("SELECT sum(count(*)) FROM people", {"aggregate-misplaced"}),
    # relations and names
    ("SELECT count(*) FROM nobody", {"relation-unknown"}),
    ("SELECT nothing FROM people", {"column-unknown"}),
    ("SELECT people FROM people", {"column-unknown"}),
    ("SELECT count(*) FROM people AS a, people AS a WHERE a.join_int = a.join_int", {"name-repeated", "identifier-ambiguous", "join-without-key"}),
    ("SELECT join_int FROM people p JOIN visits v ON p.join_int = v.join_int", {"identifier-ambiguous", "rows-betray"}),
    ("SELECT reveal_text AS a, reveal_int AS A FROM people", {"name-repeated"}),
    ("WITH a AS (SELECT 1 AS x), A AS (SELECT 2 AS x) SELECT * FROM a", {"name-repeated"}),
    ("SELECT count(*) FROM main.people", {"construct-refused"}),
    ("SELECT reveal_text FROM (SELECT reveal_text FROM people ORDER BY total_int LIMIT 1) AS s", {"order-betrays"}),
    ("SELECT count(*) FROM (SELECT total_int FROM people LIMIT 5) AS s", {"order-betrays"}),
    ("SELECT total_int FROM people UNION ALL SELECT total_dec2 FROM visits", {"reveal-missing"}),
    ("SELECT reveal_text FROM people UNION ALL SELECT all_text FROM areas", {"union-units-differ"}),
    ("SELECT reveal_text FROM people UNION ALL SELECT reveal_int FROM people", {"union-columns-differ"}),
    ("SELECT (SELECT reveal_text FROM people) AS x", {"subquery-not-released"}),
    ("SELECT reveal_text FROM people LIMIT reveal_int", {"limit-not-literal"}),
    ("SELECT reveal_text FROM people LIMIT 10 PERCENT", {"construct-refused", "limit-not-literal"}),
    # functions and types
    ("SELECT sneak(reveal_text) FROM people", {"function-unknown"}),
    ("SELECT count(*) FROM people WHERE filter_int = 'x'", {"types-differ"}),
    ("SELECT count(*) FROM people WHERE filter_text > 5", {"types-differ"}),
    ("SELECT upper(reveal_int) FROM people", {"function-arguments"}),
    ("SELECT substring(reveal_text, reveal_int) FROM people", {"function-arguments"}),
    ("SELECT CASE WHEN all_int > 1 THEN 1 ELSE 'x' END FROM people", {"types-differ"}),
    ("SELECT CAST(reveal_text AS BLOB) FROM people", {"function-arguments"}),
    ("SELECT all_date + INTERVAL 9999999 YEAR FROM people", {"function-arguments"}),
    ("SELECT reveal_text || 5 FROM people", {"types-differ"}),
    ("SELECT reveal_text COLLATE nocase FROM people", {"function-unknown"}),
    ("SELECT $1", {"parameter-unknown"}),
    ("SELECT 1e5", {"construct-refused"}),
    ("SELECT 'a\0b'", {"construct-refused"}),
    ("SELECT log(3, all_int) FROM people", {"function-unknown"}),
    ("SELECT extract(epoch FROM all_date) FROM people", {"function-arguments"}),
    ("SELECT date_trunc('century', all_date) FROM people", {"function-arguments"}),
    ("SELECT date_diff('century', all_date, all_date) FROM people", {"function-arguments"}),
    ("SELECT upper(reveal_text) FILTER (WHERE all_int > 1) FROM people", {"construct-refused"}),
    ("SELECT mode() WITHIN GROUP (ORDER BY reveal_int) FROM people", {"construct-refused"}),
    ("SELECT first(reveal_text IGNORE NULLS) FROM people", {"construct-refused"}),
    ("SELECT max(rank_int, 3) FROM people", {"construct-refused"}),
    ("SELECT count(*) FROM people GROUP BY median(rank_int)", {"aggregate-misplaced"}),
    ("SELECT string_agg(n, ',') OVER () FROM (SELECT count(*) AS n FROM people) AS s", {"construct-refused"}),
    ("SELECT sum(d) OVER () FROM (SELECT group_text, min(rank_date) AS d FROM people GROUP BY group_text) AS s", {"function-arguments"}),
    ("SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN n PRECEDING AND CURRENT ROW) FROM (SELECT count(*) AS n FROM people) AS s", {"construct-refused"}),
    ("SELECT count(*) FROM people p JOIN visits v USING (nothing)", {"column-unknown", "join-without-key"}),
    ("SELECT count(*) FROM people WHERE filter_int IN (filter_int)", {"construct-refused"}),
    ("SELECT count(*) FROM people WHERE filter_date IN (SELECT group_text FROM people GROUP BY group_text)", {"types-differ"}),
    ("SELECT count(*) FROM people WHERE filter_int LIKE 'x'", {"types-differ"}),
    ("SELECT x.* FROM people", {"relation-unknown"}),
    ("SELECT group_text, count(*) FROM people GROUP BY 'x', group_text", {"position-refused"}),
    ("SELECT count(*) FROM people WHERE filter_text IS DISTINCT FROM filter_int", {"types-differ"}),
    ("SELECT sum(CASE " + " ".join(f"WHEN filter_int = {i} THEN total_int" for i in range(70)) + " END) FROM people", {"construct-refused"}),
    ("SELECT group_text FROM people GROUP BY group_text LIMIT -1", {"limit-not-literal"}),
]  # fmt: skip


@pytest.mark.parametrize("sql", ACCEPTED)
def test_the_gate_accepts(sql: str) -> None:
    query = permitted(sql)
    assert query.sql
    assert len(query.lineage) == len(query.outputs)


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_the_gate_refuses_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql)) == codes


def test_every_refusal_has_both_languages_and_names_column_and_fix() -> None:
    decision = decide_query(
        RELATIONS, THRESHOLDS, "SELECT sum(sign(total_int)), max(total_int) FROM people WHERE no_int > 3"
    )
    assert isinstance(decision, Denied)
    assert [reason.code for reason in decision.reasons] == ["filter-missing", "use-spent", "rank-missing"]
    for reason in decision.reasons:
        assert "people." in reason.what.zh
        assert "people." in reason.what.en
        assert reason.fix.zh
        assert reason.fix.en


def test_only_used_columns_are_projected_and_identifiers_only_as_keys() -> None:
    query = permitted(
        "SELECT group_text2, sum(p.total_int) FROM people p JOIN visits v ON p.join_compare_text = v.join_compare_text"
        " WHERE p.filter_int > 3 GROUP BY group_text2"
    )
    people, visits = query.projections
    assert (people.columns, people.keys, people.raws) == (("filter_int", "total_int"), ("join_compare_text",), ())
    assert (visits.columns, visits.keys) == (("group_text2",), ("join_compare_text",))
    assert people.has_unit
    assert visits.has_unit


def test_lineage_tells_values_from_conditions() -> None:
    query = permitted(
        "SELECT group_text, sum(CASE WHEN filter_flag THEN total_int ELSE 0 END) AS s FROM people WHERE filter_int > 3 GROUP BY group_text"
    )
    shown = {line.output: line for line in query.lineage}
    assert shown["s"].direct == {"people.total_int"}
    assert shown["s"].indirect == {"people.filter_flag", "people.filter_int", "people.group_text"}


def test_a_cte_hides_a_relation_of_the_same_name_by_scope() -> None:
    assert decide("WITH areas AS (SELECT no_text AS all_text FROM people) SELECT all_text FROM areas") == (
        "reveal-missing",
    )
    assert decide("WITH people AS (SELECT all_text FROM people) SELECT all_text FROM people") == ()
    inner = "SELECT count(*) FROM (WITH people AS (SELECT all_text FROM areas) SELECT all_text FROM people) AS s"
    assert permitted(inner).projections[0].relation == "areas"


def test_no_name_of_the_statement_is_copied_but_the_results() -> None:
    query = permitted('SELECT count(*) AS "n""; DROP TABLE x" FROM people AS "evil"" alias"')
    assert "evil" not in query.sql + query.stages[0].sql
    assert '"n""; DROP TABLE x"' in query.sql


def test_reveal_implies_group_total_and_rank_and_nothing_else() -> None:
    assert decide("SELECT reveal_text, sum(reveal_int), median(reveal_int) FROM people GROUP BY reveal_text") == ()
    assert decide("SELECT count(*) FROM people WHERE reveal_int > 3") == ("filter-missing",)


def test_a_relation_without_unit_shows_only_what_may_be_seen() -> None:
    from tests.governed import relation

    bare = (relation("bare", "group_text", "reveal_text", unit=()),)
    assert decide("SELECT group_text, count(*) FROM bare GROUP BY group_text", bare) == ("unit-missing",)
    assert decide("SELECT reveal_text, count(*) FROM bare GROUP BY reveal_text", bare) == ()


def test_columns_named_like_our_own_do_not_exist() -> None:
    from dataclasses import replace

    from gongshu.catalog.types import DataType
    from gongshu.compute.types import RelationColumn
    from gongshu.policies.types import ColumnPolicy, ResourcePolicy

    columns = (RelationColumn("key:join_int", DataType.TEXT), RelationColumn("unit:", DataType.TEXT))
    policy = ResourcePolicy(tuple(ColumnPolicy(c.name, frozenset(Use)) for c in columns), ())
    odd = (replace(PEOPLE, name="odd", columns=columns, policy=policy),)
    assert decide('SELECT "key:join_int" FROM odd', odd) == ("column-unknown",)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "NOT " * 3000 + "TRUE",
        "SELECT 1" + " + 1" * 6000,
        "SELECT '" + "x" * 30_000 + "'",
        "WITH a0 AS (SELECT all_int FROM people), "
        + ", ".join(
            f"a{i} AS (SELECT a{i - 1}.all_int FROM a{i - 1} UNION ALL SELECT all_int FROM a{i - 1})"
            for i in range(1, 30)
        )
        + " SELECT all_int FROM a29",
    ],
    ids=["parentheses", "not", "plus", "literal", "doubling"],
)
def test_statements_that_are_too_large_are_refused_not_run_into(sql: str) -> None:
    assert set(decide(sql)) & {"statement-too-large", "construct-refused"}
