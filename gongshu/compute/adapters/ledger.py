"""Keeps which units stand behind released groups, and lays new ones beside them. Touches keyed hashes of units only.

A file per job holds the sets that were new: ``set``, ``u`` (a unit's keyed hash), ``w`` (its weight: its share of the rows).
They lie in the trusted area, are shown to nobody, and never reach the control database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class Limits:
    """What the ledger allows of one version: see the parameters ``ledger.…``."""

    units_min: int
    sets_max: int
    unit_share_percent_max: int


@dataclass(frozen=True)
class Found:
    """What came of laying new groups beside earlier ones: hashes of those to withhold, by the number of their trace."""

    groups: dict[int, tuple[int, ...]]
    sets: int = 0
    is_spent: bool = False


Decide = Callable[[Any, int, int, Callable[[Any], tuple[float, float]]], list[bool]]
"""``rules.ledger.decide_sets``."""


def weigh(  # noqa: PLR0917 - what lies beside each other, and where what passes goes
    trace: Path, earlier: list[Path], whole: Path | None, limits: Limits, target: Path, decide: Decide
) -> Found:
    """Lay the groups of ``trace`` beside ``earlier`` ones; write those that pass to ``target``.

    ``whole`` is the relation that they are part of, if it is one: of it everybody knows how many units there are.
    """
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": "", "threads": 2}) as engine:
        engine.execute("CREATE TABLE members (sid BIGINT, u UBIGINT, w DOUBLE)")
        known, first = _load_known(engine, earlier)
        engine.execute(TRACED, {"trace": str(trace)})
        engine.execute(MARKED)
        engine.execute(NEW_SETS, {"first": first})
        engine.execute(NEW_MEMBERS)
        novel = [int(row[0]) for row in engine.execute("SELECT DISTINCT sid FROM new_sets ORDER BY sid").fetchall()]
        if known + len(novel) > limits.sets_max:
            return Found({}, known + len(novel), is_spent=bool(novel))
        refused = _refused(engine, known, novel, limits, decide) | _overspent(engine, limits)
        refused |= _all_but_few(engine, whole, limits)
        engine.execute("CREATE TABLE refused (sid BIGINT)")
        if refused:
            engine.execute("INSERT INTO refused SELECT unnest($sids)", {"sids": sorted(refused)})
        groups: dict[int, tuple[int, ...]] = {}
        for s, g in engine.execute(REFUSED_GROUPS).fetchall():
            groups[s] = (*groups.get(s, ()), g)
        engine.sql(KEPT).write_parquet(str(target), compression="zstd")
        return Found(groups, known + len(novel))


TRACED = """
    CREATE TABLE traced AS SELECT s, g, c, u, r, r / avg(r) OVER (PARTITION BY s, g, c) AS w FROM read_parquet($trace)
"""
MARKED = """
    CREATE TABLE marked AS
        SELECT s, g, c, 0 AS kind, count(*) AS n, sum(hash(u)) AS mark FROM traced GROUP BY s, g, c
        UNION ALL
        SELECT s, g, c, 1, count(*), sum(hash(u, round(w, 6))) FROM traced GROUP BY s, g, c HAVING min(r) <> max(r)
"""
NEW_SETS = """
    CREATE TABLE new_sets AS
        SELECT *, $first + dense_rank() OVER (ORDER BY n DESC, mark, kind) AS sid FROM marked AS m
        WHERE NOT EXISTS (FROM known AS k WHERE k.n = m.n AND k.mark = m.mark)
"""
NEW_MEMBERS = """
    INSERT INTO members SELECT sid, u, CASE kind WHEN 0 THEN 1 ELSE w END
    FROM (SELECT sid, any_value(kind) AS kind, min((s, g, c)) AS one FROM new_sets GROUP BY sid) AS n
    JOIN traced AS t ON (t.s, t.g, t.c) = n.one
"""
REFUSED_GROUPS = "SELECT DISTINCT s, g FROM new_sets WHERE sid IN (FROM refused) ORDER BY s, g"
KEPT = """
    SELECT sid AS "set", u, w FROM members WHERE sid IN (
        SELECT sid FROM new_sets GROUP BY sid HAVING bool_or((s, g) NOT IN (SELECT (s, g) FROM new_sets WHERE sid IN (FROM refused))))
    ORDER BY sid, u
