"""Several stages in one statement: no difference between two of them may be about fewer than ``units_min`` units.

Where a statement has one guarded stage, its stage is written as it is. Where it has more, each stage also keeps the rows
that every unit has in its groups (``parts:…``), and a group of a later stage is withheld when

- it and an earlier group are nearly the same (a count, and the count of all but one);
- it and its likes leave little of an earlier group that holds them (a total, then its parts: the smallest part goes);
- earlier groups leave little of it (parts, then their total: the total goes).

Only names and numbers made here stand in the text. Units count as the same rows when their numbers of rows are in one
ratio for most, so that rows which were doubled on purpose change nothing.
"""

# ruff: noqa: S608 - the text is made of names and numbers that are made here

from dataclasses import replace

from gongshu.compute.rules.definitions import definitions
from gongshu.compute.rules.guards import NO_UNIT
from gongshu.compute.rules.stage_sql import with_complement
from gongshu.compute.rules.stages import Draft, UnitTable
from gongshu.compute.rules.terms import written_sql
from gongshu.compute.types import VALUE_DIGITS, Stage, Trace
from gongshu.policies.types import Thresholds

PARTS, DRAFT = "parts:", "draft:"
GROUPS_MAX = 2**32
"""Above the number of groups of a stage: of parts that are equally small, the first by its keys is the smallest."""


def stages(drafts: tuple[Draft, ...], thresholds: Thresholds) -> tuple[Stage, ...]:
    """Write the stages of a statement, in order."""
    if sum(draft.is_guarded for draft in drafts) < 2 or any(draft.noisy for draft in drafts):
        # Noise needs no comparing of groups: differences of noisy numbers are as noisy as these.
        return tuple(stage for d in drafts for stage in d.noisy or (Stage(d.name, written_sql(d.query)),))
    made: list[Stage] = []
    earlier: list[tuple[Draft, int]] = []
    for draft in drafts:
        if not draft.is_guarded or draft.parts is None:
            made.append(Stage(draft.name, written_sql(draft.query)))
            continue
        tabled = draft.tabled() if draft.tabled is not None else None
        if tabled is not None:
            made += [Stage(name, written_sql(query), is_counted=False) for name, query in tabled.queries]
            parts = [_of_table(table) for table in tabled.tables]
        else:
            queries, tests = draft.parts()
            parts = [_by_test(written_sql(query), tests) for query in queries]
        query = draft.query if tabled is None else tabled.query
        if draft.keys:
            query = with_complement(replace(draft, query=query), thresholds)
        made += [Stage(f"{PARTS}{draft.name}:{kind}", sql, is_counted=False) for kind, sql in enumerate(parts)]
        if earlier:
            made.append(Stage(f"{DRAFT}{draft.name}", written_sql(query), is_counted=False))
            made.append(Stage(draft.name, _checked(draft, len(parts), earlier, thresholds.units_min)))
        else:
            made.append(Stage(draft.name, written_sql(query)))
        earlier.append((draft, len(parts)))
    return tuple(made)


def _of_table(table: UnitTable) -> str:
    group = f"hash({', '.join(table.keys)})" if table.keys else group_hash(0)
    rows = (
        f'SELECT {group} AS g, {i} AS c, {table.unit} AS u, {column} AS r FROM "{table.name}" '
        f"WHERE {table.unit} <> {NO_UNIT} AND {column} > 0"
        for i, column in enumerate(table.rows)
    )
    return " UNION ALL ".join(rows)


def _by_test(parts: str, tests: int) -> str:
    rows = (f"SELECT g, {i} AS c, u, r{i} AS r FROM by_unit WHERE r{i} > 0" for i in range(tests))
    return f"WITH by_unit AS ({parts}) {' UNION ALL '.join(rows)}"


def group_hash(keys: int) -> str:
    """Write the hash of a stage's group; without keys there is one group."""
    return f"hash({', '.join(f'c{i}' for i in range(keys))})" if keys else "CAST(0 AS UBIGINT)"


def _group(draft: Draft) -> str:
    return group_hash(draft.keys)


