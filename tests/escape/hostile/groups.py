"""Groups of one unit's rows, several sets of keys, windows over rows: each a way to get at one row through its group."""

from tests.escape.hostile.outcomes import APART, SAME, WITHHELD

U = "join_compare_group_text"
OTHER = 700_300
"""By this ``filter_int`` one row of a person is known who has two."""
ALL = f"(SELECT {U} AS u, count(*) AS n, sum(total_int) AS s FROM trips GROUP BY u) AS q"
BUT_ONE = (
    f"(SELECT {U} AS u2, count(*) AS m, sum(total_int) AS t FROM trips WHERE filter_int <> {OTHER} GROUP BY u2) AS r"
)

CORPUS: list[tuple[str, str]] = [
    # --- GROUP BY the privacy unit: a row for each unit stays that unit's
    (f"SELECT {U}, count(*) AS n FROM trips GROUP BY {U}", "reveal-missing"),
    (f"SELECT count(*) AS n FROM trips GROUP BY {U}", "rows-betray"),
    (f"SELECT sum(total_int) AS x FROM trips GROUP BY {U} LIMIT 1", "order-betrays"),
    (f"SELECT DISTINCT {U} FROM trips", "reveal-missing"),
    (f"SELECT DISTINCT group_reveal_text, {U} FROM trips", "rows-betray"),
    (f"SELECT s FROM (SELECT {U}, sum(total_int) AS s FROM trips GROUP BY {U}) AS q ORDER BY s LIMIT 1", "order-betrays"),
    (f"SELECT count(*) AS n FROM (SELECT {U} AS u FROM trips GROUP BY {U}) AS q WHERE u = 'SECRET 42'", "filter-missing"),
    (f"SELECT sum(s) AS x FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U} HAVING sum(total_int) > 900000000) AS q", "filter-missing"),
    (f"SELECT sum(s) AS x FROM (SELECT max(total_int) AS s FROM trips GROUP BY {U}) AS q", "use-spent"),
    (f"SELECT sum(s) AS x FROM (SELECT any_value(total_int) AS s FROM trips GROUP BY {U}) AS q", "listing-refused"),
    (f"SELECT max(s) AS x FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q", "rank-missing"),
    (f"SELECT s, count(*) AS n FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q GROUP BY s", "group-missing"),
    (f"SELECT sum(s % 1000) AS x FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q", "use-spent"),
    (f"SELECT sum(s) AS x FROM (SELECT sum(total_int) AS s FROM trips WHERE filter_int = {{v}} GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT sum(total_int) FILTER (WHERE filter_int = {{v}}) AS s FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT sum(CASE WHEN filter_int = {{v}} THEN total_int ELSE 0 END) AS s FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT sum(CASE WHEN filter_int = {{v}} THEN total_int ELSE 7 END) AS s FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT avg(s + 5) AS x FROM (SELECT sum(CASE WHEN filter_int = {{v}} THEN total_int END) AS s FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT count(*) FILTER (WHERE filter_int = {{v}}) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n + 1) AS n FROM (SELECT count(*) FILTER (WHERE filter_int = {{v}}) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT count(CASE WHEN filter_int = {{v}} THEN 1 END) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT sum(CAST(filter_int = {{v}} AS INTEGER)) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT max(CASE WHEN filter_int = {{v}} THEN 1 ELSE 0 END) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT sum(greatest(filter_total_int - 989990000, 0)) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n FROM (SELECT sum(filter_total_int // 989990000) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT count(*) AS n FROM (SELECT {U} FROM trips GROUP BY {U} HAVING count(*) FILTER (WHERE filter_int = {{v}}) > 0) AS q", WITHHELD),
    (f"SELECT count(*) AS n FROM (SELECT {U} FROM trips GROUP BY {U} HAVING min(filter_int) = {{v}}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT {U}, sum(total_int) AS s FROM trips GROUP BY {U} HAVING max(filter_int) = {{v}}) AS q", WITHHELD),
    (f"SELECT n, count(*) AS n2 FROM (SELECT count(*) FILTER (WHERE filter_int = {{v}}) AS n FROM trips GROUP BY {U}) AS q GROUP BY n", SAME),
    (f"SELECT g, sum(s) AS x FROM (SELECT {U}, group_text AS g, sum(total_int) AS s FROM trips GROUP BY {U}, group_text) AS q GROUP BY g", SAME),
    (f"SELECT g, avg(s) AS x, count(*) AS n FROM (SELECT {U}, group_text AS g, sum(total_int + 1000000000) AS s FROM trips GROUP BY {U}, group_text) AS q GROUP BY g", SAME),
    (f"SELECT sum(total_int) AS x, (SELECT sum(s) FROM (SELECT sum(total_int) AS s FROM trips WHERE filter_int <> {{v}} GROUP BY {U}) AS q) AS y FROM trips", WITHHELD),
    (f"SELECT (SELECT sum(total_int) FROM trips) - (SELECT sum(s) FROM (SELECT sum(total_int) AS s FROM trips WHERE filter_int <> {{v}} GROUP BY {U}) AS q) AS x", SAME),
    (f"SELECT (SELECT count(*) FROM trips) - (SELECT sum(n) FROM (SELECT count(*) AS n FROM trips WHERE filter_int <> {{v}} GROUP BY {U}) AS q) AS n", SAME),
    (f"SELECT sum(s) AS x, sum(t) AS y FROM (SELECT sum(total_int) AS s, sum(total_int) FILTER (WHERE filter_int <> {{v}}) AS t FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(n) AS n, sum(m) AS n2 FROM (SELECT count(*) AS n, count(*) FILTER (WHERE filter_int <> {{v}}) AS m FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT sum(total_int) AS s FROM (SELECT * FROM trips UNION ALL SELECT * FROM trips WHERE filter_int = {{v}}) AS b GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT sum(s) AS x FROM (SELECT sum(s) AS s FROM (SELECT {U} AS u, group_text, sum(CASE WHEN filter_int = {{v}} THEN total_int ELSE 0 END) AS s FROM trips GROUP BY u, group_text) AS a GROUP BY u) AS q", WITHHELD),
    (f"SELECT corr(s, n) AS x FROM (SELECT sum(total_int) AS s, count(*) FILTER (WHERE filter_int = {{v}}) AS n FROM trips GROUP BY {U}) AS q", WITHHELD),
    (f"SELECT median(s) AS x FROM (SELECT sum(rank_total_int) AS s FROM trips WHERE filter_int BETWEEN {{v}} AND {{v}} + 3 GROUP BY {U}) AS q", WITHHELD),
    # --- one of two rows of a person taken away
    *(
        (sql.format(s=ALL, t=BUT_ONE, U=U), outcome)
        for sql, outcome in (
            ("SELECT sum(n) AS n, sum(m) AS n2 FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT sum(s) AS a, sum(t) AS b FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT sum(s - t + 5) AS a FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT sum(n - m) AS n FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT sum((n - m) * 7) AS x FROM {s} LEFT JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT avg(n) AS x, avg(m) AS y FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT count(*) AS n FROM {s} JOIN {t} ON q.u = r.u2 WHERE n > m", WITHHELD),
            ("SELECT var_pop(n - m) AS x FROM {s} JOIN {t} ON q.u = r.u2", WITHHELD),
            ("SELECT n - m AS d, count(*) AS n2 FROM {s} JOIN {t} ON q.u = r.u2 GROUP BY d", SAME),
            ("SELECT (SELECT sum(total_int) FROM trips) AS a, (SELECT sum(t) FROM {t}) AS b", SAME),
            ("SELECT (SELECT count(*) FROM trips) AS n, (SELECT sum(m) FROM {t}) AS n2", SAME),
        )
    ),
    (f"SELECT sum(s) AS a, sum(t) AS b FROM (SELECT sum(total_int) OVER (PARTITION BY {U}) AS s, sum(total_int) FILTER (WHERE filter_int <> {OTHER}) OVER (PARTITION BY {U}) AS t FROM trips) AS q", WITHHELD),
    (f"SELECT sum(s) AS a, sum(t) AS b FROM (SELECT sum(s) AS s, sum(t) AS t FROM (SELECT {U} AS u, group_text AS g, sum(total_int) AS s, sum(CASE WHEN filter_int <> {OTHER} THEN total_int ELSE 0 END) AS t FROM trips GROUP BY u, g) AS i GROUP BY u) AS q", WITHHELD),
    # --- several sets of keys: a total beside its parts
    ("SELECT group_text, sum(total_int) AS x, count(*) AS n FROM people GROUP BY ROLLUP (group_text)", SAME),
    ("SELECT group_text, count(*) AS n FROM people WHERE filter_int < 700300 GROUP BY ROLLUP (group_text)", SAME),
    ("SELECT group_text, group_join_text, sum(total_int) AS x, count(*) AS n FROM people GROUP BY ROLLUP (group_text, group_join_text)", SAME),
    ("SELECT CASE WHEN filter_int = {v} THEN 1 ELSE 0 END AS k, sum(total_int) AS x, count(*) AS n FROM people GROUP BY ROLLUP (k)", SAME),
    ("SELECT CASE WHEN filter_int = {v} THEN 1 ELSE 0 END AS k, group_text, sum(total_int) AS x, count(*) AS n FROM people GROUP BY CUBE (k, group_text)", SAME),
    ("SELECT CASE WHEN filter_int <> {v} THEN group_text END AS k, group_text AS g, sum(total_int) AS x, count(*) AS n FROM people GROUP BY GROUPING SETS ((k), (g))", SAME),
    ("SELECT no_text, count(*) AS n FROM people GROUP BY ROLLUP (no_text)", "group-missing"),
    ("SELECT group_text, count(*) AS n FROM people GROUP BY CUBE (group_text, no_int)", "group-missing"),
    (f"SELECT {U}, count(*) AS n FROM trips GROUP BY ROLLUP ({U})", "construct-refused"),
    (f"SELECT count(*) AS n FROM trips GROUP BY GROUPING SETS (({U}), ())", "construct-refused"),
    ("SELECT group_text, grouping(no_text) AS g FROM people GROUP BY ROLLUP (group_text)", "column-not-grouped"),
    ("SELECT no_text, total_int FROM people GROUP BY ALL", "group-missing"),
    # --- percentages of a total
    ("SELECT group_text, count(*) / sum(count(*)) OVER () AS share FROM people GROUP BY group_text", SAME),
    ("SELECT group_text, count(*) * 100.0 / (SELECT count(*) FROM people) AS share FROM people GROUP BY group_text", SAME),
    ("SELECT sum(total_int) FILTER (WHERE filter_int <> {v}) / sum(total_int) AS share FROM people", WITHHELD),
    # --- windows over rows
    ("SELECT reveal_text, sum(total_int) OVER (PARTITION BY reveal_int) AS x FROM people WHERE all_int > 1", SAME),
    ("SELECT reveal_text, sum(total_int) FILTER (WHERE filter_int = {v}) OVER () AS x FROM people", SAME),
    ("SELECT reveal_text, sum(CASE WHEN filter_int = {v} THEN total_int ELSE 0 END) OVER () AS x FROM people", SAME),
    ("SELECT reveal_text, count(*) FILTER (WHERE filter_int = {v}) OVER (PARTITION BY reveal_text) AS n FROM people", SAME),
    ("SELECT all_text, max(rank_int) OVER (PARTITION BY all_text, all_int, all_date) AS x FROM people", SAME),
    ("SELECT reveal_text, sum(total_int) OVER (PARTITION BY CASE WHEN filter_int = {v} THEN 1 ELSE 0 END) AS x FROM people", "rows-betray"),
    ("SELECT count(*) AS n FROM (SELECT filter_int AS f, sum(total_int) OVER (PARTITION BY CASE WHEN filter_int = {v} THEN 1 ELSE 0 END) AS s FROM people) AS q WHERE s IS NULL", SAME),
    ("SELECT sum(total_int) OVER (ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS x FROM people", "window-on-rows"),
    ("SELECT count(*) AS n FROM (SELECT row_number() OVER (ORDER BY all_int) AS r FROM people WHERE filter_int = {v}) AS q WHERE r = 1", "window-on-rows"),
    ("SELECT sum(x) AS x FROM (SELECT first_value(total_int) OVER (PARTITION BY all_int ORDER BY all_date) AS x FROM people) AS q", "window-on-rows"),
    ("SELECT all_text, lag(all_int) OVER (ORDER BY all_int, reveal_int) AS x FROM people WHERE all_int > 3", SAME),
    ("SELECT reveal_text FROM people QUALIFY sum(total_int) FILTER (WHERE filter_int = {v}) OVER () IS NULL", SAME),
    ("SELECT (SELECT sum(x) FROM (SELECT sum(total_int) OVER () AS x, reveal_text FROM people WHERE filter_int <> {v}) AS q) AS y", APART),
    (f"SELECT sum(w) AS x FROM (SELECT sum(CASE WHEN filter_int = {{v}} THEN total_int ELSE 0 END) OVER (PARTITION BY {U}) AS w FROM trips) AS q", WITHHELD),
    (f"SELECT sum(w) AS n FROM (SELECT count(*) FILTER (WHERE filter_int = {{v}}) OVER (PARTITION BY {U}) AS w FROM trips) AS q", WITHHELD),
    (f"SELECT count(*) AS n FROM (SELECT max(filter_int) OVER (PARTITION BY {U}) AS w FROM trips) AS q WHERE w = {{v}}", WITHHELD),
    (f"SELECT group_reveal_text, count(*) OVER (PARTITION BY {U}) AS n FROM trips", "rows-betray"),
    ("SELECT reveal_text, sum(total_int) OVER () AS x, (SELECT sum(total_int) FROM people WHERE filter_int <> {v}) AS y FROM people", APART),
]  # fmt: skip