"""


def _load_known(engine: duckdb.DuckDBPyConnection, earlier: list[Path]) -> tuple[int, int]:
    """Load earlier sets; return how many there are, and the largest of their numbers."""
    if earlier:
        engine.execute(
            'INSERT INTO members SELECT dense_rank() OVER (ORDER BY filename, "set"), u, w FROM read_parquet($files, '
            "filename = true)",
            {"files": [str(path) for path in earlier]},
        )
    engine.execute(
        "CREATE TABLE known AS SELECT sid, count(*) AS n, CASE WHEN bool_and(w = 1) THEN sum(hash(u)) ELSE "
        "sum(hash(u, round(w, 6))) END AS mark, bool_and(w = 1) AS is_plain FROM members GROUP BY sid"
    )
    counted = engine.execute("SELECT count(*), coalesce(max(sid), 0) FROM known").fetchone() or (0, 0)
    return int(counted[0]), max(int(counted[1]), 0)


def _refused(
    engine: duckdb.DuckDBPyConnection, known: int, novel: list[int], limits: Limits, decide: Decide
) -> set[int]:
    """Return the new sets that earlier ones and the ones before them leave too few units of."""
    order = [int(row[0]) for row in engine.execute("SELECT sid FROM known ORDER BY sid").fetchall()] + novel
    place = {sid: index for index, sid in enumerate(order)}
    overlaps = np.zeros((len(order), len(order)))
    shared = engine.execute(
        "SELECT a.sid, b.sid, sum(a.w * b.w) FROM members AS a JOIN members AS b ON a.u = b.u AND a.sid <= b.sid GROUP BY ALL"
    ).fetchall()
    for a, b, size in shared:
        overlaps[place[a], place[b]] = overlaps[place[b], place[a]] = size

    def look(coefficients: Any) -> tuple[float, float]:
        used = np.nonzero(np.abs(coefficients) > 1e-9)[0]
        given = {"sids": [order[i] for i in used], "shares": [float(coefficients[i]) for i in used]}
        found = engine.execute(COMBINED, given).fetchone() or (0.0, 0.0)
        return float(found[0] or 0), float(found[1] or 0)

    passes = decide(overlaps, known, limits.units_min, look)
    return {sid for sid, is_shown in zip(novel, passes, strict=True) if not is_shown}


COMBINED = """
    WITH shares AS (SELECT unnest($sids) AS sid, unnest($shares) AS share),
    parts AS (SELECT u, sum(share * w) AS part FROM members JOIN shares USING (sid) GROUP BY u)
    SELECT sum(part * part), max(part * part) FROM parts
"""


def _overspent(engine: duckdb.DuckDBPyConnection, limits: Limits) -> set[int]:
    """Return the new sets with a unit about which too much would be told: each set of n units tells 1/n of each."""
    found = engine.execute(
        """
        WITH sizes AS (SELECT sid, count(*) AS n FROM members GROUP BY sid HAVING bool_and(w = 1)),
        told AS (SELECT u, sum(1 / n) AS share FROM members JOIN sizes USING (sid) GROUP BY u)
        SELECT m.sid FROM members AS m JOIN told USING (u) WHERE m.sid IN (SELECT sid FROM new_sets)
        GROUP BY m.sid HAVING max(share) > $most
        """,
        {"most": limits.unit_share_percent_max / 100},
    ).fetchall()
    return {int(row[0]) for row in found}


def _all_but_few(engine: duckdb.DuckDBPyConnection, whole: Path | None, limits: Limits) -> set[int]:
    """Return the new sets that hold the whole relation but for a few units."""
    if whole is None:
        return set()
    found = engine.execute(
        """
        WITH whole AS (SELECT DISTINCT "unit:" AS u FROM read_parquet($whole) WHERE "unit:" <> 0)
        SELECT sid FROM members WHERE sid IN (SELECT sid FROM new_sets) GROUP BY sid
        HAVING (SELECT count(*) FROM whole) - count(*) BETWEEN 1 AND $few
        """,
        {"whole": str(whole), "few": limits.units_min - 1},
    ).fetchall()
    return {int(row[0]) for row in found}