def traces(drafts: tuple[Draft, ...], written: tuple[Stage, ...]) -> tuple[Trace, ...]:
    """Write which units stand behind the released groups of every guarded stage, for the ledger of released groups.

    ``written`` are all stages: a condition may look at a released value, so that its meaning is that of the stage. With noise
    there is no trace: what noise lets out is charged to a budget instead.
    """
    if any(draft.noisy for draft in drafts):
        return ()
    made: list[Trace] = []
    for draft in drafts:
        queries, tests = draft.parts() if draft.is_guarded and draft.parts is not None else ((), 0)
        for parts in queries:
            defined = definitions(parts, draft.keys, written)
            sql = (
                f"SELECT p.g, p.c, p.u, p.r, s.h FROM ({_by_test(written_sql(parts), tests)}) AS p "
                f'JOIN (SELECT {_group(draft)} AS g, {_key_values(draft)} AS h FROM "{draft.name}" WHERE passes) AS s ON p.g = s.g'
            )
            made.append(Trace(draft.name, draft.keys, sql, defined))
    return tuple(made)


def _key_values(draft: Draft) -> str:
    """Write the digest of each key's value: what makes the group, beside what makes the stage. The same on every engine."""
    hashed = (f"coalesce(left(sha256(CAST(c{i} AS VARCHAR)), {VALUE_DIGITS}), 'null')" for i in range(draft.keys))
    return f"""concat({", ',', ".join(hashed)}, '')""" if draft.keys else "''"


def _passing(draft: Draft, kind: int, table: str) -> str:
    return (
        f'SELECT p.g, p.c, p.u, p.r FROM "{PARTS}{draft.name}:{kind}" AS p '
        f'JOIN (SELECT {_group(draft)} AS g FROM "{table}" WHERE passes) AS s ON p.g = s.g'
    )


def _checked(draft: Draft, kinds: int, earlier: list[tuple[Draft, int]], fewest: int) -> str:
    ctes, bad = [], []
    pairs = [(kind, other, theirs) for kind in range(kinds) for other, many in earlier for theirs in range(many)]
    for i, (kind, other, theirs) in enumerate(pairs):
        ctes += _pair(i, _passing(draft, kind, f"{DRAFT}{draft.name}"), _passing(other, theirs, other.name))
        bad += _small(i, fewest)
    columns = ", ".join(f"d.c{i}" for i in range(draft.columns))
    return (
        f"WITH places AS ({_places(draft)}), {', '.join(ctes)}, bad AS ({' UNION '.join(bad)}) "
        f"SELECT {columns}, d.passes AND b.g IS NULL AS passes, d.units, d.negative "
        f'FROM (SELECT *, {_group(draft)} AS g FROM "{DRAFT}{draft.name}") AS d LEFT JOIN bad AS b ON d.g = b.g'
    )


def _places(draft: Draft) -> str:
    """Write the groups in the order of their keys, which is the same on every engine, as that of their hashes is not."""
    order = ", ".join(f"c{i}" for i in range(draft.keys))
    place = f"row_number() OVER (ORDER BY {order})" if order else "1"
    return f'SELECT {_group(draft)} AS g, {place} AS place FROM "{DRAFT}{draft.name}"'


