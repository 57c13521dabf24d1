"""Parts beside their totals: which groups of several sets of keys are shown together.

A group is shown only where every group that holds it is shown. Where the parts that are shown leave rows of a few units of
their total, the smallest part goes too: then those units, and its own, are left. It reads the rows of every unit that
``differences`` keeps beside each stage.
"""

# ruff: noqa: S608 - the text is made of names and numbers that are made here

from dataclasses import dataclass

from gongshu.compute.rules.differences import GROUPS_MAX, PARTS, group_hash


@dataclass(frozen=True)
class Part:
    """The stage of one set of keys: its number of keys and columns, and the positions of its keys among all."""

    name: str
    keys: tuple[int, ...]
    columns: int


def shown(part: Part, totals: list[tuple[Part, str]], kinds: int, fewest: int) -> str:
    """Write the groups of ``part``, ``passes`` where they are shown. ``totals``: sets that hold it, with what is shown."""
    joins, hashes, ctes, bad = [], [], [], []
    for number, (total, table) in enumerate(totals):
        mine = [f"d.c{part.keys.index(key)}" for key in total.keys]
        same = " AND ".join(f"{own} IS NOT DISTINCT FROM t{number}.c{i}" for i, own in enumerate(mine))
        joins.append(f'JOIN "{table}" AS t{number} ON t{number}.passes{" AND " + same if same else ""}')
        hashes.append(f"{'hash(' + ', '.join(mine) + ')' if mine else group_hash(0)} AS tg{number}")
        for kind in range(kinds):
            ctes += _left(part, total, number, kind, fewest)
            bad.append(f"SELECT g FROM smallest{number}_{kind}")
    columns = ", ".join(f"d.c{i}" for i in range(part.columns))
    keys = ", ".join(f"d.c{i}" for i in range(len(part.keys)))
    group = f"hash({keys})"
    place = f"row_number() OVER (ORDER BY {keys}) AS place"  # of equally small parts the first by its keys goes
    base = (
        f"base AS (SELECT {columns}, d.units, d.negative, {group} AS g, {place}, {', '.join(hashes)} "
        f'FROM "{part.name}" AS d {" ".join(joins)} WHERE d.passes)'
    )
    return (
        f"WITH {', '.join([base, *ctes])}, bad AS ({' UNION '.join(bad)}) "
        f"SELECT {columns}, b.g IS NULL AS passes, d.units, d.negative FROM base AS d LEFT JOIN bad AS b ON d.g = b.g"
    )


def _left(part: Part, total: Part, number: int, kind: int, fewest: int) -> list[str]:
    """Write the totals of which few units are left, and the smallest part of each."""
    name = f"{number}_{kind}"
    mine = f"""
        SELECT b.tg{number} AS g, p.c, p.u, sum(p.r) AS r FROM "{PARTS}{part.name}:{kind}" AS p
        JOIN base AS b ON p.g = b.g GROUP BY b.tg{number}, p.c, p.u"""
    left = f"""
        SELECT DISTINCT g FROM (
            SELECT p.g, p.c, count(*) AS n FROM "{PARTS}{total.name}:{kind}" AS p
            JOIN (SELECT DISTINCT tg{number} AS g FROM base) AS b ON p.g = b.g
            LEFT JOIN mine{name} AS m ON p.g = m.g AND p.c = m.c AND p.u = m.u
            WHERE p.r > coalesce(m.r, 0) GROUP BY p.g, p.c) AS x WHERE n < {fewest}"""
    smallest = f"""
        SELECT arg_min(x.g, x.n * {GROUPS_MAX} + x.place) AS g FROM (
            SELECT b.tg{number} AS tg, b.g, count(*) AS n, min(b.place) AS place FROM base AS b
            JOIN "{PARTS}{part.name}:{kind}" AS p ON p.g = b.g AND p.c = 0 GROUP BY b.tg{number}, b.g) AS x
        JOIN left{name} AS l ON x.tg = l.g GROUP BY x.tg"""
    parts = {f"mine{name}": mine, f"left{name}": left, f"smallest{name}": smallest}
    return [f"{text_name} AS ({text})" for text_name, text in parts.items()]