def _pair(i: int, mine: str, theirs: str) -> list[str]:
    """Write which groups meet in how many units, beside the units that each has."""
    sizes = "SELECT g, c, count(*) AS n FROM {table} GROUP BY g, c"
    own, their = sizes.format(table=f"mine{i}"), sizes.format(table=f"theirs{i}")
    ratios = f"""
        SELECT m.g, m.c, t.g AS tg, t.c AS tc, m.r / t.r AS ratio, count(*) AS n
        FROM mine{i} AS m JOIN theirs{i} AS t ON m.u = t.u GROUP BY m.g, m.c, t.g, t.c, m.r / t.r"""
    sized = f"""
        SELECT x.g, x.c, x.tg, x.tc, x.n, a.n AS own, b.n AS their
        FROM (SELECT g, c, tg, tc, max(n) AS n FROM ratios{i} GROUP BY g, c, tg, tc) AS x
        JOIN ({own}) AS a ON x.g = a.g AND x.c = a.c JOIN ({their}) AS b ON x.tg = b.g AND x.tc = b.c"""
    inside = f"""
        SELECT x.g, x.c, x.tg, x.tc, x.fits = a.n AS is_part, x.holds = b.n AS is_whole, a.n AS own
        FROM (
            SELECT m.g, m.c, t.g AS tg, t.c AS tc, count(*) FILTER (m.r <= t.r) AS fits, count(*) FILTER (t.r <= m.r) AS holds
            FROM mine{i} AS m JOIN theirs{i} AS t ON m.u = t.u GROUP BY m.g, m.c, t.g, t.c) AS x
        JOIN ({own}) AS a ON x.g = a.g AND x.c = a.c JOIN ({their}) AS b ON x.tg = b.g AND x.tc = b.c"""
    mine_in = f"""
        SELECT x.tg AS g, x.tc AS c, x.c AS other, m.u, sum(m.r) AS r FROM inside{i} AS x
        JOIN mine{i} AS m ON m.g = x.g AND m.c = x.c WHERE x.is_part GROUP BY x.tg, x.tc, x.c, m.u"""
    theirs_in = f"""
        SELECT x.g, x.c, x.tc AS other, t.u, sum(t.r) AS r FROM inside{i} AS x
        JOIN theirs{i} AS t ON t.g = x.tg AND t.c = x.tc WHERE x.is_whole GROUP BY x.g, x.c, x.tc, t.u"""
    parts = {
        "mine": mine, "theirs": theirs, "ratios": ratios, "sized": sized, "inside": inside, "minein": mine_in,
        "theirsin": theirs_in,
    }  # fmt: skip
    return [f"{name}{i} AS ({text})" for name, text in parts.items()]


def _left(wholes: str, parts: str, fewest: int) -> str:
    """Write the wholes of which the parts, taken together, leave rows of few units: a unit may have rows in several parts."""
    return f"""
        SELECT s.g, s.c, s.other FROM (SELECT DISTINCT g, c, other FROM {parts}) AS s
        JOIN {wholes} AS w ON w.g = s.g AND w.c = s.c
        LEFT JOIN {parts} AS p ON p.g = s.g AND p.c = s.c AND p.other = s.other AND p.u = w.u
        GROUP BY s.g, s.c, s.other
        HAVING count(*) FILTER (w.r > coalesce(p.r, 0)) BETWEEN 1 AND {fewest - 1}
        AND count(*) FILTER (w.r < p.r) = 0"""


def _small(i: int, fewest: int) -> list[str]:
    """Write the groups that would leave fewer than ``fewest`` units when something is subtracted."""
    nearly_same = f"""
        SELECT g FROM sized{i} WHERE own - n < {fewest} AND their - n < {fewest} AND own + their > 2 * n"""
    smallest_part = f"""
        SELECT arg_min(x.g, x.own * {GROUPS_MAX} + o.place) AS g FROM sized{i} AS x JOIN places AS o ON x.g = o.g
        WHERE x.n = x.own GROUP BY x.tg, x.tc, x.c HAVING max(x.their) - sum(x.own) BETWEEN 1 AND {fewest - 1}"""
    total = f"""
        SELECT g FROM sized{i} WHERE n = their GROUP BY g, c, tc
        HAVING max(own) - sum(their) BETWEEN 1 AND {fewest - 1}"""
    part_of_rows = f"""
        SELECT arg_min(x.g, x.own * {GROUPS_MAX} + o.place) AS g FROM inside{i} AS x JOIN places AS o ON x.g = o.g
        JOIN ({_left(f"theirs{i}", f"minein{i}", fewest)}) AS l ON x.tg = l.g AND x.tc = l.c AND x.c = l.other
        WHERE x.is_part GROUP BY x.tg, x.tc, x.c"""
    total_of_rows = f"SELECT g FROM ({_left(f'mine{i}', f'theirsin{i}', fewest)}) AS l"
    return [nearly_same, smallest_part, total, part_of_rows, total_of_rows]
